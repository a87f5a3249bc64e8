import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { BEGIN, END, optionTable, withOptionTable } from "../../scripts/docs.ts";
import { flagOf, OPTION_NAMES, OPTIONS, tomlKeyOf } from "../../src/config/options.ts";

Deno.test("optionTable() has a row for every option", () => {
  const [, , ...rows] = optionTable().split("\n");
  assert.equal(rows.length, OPTION_NAMES.length);
  OPTION_NAMES.forEach((name, index) => {
    assert.ok(rows[index].startsWith(`| \`${OPTIONS[name].variable}\``));
    assert.ok(rows[index].includes(`\`${flagOf(name)}\``));
    assert.ok(rows[index].includes(`\`${tomlKeyOf(name)}\``));
  });
});

Deno.test("withOptionTable() changes what is between the markers and nothing else", () => {
  const updated = withOptionTable(`# Title\n\n${BEGIN}\nold\n${END}\n\nrest\n`);
  assert.ok(updated.startsWith(`# Title\n\n${BEGIN}\n`));
  assert.ok(updated.endsWith(`${END}\n\nrest\n`));
  assert.ok(!updated.includes("old\n"));
  assert.equal(withOptionTable(updated), updated);
  assert.throws(() => withOptionTable("no markers"), RangeError);
});

const SETTINGS = new URL("../../docs/SETTINGS.md", import.meta.url);

Deno.test({
  name: "docs/SETTINGS.md has the option table as the code has it (deno run -A scripts/docs.ts)",
  ignore: !existsSync(SETTINGS),
  fn: () => {
    const document = Deno.readTextFileSync(SETTINGS);
    assert.equal(document, withOptionTable(document));
  },
});
