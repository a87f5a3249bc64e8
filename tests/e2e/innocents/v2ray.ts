/** Real v2ray: VMess, the user's own end with a list of servers. */

import { listening } from "../../lab/programs/conversation.ts";
import type { Stage } from "./stage.ts";
import { socks, type Way } from "./visits.ts";

export const PROGRAMS = ["v2ray"];
const FIRST_SOCKS_PORT = 2_080;
interface Kind {
  name: string;
  /** How the data is encrypted. */
  security: string;
  /** Further identities of the header's older form; 0 is the newer one. */
  alterId: number;
  /** What carries it; a TCP connection each where nothing is said. */
  streamSettings?: Record<string, unknown>;
  /** Several streams on one connection. */
  mux?: Record<string, unknown>;
}

/** Of a list of servers, the ones that there are in turn. */
const OVER_TCP: readonly Kind[] = [
  { name: "AES", security: "aes-128-gcm", alterId: 0 },
  { name: "ChaCha20", security: "chacha20-poly1305", alterId: 0 },
  { name: "older header", security: "aes-128-gcm", alterId: 8 },
];
/** v2ray's own transport over UDP, with what its datagrams may begin with to look like others. */
const OVER_UDP = ["none", "utp", "srtp", "wechat-video", "dtls", "wireguard"]
  .map((type): Kind => ({
    ...{ name: `mKCP ${type}`, security: "auto", alterId: 0 },
    streamSettings: { network: "kcp", kcpSettings: { header: { type } } },
  }));
const MULTIPLEXED: Kind = {
  ...{ name: "multiplexed", security: "aes-128-gcm", alterId: 0 },
  mux: { enabled: true, concurrency: 8 },
};

/** So many servers of a list over TCP. */
export function tcpKinds(count: number): Kind[] {
  return Array.from({ length: count }, (_, index) => OVER_TCP[index % OVER_TCP.length]);
}

/** What fewer people use. */
export const OTHER_KINDS: readonly Kind[] = [...OVER_UDP, MULTIPLEXED];

interface Server extends Kind {
  address: string;
  port: number;
  id: string;
}

/** Starts a server a kind, each at an address and port, and one client for all; the ways through it. */
export async function startV2ray(stage: Stage, kinds: readonly Kind[]): Promise<Way[]> {
  const servers = await Promise.all(kinds.map((kind, index) => startServer(stage, kind, index)));
  const ports = servers.map((_, index) => FIRST_SOCKS_PORT + index);
  await start(stage, stage.user, {
    inbounds: ports.map((port) => ({
      ...{ listen: "127.0.0.1", port, protocol: "socks", tag: `in${port}` },
      settings: { auth: "noauth", udp: false },
    })),
    outbounds: servers.map((server, index) => outbound(server, `out${ports[index]}`)),
    routing: {
      rules: ports.map((port) => ({
        ...{ type: "field", inboundTag: [`in${port}`], outboundTag: `out${port}` },
      })),
    },
  });
  await Promise.all(ports.map((port) => listening(stage.user, "tcp", port)));
  return ports.map((port, index) => socks(`VMess, ${servers[index].name}`, port));
}

function outbound({ address, port, id, security, alterId, ...server }: Server, tag: string) {
  const { streamSettings, mux } = server;
  const vnext = [{ address, port, users: [{ id, security, alterId }] }];
  return { protocol: "vmess", tag, settings: { vnext }, streamSettings, mux };
}

async function startServer(stage: Stage, kind: Kind, index: number): Promise<Server> {
  const host = stage.outer[index % stage.outer.length];
  const address = await stage.serverAddress(host);
  const port = 10_086 + index * 1_201;
  const { alterId, streamSettings } = kind;
  const id = crypto.randomUUID();
  await start(stage, host, {
    inbounds: [{
      ...{ listen: address, port, protocol: "vmess", streamSettings },
      settings: { clients: [{ id, alterId }] },
    }],
    outbounds: [{ protocol: "freedom" }],
  });
  await listening(host, streamSettings === undefined ? "tcp" : "udp", port);
  return { ...kind, address, port, id };
}

async function start(stage: Stage, host: Stage["user"], config: unknown): Promise<void> {
  const directory = await stage.newDirectory("v2ray");
  await Deno.writeTextFile(`${directory}/config.json`, JSON.stringify(config));
  const command = ["v2ray", "-config", `${directory}/config.json`];
  host.spawn(command, { log: `${directory}/log` });
}
