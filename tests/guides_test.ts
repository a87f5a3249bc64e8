import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { loadConfig } from "../src/config/load.ts";

const ROOT = new URL("../", import.meta.url);

const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  ...Array.from(Deno.readDirSync(new URL("docs/", ROOT)), ({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md")),
];

for (const page of PAGES) {
  const url = new URL(page, ROOT);
  const text = Deno.readTextFileSync(url);

  Deno.test(`${page}: its links lead to files that are there`, () => {
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      assert.ok(Deno.statSync(new URL(target, url)), target);
    }
  });

  // A block without a language that is TOML from its first key on is a settings file.
  const blocks = Array.from(
    text.matchAll(/^\s*```(?:toml)?\n([^]*?)^\s*```$/gm),
    ([, block]) => block,
  )
    .filter((block) =>
      /^\s*[a-z_]+ = /m.test(block) && !/^\s*(sudo|docker|ct mark|caps=)/m.test(block)
    );
  for (const [index, block] of blocks.entries()) {
    Deno.test(`${page}: settings ${index + 1} are accepted`, () => {
      parse(block);
      const file = Deno.makeTempFileSync({ suffix: ".toml" });
      try {
        Deno.writeTextFileSync(file, block);
        loadConfig({ configPath: file, variables: {} });
      } finally {
        Deno.removeSync(file);
      }
    });
  }
}
