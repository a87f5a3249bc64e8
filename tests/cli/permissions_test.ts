import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import manifest from "../../deno.json" with { type: "json" };
import { btblocker } from "./command_line.ts";

const CAPTURE = fileURLToPath(new URL("../captures/libtorrent-lsd.pcap", import.meta.url));

Deno.test("deno task analyze has the least permissions that work (docs/permissions.md)", async () => {
  const command = manifest.tasks.analyze.command;
  const permissions = command.split(" ").filter((word) => word.startsWith("--allow"));
  assert.deepEqual(permissions, ["--allow-read", "--allow-env"]);
  const { code, stdout, stderr } = await btblocker(["analyze", "--json", CAPTURE], { permissions });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"type":"detection"/);
  assert.equal(stderr, "");
});
