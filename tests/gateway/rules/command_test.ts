import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const HOMELESS = fileURLToPath(new URL("../programs/homeless.ts", import.meta.url));

// One that the user may not enter is the same to a new process.
Deno.test("commands run where the working directory is gone", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", HOMELESS],
  }).output();
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), [
    "seen",
    "seen\n",
    "btblocker-no-such-command not found",
  ]);
});
