/**
 * Sends a datagram to a port from each of some addresses, every 20 ms. Argument: JSON list of
 * `[source, destination]`.
 */
import { createSocket } from "node:dgram";
import { PORT } from "./filter_process.ts";

const pairs = JSON.parse(Deno.args[0]) as [source: string, destination: string][];
for (const [source, destination] of pairs) {
  const socket = createSocket(source.includes(":") ? "udp6" : "udp4");
  socket.on("error", () => {}); // while the interface is away
  socket.bind({ address: source, port: 0 }, () => {
    setInterval(() => socket.send("x", PORT, destination, () => {}), 20);
  });
}
