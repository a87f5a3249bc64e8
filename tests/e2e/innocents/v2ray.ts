/** Real v2ray: VMess over bare TCP, the user's own end with a list of servers. */

import { listening } from "../../lab/programs/conversation.ts";
import type { Stage } from "./stage.ts";
import { socks, type Way } from "./visits.ts";

export const PROGRAMS = ["v2ray"];
const FIRST_SOCKS_PORT = 2_080;
/** How the data is encrypted, and how many further identities of the header's older form there are. */
const KINDS = [
  { security: "aes-128-gcm", alterId: 0 },
  { security: "chacha20-poly1305", alterId: 0 },
  { security: "aes-128-gcm", alterId: 8 },
] as const;

interface Server {
  address: string;
  port: number;
  id: string;
  security: string;
  alterId: number;
}

/** Starts servers at as many addresses and ports, and one client for all; gives the ways through them. */
export async function startV2ray(stage: Stage, count: number): Promise<Way[]> {
  const indices = Array.from({ length: count }, (_, index) => index);
  const servers = await Promise.all(indices.map((index) => startServer(stage, index)));
  const ports = indices.map((index) => FIRST_SOCKS_PORT + index);
  await start(stage, stage.user, {
    inbounds: ports.map((port) => ({
      ...{ listen: "127.0.0.1", port, protocol: "socks", tag: `in${port}` },
      settings: { auth: "noauth", udp: false },
    })),
    outbounds: servers.map(({ address, port, id, security, alterId }, index) => ({
      ...{ protocol: "vmess", tag: `out${ports[index]}` },
      settings: { vnext: [{ address, port, users: [{ id, security, alterId }] }] },
    })),
    routing: {
      rules: ports.map((port) => ({
        ...{ type: "field", inboundTag: [`in${port}`], outboundTag: `out${port}` },
      })),
    },
  });
  await Promise.all(ports.map((port) => listening(stage.user, "tcp", port)));
  return ports.map((port, index) => socks(`VMess ${index}`, port));
}

async function startServer(stage: Stage, index: number): Promise<Server> {
  const host = stage.outer[index % stage.outer.length];
  const address = await stage.serverAddress(host);
  const port = 10_086 + index * 1_201;
  const { security, alterId } = KINDS[index % KINDS.length];
  const id = crypto.randomUUID();
  await start(stage, host, {
    inbounds: [{
      ...{ listen: address, port, protocol: "vmess" },
      settings: { clients: [{ id, alterId }] },
    }],
    outbounds: [{ protocol: "freedom" }],
  });
  await listening(host, "tcp", port);
  return { address, port, id, security, alterId };
}

async function start(stage: Stage, host: Stage["user"], config: unknown): Promise<void> {
  const directory = await stage.newDirectory("v2ray");
  await Deno.writeTextFile(`${directory}/config.json`, JSON.stringify(config));
  const command = ["v2ray", "-config", `${directory}/config.json`];
  host.spawn(command, { log: `${directory}/log` });
}
