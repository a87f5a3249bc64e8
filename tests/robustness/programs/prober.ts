/**
 * Clean traffic that tells when it flows: prober.ts HOST PORT opens a connection every 20 ms, says
 * something, awaits the echo, and prints of the connections that worked when they began and when the
 * echo was there (Unix time, ms).
 */
const [hostname, port] = [Deno.args[0], Number(Deno.args[1])];
const EVERY_MS = 20;
const PATIENCE_MS = 3_000;

setInterval(() => {
  const began = Date.now();
  attempt().then(() => console.log(`ok ${began} ${Date.now()}`), () => {});
}, EVERY_MS);

async function attempt(): Promise<void> {
  const connection = await Deno.connect({ hostname, port });
  const timer = setTimeout(() => connection.close(), PATIENCE_MS);
  try {
    await connection.write(new TextEncoder().encode("hello there"));
    await connection.read(new Uint8Array(64));
  } finally {
    clearTimeout(timer);
    connection.close();
  }
}
