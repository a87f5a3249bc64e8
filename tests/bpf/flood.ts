/**
 * Sends datagrams as fast as a receiver's queue takes them, until standard input ends; prints how many
 * were sent. Arguments: source and destination.
 */
import { createSocket } from "node:dgram";
import { PORT } from "./filter_process.ts";

const BURST = 32;

const [source, destination] = Deno.args;
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind({ address: source, port: 0 }, resolve));
let isOver = false;
Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => isOver = true);
let sent = 0;
const send = () =>
  new Promise<void>((resolve) => {
    socket.send("x", PORT, destination, (error) => {
      if (error === null) sent++;
      resolve();
    });
  });
while (!isOver) {
  await Promise.all(Array.from({ length: BURST }, send));
  await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(sent);
socket.close();
