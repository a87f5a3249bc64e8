import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { completions } from "../../scripts/completions.ts";
import { flagOf, OPTION_NAMES } from "../../src/config/options.ts";

const DIRECTORY = fileURLToPath(new URL("../../deploy/completions/", import.meta.url));

for (const [name, text] of Object.entries(completions())) {
  Deno.test(`${name} is up to date (deno task docs) and has every flag`, () => {
    assert.equal(Deno.readTextFileSync(DIRECTORY + name), text);
    for (const option of OPTION_NAMES) {
      assert.ok(text.includes(flagOf(option).slice(name.endsWith("fish") ? 2 : 0)), option);
    }
    assert.ok(!text.includes("demo-peer"), "a hidden command");
  });
}

function hasShell(shell: string): boolean {
  return new Deno.Command("sh", { args: ["-c", `command -v "$0"`, shell] }).outputSync().success;
}

async function run(shell: string, ...args: string[]): Promise<string[]> {
  const { stdout, stderr } = await new Deno.Command(shell, { args }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line !== "");
}

for (
  const [shell, file] of [
    ["bash", "btblocker.bash"],
    ["zsh", "_btblocker"],
    ["fish", "btblocker.fish"],
  ] as const
) {
  const isThere = hasShell(shell);
  Deno.test({
    name: `${shell} accepts its completion${isThere ? "" : ` (skipped: needs ${shell})`}`,
    ignore: !isThere,
    fn: async () => assert.deepEqual(await run(shell, "-n", DIRECTORY + file), []),
  });
}

/** Command line, what must be among the answers, what must not. */
const CASES: readonly [string, readonly string[], readonly string[]][] = [
  ["btblocker ", ["run", "analyze", "bans", "doctor"], ["list", "demo-peer"]],
  ["btblocker ba", ["bans"], ["run"]],
  ["btblocker bans ", ["list", "add", "remove", "clear"], ["run", "bans"]],
  ["btblocker bans add --", ["--duration", "--json"], ["--policy"]],
  ["btblocker run --ban-t", ["--ban-target"], ["--ban-scope"]],
  ["btblocker --ban-t", ["--ban-target"], ["--ban-scope"]],
  ["btblocker run --policy ", ["default", "strict"], ["run"]],
  ["btblocker run --log-level d", ["debug"], ["info"]],
  ["btblocker rules show --chains ", ["INPUT", "FORWARD", "OUTPUT"], ["show"]],
  ["btblocker doctor --interface ", Deno.build.os === "linux" ? ["lo"] : [], ["run"]],
];

const BASH = `. "$0"; COMP_WORDS=($1); [[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _btblocker; printf '%s\\n' "\${COMPREPLY[@]}"`;

for (const [line, wanted, unwanted] of CASES) {
  for (const shell of ["bash", "fish"] as const) {
    const isThere = hasShell(shell);
    Deno.test({
      name: `${shell} completes "${line}"${isThere ? "" : ` (skipped: needs ${shell})`}`,
      ignore: !isThere,
      async fn() {
        const file = `${DIRECTORY}btblocker.${shell}`;
        const answers = shell === "bash"
          ? await run("bash", "--norc", "-c", BASH, file, line)
          : await run(
            "fish",
            "--no-config",
            "-c",
            `source $argv[1]; complete -C $argv[2]`,
            file,
            line,
          );
        const words = answers.map((answer) => answer.split("\t")[0]);
        for (const word of wanted) assert.ok(words.includes(word), `${word} in ${words}`);
        for (const word of unwanted) assert.ok(!words.includes(word), `${word} in ${words}`);
      },
    });
  }
}

const hasZsh = hasShell("zsh");

Deno.test({
  name: `zsh knows what its functions call${hasZsh ? "" : " (skipped: needs zsh)"}`,
  ignore: !hasZsh,
  async fn() {
    // The functions are defined as zsh would define them; each call of another one has its target.
    const text = Deno.readTextFileSync(`${DIRECTORY}_btblocker`);
    const defined = new Set(
      Array.from(text.matchAll(/^(_btblocker\w*)\(\)/gm), ([, name]) => name),
    );
    for (const [, called] of text.matchAll(/\) (_btblocker\w*) ;;/g)) {
      assert.ok(defined.has(called));
    }
    const script = `autoload -Uz compinit && compinit -D -u; fpath=($1 $fpath); autoload -Uz ` +
      `_btblocker; (( $+functions[_arguments] )) && functions -u | grep -c '^_btblocker '; ` +
      `whence -w _btblocker`;
    const answers = await run("zsh", "-f", "-c", script, "zsh", DIRECTORY);
    assert.ok(answers.includes("_btblocker: function"), answers.join());
  },
});
