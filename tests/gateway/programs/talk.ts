/**
 * Small talk over TCP and UDP:
 *
 *     talk.ts serve PORT…                       echoes, both protocols, both families
 *     talk.ts tcp HOST PORT BYTES ROUNDS        sends and awaits the echo, round by round
 *     talk.ts udp HOST PORT BYTES ROUNDS
 *     talk.ts flood HOST PORT BYTES COUNT       datagrams, awaits nothing
 *
 * Prints how many rounds were answered within a second each.
 */

const [command, ...rest] = Deno.args;
const PATIENCE_MS = 1_000;

if (command === "serve") {
  for (const port of rest.map(Number)) {
    const listener = Deno.listen({ hostname: "::", port });
    (async () => {
      for await (const connection of listener) {
        connection.readable.pipeTo(connection.writable).catch(() => {});
      }
    })();
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "::", port });
    (async () => {
      for await (const [bytes, sender] of socket) await socket.send(bytes, sender);
    })();
  }
  console.log("ready");
} else {
  const [hostname, port, length, rounds] = [rest[0], ...rest.slice(1).map(Number)] as [
    string,
    number,
    number,
    number,
  ];
  const payload = new Uint8Array(length).fill(0x55);
  console.log(`answered ${await talk(command, hostname, port, payload, rounds)}`);
  Deno.exit(0);
}

async function talk(
  command: string,
  hostname: string,
  port: number,
  payload: Uint8Array<ArrayBuffer>,
  rounds: number,
): Promise<number> {
  let answered = 0;
  if (command === "tcp") {
    const connection = await within(Deno.connect({ hostname, port }));
    if (connection === null) return 0;
    const buffer = new Uint8Array(65_536);
    for (let round = 0; round < rounds; round++) {
      const sending = writeAll(connection, payload);
      for (let received = 0; received < payload.length;) {
        const count = await within(connection.read(buffer));
        if (count === null) return answered;
        received += count;
      }
      await sending;
      answered++;
    }
    return answered;
  }
  const local = hostname.includes(":") ? "::" : "0.0.0.0";
  const socket = Deno.listenDatagram({ transport: "udp", hostname: local, port: 0 });
  for (let round = 0; round < rounds; round++) {
    await socket.send(payload, { transport: "udp", hostname, port });
    if (command === "flood") answered++;
    else if (await within(socket.receive()) !== null) answered++;
  }
  return answered;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** The result, or null when it takes too long or fails. */
async function within<T>(promise: Promise<T>): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<null>((resolve) => timer = setTimeout(resolve, PATIENCE_MS, null));
  try {
    return await Promise.race([promise, tooLate]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
