/** The reader against Wireshark's, on every capture of the project. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { captureFiles } from "../../src/cli/capture_files.ts";
import { CaptureReader } from "../../src/capture/reader.ts";

const CAPTURES = fileURLToPath(new URL("../captures", import.meta.url));

async function hasCapinfos(): Promise<boolean> {
  try {
    return (await new Deno.Command("capinfos", { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "CaptureReader counts the packets and bytes that Wireshark's capinfos counts (needs it)",
  ignore: !await hasCapinfos(),
  fn: async () => {
    let files = 0;
    for (
      const { path, isGuess } of captureFiles([CAPTURES], (_, error) => assert.fail(`${error}`))
    ) {
      if (isGuess) continue;
      const { stdout } = await new Deno.Command("capinfos", {
        args: ["-T", "-r", "-M", "-c", "-d", path],
      }).output();
      const [, packets, wireBytes] = new TextDecoder().decode(stdout).trim().split("\t");
      using reader = await CaptureReader.open(path);
      let bytes = 0;
      while (reader.next()) bytes += reader.wireLength;
      assert.deepEqual([`${reader.frameNumber}`, `${bytes}`], [packets, wireBytes], path);
      files++;
    }
    assert.ok(files > 0);
  },
});
