/**
 * Opens flows one after the other, each with its first bytes and the answer to them:
 *
 *   new_flows.ts EXCHANGE ADDRESS PORT SECONDS
 *
 * Prints JSON: the number of flows, and of those that were not answered.
 */

import { EXCHANGES } from "./openings.ts";
import {
  libc,
  must,
  open,
  setReceiveTimeout,
  SOCK_DGRAM,
  SOCK_STREAM,
  socketAddress,
} from "./sockets.ts";

interface Task {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly seconds: number;
}

interface Count {
  flows: number;
  unanswered: number;
}

function openFlows({ name, ip, port, seconds }: Task): Count {
  const { transport, opening } = EXCHANGES[name];
  const address = socketAddress(ip, port);
  const buffer = new Uint8Array(4096);
  const length = BigInt(buffer.length);
  const count = { flows: 0, unanswered: 0 };
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const fd = open(transport === "tcp" ? SOCK_STREAM : SOCK_DGRAM);
    setReceiveTimeout(fd, 2);
    must(libc.connect(fd, address, 16), "connect");
    must(libc.send(fd, opening, BigInt(opening.length), 0), "send");
    if (Number(libc.recv(fd, buffer, length, 0)) <= 0) count.unanswered++;
    libc.close(fd);
    count.flows++;
  }
  return count;
}

const [name, ip, port, seconds] = Deno.args;
console.log(JSON.stringify(openFlows({ name, ip, port: Number(port), seconds: Number(seconds) })));
