/**
 * Small talk over TCP and UDP:
 *
 *     talk.ts serve PORT…                       echoes, both protocols, both families
 *     talk.ts tcp HOST PORT BYTES ROUNDS MS     sends and awaits the echo, round by round
 *     talk.ts udp HOST PORT BYTES ROUNDS MS
 *     talk.ts flood HOST PORT BYTES COUNT       datagrams, awaits nothing
 *
 * Prints how many rounds were answered within so many milliseconds each.
 */

const [command, ...rest] = Deno.args;
/** To connect, whatever becomes of the talk. */
const CONNECT_MS = 30_000;

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
  const [port, length, rounds, patienceMs] = rest.slice(1).map(Number);
  const payload = new Uint8Array(length).fill(0x55);
  console.log(`answered ${await talk(command, rest[0], port, payload, rounds, patienceMs)}`);
  Deno.exit(0);
}

async function talk(
  command: string,
  hostname: string,
  port: number,
  payload: Uint8Array<ArrayBuffer>,
  rounds: number,
  patienceMs: number,
): Promise<number> {
  let answered = 0;
  if (command === "tcp") {
    const connection = await within(Deno.connect({ hostname, port }), CONNECT_MS);
    if (connection === null) return 0;
    const buffer = new Uint8Array(65_536);
    for (let round = 0; round < rounds; round++) {
      const sending = writeAll(connection, payload);
      for (let received = 0; received < payload.length;) {
        const count = await within(connection.read(buffer), patienceMs);
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
    else if (await within(socket.receive(), patienceMs) !== null) answered++;
  }
  return answered;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** The result, or null when it takes too long or fails. */
async function within<T>(promise: Promise<T>, patienceMs: number): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<null>((resolve) => timer = setTimeout(resolve, patienceMs, null));
  try {
    return await Promise.race([promise, tooLate]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
