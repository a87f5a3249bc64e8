/** Flows through proxies for tests: how they are negotiated, and what was recorded of peers behind one. */
import { Conversation, latin1, type TestEngine } from "./conversation.ts";

export const PROXY = "198.51.100.1:1080";

/** An endpoint of a name, or of an IPv4 address. */
export type Target = `${string}:${number}`;

function parts(target: Target): { host: string; port: string; address: number[] | null } {
  const cut = target.lastIndexOf(":");
  const host = target.slice(0, cut);
  const port = Number(target.slice(cut + 1));
  const isAddress = /^[\d.]+$/.test(host);
  return {
    host,
    port: String.fromCharCode(port >> 8, port & 255),
    address: isAddress ? host.split(".").map(Number) : null,
  };
}

const text = (numbers: readonly number[]) => String.fromCharCode(...numbers);

/** How a client says to a proxy where it wants to go, and is let through (RFC 1928, SOCKS4a, RFC 9110). */
export const NEGOTIATIONS: Readonly<
  Record<string, (flow: Conversation, target: Target) => unknown>
> = {
  SOCKS5: (flow, target) => {
    const { host, port, address } = parts(target);
    const to = address === null ? `\x03${text([host.length])}${host}` : `\x01${text(address)}`;
    return flow.say(0, latin1("\x05\x01\0")).say(1, latin1("\x05\0"))
      .say(0, latin1(`\x05\x01\0${to}${port}`)).say(1, latin1("\x05\0\0\x01\0\0\0\0\0\0"));
  },
  SOCKS4: (flow, target) => {
    const { host, port, address } = parts(target);
    const to = address === null ? `\0\0\0\x01user\0${host}\0` : `${text(address)}user\0`;
    return flow.say(0, latin1(`\x04\x01${port}${to}`)).say(1, latin1("\0\x5a\0\0\0\0\0\0"));
  },
  CONNECT: (flow, target) =>
    flow.say(0, latin1(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`))
      .say(1, latin1("HTTP/1.1 200 Connection established\r\n\r\n")),
};

export const ADDRESSES: Target[] = ["198.18.2.1:20002", "198.18.3.1:20003", "198.18.4.1:20004"];
export const NAMES: Target[] = ["one.example:20002", "two.example:20003", "three.example:20004"];

/** Recorded of libtorrent through a SOCKS proxy, until its peers' extensions: four flows at once. */
export const KIN = [
  ">427 <538 >253 <465 >68 <294",
  ">495 <105 >431 <415 >68 <294",
  ">505 <601 >385 <239 >68 <294",
];
/** And the fourth, whose first data the relay has joined with what was allowed before it. */
export const RELAYED = ">397 <233 >330 <230 >68 <294 >276 <10136w";

/** A flow through the proxy that is played on by hand. */
export function calls(test: TestEngine, own: string, target: Target): Conversation {
  const flow = new Conversation(test, "tcp", own, PROXY).open();
  NEGOTIATIONS.SOCKS5(flow, target);
  return flow;
}
