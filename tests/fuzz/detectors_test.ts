/** A detector that nobody fuzzes is one that nobody has added to the readers. */
import assert from "node:assert/strict";
import { READERS } from "./detectors.ts";

const PROTOCOLS = new URL("../../src/protocols/", import.meta.url);

Deno.test("every detector of a protocol is fuzzed", async () => {
  const missing: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(PROTOCOLS)) {
    if (!isDirectory) continue;
    for (const file of Deno.readDirSync(new URL(`${name}/`, PROTOCOLS))) {
      if (!file.name.startsWith("detect")) continue;
      const module = await import(new URL(`${name}/${file.name}`, PROTOCOLS).href);
      const detectors = Object.keys(module).filter((key) => /^detect[A-Z]/.test(key));
      missing.push(...detectors.filter((key) => !(key in READERS)));
    }
  }
  assert.deepEqual(missing, []);
});
