/**
 * Proxies that a leecher reaches its peers through, and how to send a client through one that knows
 * none. The second half runs as a program inside a namespace:
 *
 *     deno run -A tests/lab/proxies.ts serve PORT
 *     deno run -A tests/lab/proxies.ts forward KIND PROXY:PORT LISTEN=TARGET:PORT…
 */

import { fileURLToPath } from "node:url";
import type { Host } from "../../src/demo/network.ts";
import { output } from "../../src/demo/program.ts";
import { formatEndpoint, parseAddress } from "../../src/packet/address.ts";
import type { Endpoint } from "./client.ts";
import { listening } from "./programs/conversation.ts";

/** SOCKS5 (RFC 1928), by dante, UDP too; CONNECT (RFC 9110, section 9.3.6), by this file. */
export type ProxyKind = "socks5" | "http-connect";

export interface Proxy extends Endpoint {
  kind: ProxyKind;
}

const SCRIPT = [
  ...[Deno.execPath(), "run", "--quiet", "-A"],
  fileURLToPath(new URL(import.meta.url)),
];
const PORTS: Record<ProxyKind, number> = { "socks5": 1_080, "http-connect": 8_118 };
/** Ports on the client's own host that lead through the proxy, one a peer. */
const FIRST_FORWARD_PORT = 30_001;

/** Addresses, not the interface: it has a link-local one that dante cannot bind. */
const danteConf = (address: string) =>
  `internal: ${address} port = ${PORTS.socks5}
external: ${address}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0/0 to: 0/0 }
socks pass { from: 0/0 to: 0/0 }
`;

type Family = 4 | 6;

const addressOf = (host: Host, family: Family) => family === 4 ? host.ipv4 : host.ipv6;

/** Starts a proxy on a host, which is called, and calls, over one family. */
export async function startProxy(
  kind: ProxyKind,
  host: Host,
  directory: string,
  family: Family = 4,
): Promise<Proxy> {
  const port = PORTS[kind];
  const log = `${directory}/log`;
  const address = addressOf(host, family);
  if (kind === "socks5") {
    await Deno.writeTextFile(`${directory}/conf`, danteConf(address));
    host.spawn(["danted", "-f", `${directory}/conf`, "-p", `${directory}/pid`], { log });
  } else {
    host.spawn([...SCRIPT, "serve", String(port)], { log });
  }
  await listening(host, "tcp", port);
  return { kind, host: address, port };
}

/**
 * Moves a peer behind the proxy, off the router: what goes between the two is not the leecher's, and
 * nobody on its way sees it. By the same device, for clients that hear what comes in by one alone.
 */
export async function moveBehind(proxy: Host, peer: Host, index: number): Promise<void> {
  const near = `peer${index}`;
  const ip = (host: Host, ...words: string[]) => output(["ip", "-n", host.namespace, ...words]);
  await ip(peer, "link", "delete", "eth0");
  const far = ["type", "veth", "peer", "name", "eth0", "netns", peer.namespace];
  await ip(proxy, "link", "add", near, ...far);
  // Duplicate address detection would keep the addresses unusable for a second.
  await proxy.setKernel({ [`ipv6/conf/${near}/accept_dad`]: 0 });
  await peer.setKernel({ "ipv6/conf/eth0/accept_dad": 0 });
  await ip(peer, "address", "add", `${peer.ipv4}/32`, "dev", "eth0");
  await ip(peer, "address", "add", `${peer.ipv6}/128`, "dev", "eth0");
  await ip(proxy, "link", "set", near, "up");
  await ip(peer, "link", "set", "eth0", "up");
  await ip(proxy, "route", "add", peer.ipv4, "dev", near, "src", proxy.ipv4);
  await ip(peer, "route", "add", "default", "dev", "eth0", "src", peer.ipv4);
  // Who asks for a neighbour by IPv6 is answered for the device's own addresses alone.
  await ip(proxy, "address", "add", `${proxy.ipv6}/128`, "dev", near);
  await ip(proxy, "-6", "route", "add", peer.ipv6, "dev", near, "src", proxy.ipv6);
  await ip(peer, "-6", "route", "add", "default", "dev", "eth0", "src", peer.ipv6);
}

