import assert from "node:assert/strict";

Deno.test("Engine allocates nothing per packet: a million packets, at most two young collections", async () => {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--v8-flags=--trace-gc,--max-semi-space-size=1", // a collection for each MiB allocated
      new URL("allocation_run.ts", import.meta.url).pathname,
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  assert.equal(output.success, true, new TextDecoder().decode(output.stderr));
  const measured = text.slice(text.indexOf("begin"), text.indexOf("end "));
  assert.match(text, /\bend 2000000 \d{3,} \d+/);
  // One MiB over a million packets is one byte a packet.
  const collections = measured.split("\n").filter((line) => /Scavenge|Mark-Compact/.test(line));
  assert.ok(collections.length <= 2, collections.join("\n"));
});
