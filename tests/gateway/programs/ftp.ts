/**
 * As little of FTP (RFC 959, PASV) as conntrack's helper wants: a control connection to port 21 whose
 * server names another port, and a data connection to that.
 *
 *     ftp.ts serve ADDRESS
 *     ftp.ts ask HOST       prints how many of four messages came over the data connection
 */
import { TextLineStream } from "../../../src/blocker/text_lines.ts";

const MESSAGES = 4;
const [command, host] = Deno.args;
const encode = (text: string) => new TextEncoder().encode(text);

if (command === "serve") {
  const listener = Deno.listen({ hostname: "0.0.0.0", port: 21 });
  const data = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const { port } = data.addr as Deno.NetAddr;
  console.log("ready");
  for await (const control of listener) {
    await control.write(encode("220 ready\r\n"));
    await control.read(new Uint8Array(100)); // PASV
    const place = [...host.split("."), port >> 8, port & 255].join(",");
    await control.write(encode(`227 Entering Passive Mode (${place}).\r\n`));
    const connection = await data.accept();
    for (let i = 0; i < MESSAGES; i++) {
      await connection.write(Uint8Array.of(0xf7, i));
      await connection.read(new Uint8Array(1));
    }
    connection.close();
  }
} else {
  const control = await Deno.connect({ hostname: host, port: 21 });
  for await (const line of control.readable.pipeThrough(new TextLineStream())) {
    const place = /^227 .*\((?:\d+,){4}(\d+),(\d+)\)/.exec(line);
    if (place === null) {
      const socket = control as Deno.TcpConn;
      await socket.write(encode("PASV\r\n"));
      continue;
    }
    const port = Number(place[1]) * 256 + Number(place[2]);
    const connection = await Deno.connect({ hostname: host, port });
    let messages = 0;
    const buffer = new Uint8Array(2);
    while (await connection.read(buffer) !== null) {
      messages++;
      if (messages === MESSAGES) break;
      await connection.write(Uint8Array.of(1));
    }
    console.log(`answered ${messages}`);
    Deno.exit(0);
  }
}
