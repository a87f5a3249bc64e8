/** What a build leaves where it is cut off. */
import assert from "node:assert/strict";
import { writeWhole } from "../../scripts/packing/run.ts";

Deno.test("writeWhole() leaves what was there, and nothing beside it, where the writer fails", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/btblocker.deb`;
    await writeWhole(path, (unfinished) => Deno.writeTextFile(unfinished, "whole"));
    await assert.rejects(
      writeWhole(path, async (unfinished) => {
        await Deno.writeTextFile(unfinished, "ha");
        throw new Error("cut off");
      }),
      /cut off/,
    );
    assert.equal(await Deno.readTextFile(path), "whole");
    assert.deepEqual(Array.from(Deno.readDirSync(directory), ({ name }) => name), [
      "btblocker.deb",
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
