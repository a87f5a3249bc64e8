/** Real shadowsocks-libev: a user with a list of servers, as proxy programs keep it. */

import { listening } from "../../lab/programs/conversation.ts";
import type { Stage } from "./stage.ts";
import { socks, type Way } from "./visits.ts";

export const PROGRAMS = ["ss-server", "ss-local"];
/** The methods that a list holds in turn. */
const METHODS = ["chacha20-ietf-poly1305", "aes-256-gcm"];
const FIRST_SOCKS_PORT = 1_080;

/** Starts servers at as many addresses and ports, and the user's end of each; gives ways through them. */
export async function startShadowsocks(stage: Stage, count: number): Promise<Way[]> {
  return await Promise.all(Array.from({ length: count }, async (_, index) => {
    const host = stage.outer[index % stage.outer.length];
    const address = await stage.serverAddress(host);
    const port = 8_388 + index * 1_103;
    const socksPort = FIRST_SOCKS_PORT + index;
    const secret = ["-k", `laboratory ${index}`, "-m", METHODS[index % METHODS.length]];
    const directory = await stage.newDirectory("shadowsocks");
    const server = ["ss-server", "-s", address, "-p", String(port), ...secret];
    host.spawn(server, { log: `${directory}/server.log` });
    await listening(host, "tcp", port);
    const there = ["-s", address, "-p", String(port)];
    const here = ["-b", "127.0.0.1", "-l", String(socksPort)];
    stage.user.spawn(["ss-local", ...there, ...here, ...secret], { log: `${directory}/local.log` });
    await listening(stage.user, "tcp", socksPort);
    return socks(`Shadowsocks ${index}`, socksPort);
  }));
}
