/**
 * Times the first round trips of new flows, one flow after another with a pause between them, so that
 * everything on the way has gone to sleep:
 *
 *   first_round_trips.ts ADDRESS TCP_PORT UDP_PORT COUNT
 *
 * Prints JSON: microseconds of each TCP handshake, of the request and response after it, and of each
 * UDP request and response.
 */

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
const REQUEST = new TextEncoder().encode(
  "GET /page HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n",
);

const [ip, tcpPort, udpPort, count] = Deno.args;
const tcp = socketAddress(ip, Number(tcpPort));
const udp = socketAddress(ip, Number(udpPort));
const buffer = new Uint8Array(2048);
const sleepCell = new Int32Array(new SharedArrayBuffer(4));
const result = { handshake: [] as number[], request: [] as number[], udp: [] as number[] };

for (let i = -WARM_UP; i < Number(count); i++) {
  const [handshake, request] = timeTcp();
  const datagram = timeUdp();
  if (i < 0) continue;
  result.handshake.push(handshake);
  result.request.push(request);
  result.udp.push(datagram);
}
console.log(JSON.stringify(result));

function timeTcp(): [number, number] {
  const fd = open(SOCK_STREAM);
  Atomics.wait(sleepCell, 0, 0, PAUSE_MS);
  const began = performance.now();
  must(libc.connect(fd, tcp, 16), "connect");
  const connected = performance.now();
  must(libc.send(fd, REQUEST, BigInt(REQUEST.length), 0), "send");
  must(libc.recv(fd, buffer, BigInt(buffer.length), 0), "receive");
  const answered = performance.now();
  libc.close(fd);
  return [(connected - began) * 1000, (answered - connected) * 1000];
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
