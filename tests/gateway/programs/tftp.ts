/**
 * As little of TFTP (RFC 1350) as conntrack's helper wants: a read request to port 69, answered with
 * data from another port, acknowledged there.
 *
 *     tftp.ts serve
 *     tftp.ts ask HOST      prints how many of four blocks came
 */

const BLOCKS = 4;
const PATIENCE_MS = 10_000;
const READ_REQUEST = new TextEncoder().encode("\0\x01file\0octet\0");

const [command, host] = Deno.args;
if (command === "serve") {
  const listener = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 69 });
  console.log("ready");
  for await (const [, asker] of listener) {
    const transfer = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
    for (let block = 1; block <= BLOCKS; block++) {
      await transfer.send(Uint8Array.of(0, 3, 0, block, 0x55), asker);
      await transfer.receive();
    }
    transfer.close();
  }
} else {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  setTimeout(() => end(), PATIENCE_MS);
  let blocks = 0;
  const end = () => {
    console.log(`answered ${blocks}`);
    Deno.exit(0);
  };
  await socket.send(READ_REQUEST, { transport: "udp", hostname: host, port: 69 });
  for await (const [bytes, sender] of socket) {
    blocks++;
    await socket.send(Uint8Array.of(0, 4, 0, bytes[3]), sender);
    if (blocks === BLOCKS) end();
  }
}
