import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

Deno.test("Engine allocates nothing per packet: a million packets, at most two young collections", async () => {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--v8-flags=--trace-gc,--max-semi-space-size=1", // a collection for each MiB allocated
      fileURLToPath(new URL("allocation_run.ts", import.meta.url)),
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  assert.equal(output.success, true, new TextDecoder().decode(output.stderr));
  assert.match(text, /\bjudged 6000000 \d{3,} \d+/);
  // One MiB over a million packets is one byte a packet. The best round counts: code is compiled
  // beside the packets, on a busy machine much later, and what is not compiled allocates.
  const rounds = text.split("begin\n").slice(1).map((round) => round.split("end\n")[0]);
  assert.equal(rounds.length, 5);
  const collections = rounds.map((round) => round.match(/Scavenge|Mark-Compact/g)?.length ?? 0);
  assert.ok(Math.min(...collections) <= 2, text);
});