/** Sends the host's connections to these peers through the proxy, whatever its clients know. */
export async function forward(
  host: Host,
  proxy: Proxy,
  peers: readonly Endpoint[],
  log: string,
): Promise<void> {
  const targets = peers.map((peer, index) =>
    `${FIRST_FORWARD_PORT + index}=${formatEndpoint(peer.host, peer.port)}`
  );
  host.spawn(
    [...SCRIPT, "forward", proxy.kind, formatEndpoint(proxy.host, proxy.port), ...targets],
    {
      log,
    },
  );
  for (const [index, peer] of peers.entries()) {
    const port = FIRST_FORWARD_PORT + index;
    const there = ["-p", "tcp", "-d", peer.host, "--dport", String(peer.port)];
    const redirect = ["OUTPUT", ...there, "-j", "REDIRECT", "--to-ports", String(port)];
    const command = peer.host.includes(":") ? "ip6tables" : "iptables";
    await host.run([command, "-w", "10", "-t", "nat", "-A", ...redirect]);
    await listening(host, "tcp", port);
  }
}

function parseEndpoint(text: string): Endpoint {
  const cut = text.lastIndexOf(":");
  return { host: text.slice(0, cut).replace(/^\[|\]$/g, ""), port: Number(text.slice(cut + 1)) };
}

/** Type and bytes of an address as SOCKS5 has them (RFC 1928, section 5). */
function socksAddress(host: string): number[] {
  if (!host.includes(":")) return [1, ...host.split(".").map(Number)];
  const words = parseAddress(host);
  if (words === null) throw new Error(`${host} is no address`);
  const bytes = [...words].flatMap((word) => [word >>> 24, word >>> 16, word >>> 8, word]);
  return [4, ...bytes.map((byte) => byte & 0xff)];
}

/** Each end's bytes to the other until one of them ends. */
async function join(left: Deno.TcpConn, right: Deno.TcpConn): Promise<void> {
  left.setNoDelay();
  right.setNoDelay();
  await Promise.allSettled([
    left.readable.pipeTo(right.writable),
    right.readable.pipeTo(left.writable),
  ]);
}

/** Reads byte by byte, so that nothing of what follows is taken. */
async function readExactly(from: Deno.TcpConn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = await from.read(bytes.subarray(at));
    if (read === null) throw new Error("ended in the negotiation");
    at += read;
  }
  return bytes;
}

async function readHead(from: Deno.TcpConn): Promise<string> {
  let head = "";
  while (!head.endsWith("\r\n\r\n")) {
    head += String.fromCharCode((await readExactly(from, 1))[0]);
    if (head.length > 8_192) throw new Error("no end of the head");
  }
  return head;
}

async function write(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

const utf8 = (text: string) => new TextEncoder().encode(text);

async function serveConnect(client: Deno.TcpConn): Promise<void> {
  const head = await readHead(client);
  const target = /^CONNECT (\S+:\d+) HTTP\/1\.[01]\r\n/.exec(head);
  if (target === null) {
    await write(client, utf8("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"));
    return client.close();
  }
  const { host, port } = parseEndpoint(target[1]);
  const peer = await Deno.connect({ hostname: host, port });
  await write(client, utf8("HTTP/1.1 200 Connection established\r\n\r\n"));
  await join(client, peer);
}

async function throughProxy(kind: ProxyKind, proxy: Endpoint, target: Endpoint) {
  const upstream = await Deno.connect({ hostname: proxy.host, port: proxy.port });
  if (kind === "http-connect") {
    const name = formatEndpoint(target.host, target.port);
    await write(upstream, utf8(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`));
    const head = await readHead(upstream);
    if (!/^HTTP\/1\.[01] 200/.test(head)) throw new Error(head);
    return upstream;
  }
  await write(upstream, Uint8Array.of(5, 1, 0)); // version, one method: none
  await readExactly(upstream, 2);
  const port = [target.port >> 8, target.port & 0xff];
  await write(upstream, Uint8Array.of(5, 1, 0, ...socksAddress(target.host), ...port)); // CONNECT
  const answer = await readExactly(upstream, 4);
  if (answer[1] !== 0) throw new Error(`SOCKS5 reply ${answer[1]}`);
  await readExactly(upstream, (answer[3] === 4 ? 16 : 4) + 2);
  return upstream;
}

async function serve(port: number, handle: (client: Deno.TcpConn) => Promise<void>) {
  for await (const client of Deno.listen({ port, hostname: "::" })) { // IPv4 too
    handle(client).catch((error) => {
      console.log(String(error));
      try {
        client.close();
      } catch {
        // Closed already.
      }
    });
  }
}

if (import.meta.main) {
  const [command, ...rest] = Deno.args;
  if (command === "serve") await serve(Number(rest[0]), serveConnect);
  else {
    const [kind, proxy, ...targets] = rest;
    await Promise.all(targets.map((text) => {
      const [port, target] = text.split("=");
      return serve(Number(port), async (client) => {
        const through = await throughProxy(
          kind as ProxyKind,
          parseEndpoint(proxy),
          parseEndpoint(target),
        );
        await join(client, through);
      });
    }));
  }
}
