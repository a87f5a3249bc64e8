/**
 * Times the first round trips of new flows, one flow after another with a pause between them, so that
 * everything on the way has gone to sleep:
 *
 *   first_round_trips.ts ADDRESS TLS_PORT UNKNOWN_PORT JUDGED_PORT UDP_PORT COUNT
 *
 * Prints JSON: microseconds of the handshake of TCP and the first bytes both ways, of TLS, of what
 * nobody knows, and of that which user space has to judge, and of each UDP request and response.
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

const PAUSE_MS = 0.5;
const WARM_UP = 50;
const REQUEST = new Uint8Array(32).fill(0xc3);

const [ip, tlsPort, unknownPort, judgedPort, udpPort, count] = Deno.args;
const tls = socketAddress(ip, Number(tlsPort));
const unknown = socketAddress(ip, Number(unknownPort));
const judged = socketAddress(ip, Number(judgedPort));
const udp = socketAddress(ip, Number(udpPort));
const buffer = new Uint8Array(2048);
const sleepCell = new Int32Array(new SharedArrayBuffer(4));
const result = {
  ...{ tls: [] as number[], unknown: [] as number[] },
  ...{ judged: [] as number[], udp: [] as number[] },
};

for (let i = -WARM_UP; i < Number(count); i++) {
  const times = {
    tls: timeTcp(tls, "tls"),
    unknown: timeTcp(unknown, "unknown"),
    judged: timeTcp(judged, "judged"),
  };
  const datagram = timeUdp();
  if (i < 0) continue;
  result.tls.push(times.tls);
  result.unknown.push(times.unknown);
  result.judged.push(times.judged);
  result.udp.push(datagram);
}
console.log(JSON.stringify(result));

function timeTcp(address: Uint8Array<ArrayBuffer>, exchange: string): number {
  const { opening } = EXCHANGES[exchange];
  const fd = open(SOCK_STREAM);
  Atomics.wait(sleepCell, 0, 0, PAUSE_MS);
  const began = performance.now();
  must(libc.connect(fd, address, 16), "connect");
  must(libc.send(fd, opening, BigInt(opening.length), 0), "send");
  must(libc.recv(fd, buffer, BigInt(buffer.length), 0), "receive");
  const answered = performance.now();
  libc.close(fd);
  return (answered - began) * 1000;
}

function timeUdp(): number {
  const fd = open(SOCK_DGRAM);
  setReceiveTimeout(fd, 2);
  must(libc.connect(fd, udp, 16), "connect");
  Atomics.wait(sleepCell, 0, 0, PAUSE_MS);
  const began = performance.now();
  must(libc.send(fd, REQUEST, 32n, 0), "send");
  must(libc.recv(fd, buffer, BigInt(buffer.length), 0), "receive");
  const answered = performance.now();
  libc.close(fd);
  return (answered - began) * 1000;
}
