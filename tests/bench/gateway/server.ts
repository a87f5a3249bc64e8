/**
 * The far end of the load programs: `http PORT` answers each connection's first bytes with a short
 * page and closes it, `udp PORT` sends each datagram back, and the name of an exchange (openings.ts)
 * answers as that has it.
 */

import { EXCHANGES } from "./openings.ts";
import { libc, must, serverSocket, SOCK_DGRAM, SOCK_STREAM } from "./sockets.ts";

const BODY = "<!doctype html><title>Hello</title><p>A short page.";
const PAGE = new TextEncoder().encode(
  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n" +
    `Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
);
const buffer = new Uint8Array(65_536);

const [mode, port] = Deno.args;
const exchange = EXCHANGES[mode];
const isStream = mode === "http" || exchange?.transport === "tcp";
const socket = serverSocket(isStream ? SOCK_STREAM : SOCK_DGRAM, Number(port));
console.log("ready");
if (isStream) serve(exchange?.answer ?? PAGE);
else answerDatagrams(exchange?.answer ?? null);

function serve(answer: Uint8Array<ArrayBuffer>): never {
  for (;;) {
    const fd = libc.accept(socket, null, null);
    if (fd < 0) continue; // the peer has gone again
    libc.recv(fd, buffer, BigInt(buffer.length), 0);
    libc.send(fd, answer, BigInt(answer.length), 0x4000 /* MSG_NOSIGNAL */);
    libc.close(fd);
  }
}

/** @param answer null: what was sent */
function answerDatagrams(answer: Uint8Array<ArrayBuffer> | null): never {
  const address = new Uint8Array(16);
  const addressLength = new Uint32Array([16]);
  for (;;) {
    const length = must(
      libc.recvfrom(socket, buffer, BigInt(buffer.length), 0, address, addressLength),
      "receive",
    );
    const sent = answer ?? buffer;
    libc.sendto(socket, sent, BigInt(answer?.length ?? length), 0, address, 16);
  }
}
