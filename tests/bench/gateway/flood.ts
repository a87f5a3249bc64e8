/**
 * Sends datagrams that are each a flow of their own, to random addresses of 10.0.0.0/8 and random
 * ports from one socket, until it has sent COUNT:
 *
 *   flood.ts COUNT DATAGRAMS_A_SECOND
 */

import { libc, must, open, SOCK_DGRAM, socketAddress } from "./sockets.ts";

const BATCH = 64;
const PAYLOAD_LENGTH = 100;
const MMSGHDR_LENGTH = 64; // struct msghdr 56, msg_len, padding

const [count, rate] = Deno.args.map(Number);
const fd = open(SOCK_DGRAM);
const payload = crypto.getRandomValues(new Uint8Array(PAYLOAD_LENGTH));
payload[0] = 0x45; // may be a tunnel's, so user space's; by its length it is none
const addresses = new Uint8Array(BATCH * 16);
const vectors = new BigUint64Array(BATCH * 2);
const headers = new BigUint64Array(BATCH * (MMSGHDR_LENGTH / 8));
const addressesAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(addresses));
const vectorsAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(vectors));
const payloadAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(payload));
for (let i = 0; i < BATCH; i++) {
  addresses.set(socketAddress("10.0.0.0", 0), i * 16);
  vectors.set([payloadAt, BigInt(PAYLOAD_LENGTH)], i * 2);
  // msg_name, msg_namelen, msg_iov, msg_iovlen
  headers.set(
    [addressesAt + BigInt(i * 16), 16n, vectorsAt + BigInt(i * 16), 1n],
    i * (MMSGHDR_LENGTH / 8),
  );
}
const sleepCell = new Int32Array(new SharedArrayBuffer(4));
const random = new Uint8Array(BATCH * 5);
const began = performance.now();
let sent = 0;
while (sent < count) {
  crypto.getRandomValues(random);
  for (let i = 0; i < BATCH; i++) {
    const address = i * 16;
    addresses[address + 2] = 16 + (random[i * 5] & 127); // ports from 4096: none is well known
    for (let j = 1; j < 5; j++) addresses[address + 3 + (j === 1 ? 0 : j)] = random[i * 5 + j];
  }
  sent += must(libc.sendmmsg(fd, headers as unknown as BufferSource, BATCH, 0), "send");
  const early = (sent / rate) * 1000 - (performance.now() - began);
  if (early > 2) Atomics.wait(sleepCell, 0, 0, early);
}
console.log(sent);
