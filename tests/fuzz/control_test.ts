/** Garbage at the control socket: every line gets an answer in JSON, and the socket goes on. */
import assert from "node:assert/strict";
import { askControl, ControlServer } from "../../src/blocker/control.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

const LINES = 3_000;
const encoder = new TextEncoder();
const SEEDS = [
  '{"command":"bans","argument":{"action":"list"}}',
  '{"command":"status","argument":null}',
  '{"command":"toString"}',
  '{"command":"__proto__","argument":[[[[]]]]}',
  "null",
  "7",
  "[]",
].map((text) => encoder.encode(text));

Deno.test({
  name: "the control socket answers every line, whatever it says",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "btblocker-fuzz-" });
    const handlers = { bans: () => [], status: () => ({ fine: true }) };
    try {
      await using server = new ControlServer(4711, handlers, directory);
      using connection = await Deno.connect({ transport: "unix", path: server.path });
      const random = new Random(Date.now());
      const lines = Array.from({ length: LINES }, () => {
        const bytes = mutate(random.pick(SEEDS), random, SEEDS).filter((byte) => byte !== 0x0a);
        return [...bytes, 0x0a];
      });
      const sending = writeAll(connection, Uint8Array.from(lines.flat()));
      let answers = 0;
      let rest = "";
      const reader = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
      while (answers < LINES) {
        const { value, done } = await reader.read();
        assert.ok(!done, `${answers} answers`);
        const parts = (rest + value).split("\n");
        rest = parts.pop()!;
        for (const part of parts) {
          const answer = JSON.parse(part);
          assert.ok("result" in answer || typeof answer.error === "string" || part === "{}", part);
          answers++;
        }
      }
      await sending;
      await reader.cancel();
      // Half a line, and away.
      const other = await Deno.connect({ transport: "unix", path: server.path });
      await other.write(encoder.encode('{"command":'));
      other.close();
      const asked = await askControl(4711, "status", null, directory);
      assert.deepEqual(asked?.result, { fine: true });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await connection.write(bytes.subarray(sent, sent + 16_384));
  }
}
