import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { manualPage } from "../../scripts/man.ts";
import { flagOf, OPTION_NAMES, OPTIONS } from "../../src/config/options.ts";

const PAGE = new URL("../../deploy/man/btblocker.8", import.meta.url);

Deno.test("The manual page is up to date (deno task docs)", () => {
  assert.equal(Deno.readTextFileSync(PAGE), manualPage());
});

Deno.test("The manual page has every setting", () => {
  const page = manualPage().replaceAll("\\-", "-");
  for (const name of OPTION_NAMES) {
    assert.ok(page.includes(`.B ${flagOf(name)} `), name);
    assert.ok(page.includes(`Variable ${OPTIONS[name].variable}`), name);
  }
});

const hasMan = new Deno.Command("sh", { args: ["-c", "command -v man"] }).outputSync().success;

Deno.test({
  name: `man renders the page without a warning${hasMan ? "" : " (skipped: needs man)"}`,
  ignore: !hasMan,
  async fn() {
    const { success, stdout, stderr } = await new Deno.Command("man", {
      args: ["--warnings", "-l", fileURLToPath(PAGE)],
      env: { MANWIDTH: "80", LC_ALL: "C.UTF-8" },
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.ok(success);
    // deno-lint-ignore no-control-regex -- bold is a letter, a backspace and the letter again
    const text = new TextDecoder().decode(stdout).replace(/.\x08/g, "");
    assert.match(text, /^BTBLOCKER\(8\)/m);
    assert.match(text, /btblocker analyze \[flag\]\.\.\. files\.\.\./);
  },
});
