/** A kernel without xt_u32, and other failures of iptables-restore: commands that stand in for it. */
import assert from "node:assert/strict";
import { mayLackMatch } from "../../../src/gateway/rules/firewall.ts";
import { program } from "../live.ts";

const messages: readonly [string, boolean][] = [
  ["iptables-restore v1.8.9 (legacy): Couldn't load match `u32':No such file or directory", true],
  ["iptables-restore v1.4.21: Couldn't load match 'u32':No such file or directory", true],
  [
    "Warning: Extension u32 revision 0 not supported, missing kernel module?\n" +
    "iptables-nft-restore: line 12: RULE_APPEND failed (No such file or directory)",
    true,
  ],
  ["iptables-restore: line 23 failed: No chain/target/match by that name.", true],
  ["Another app is currently holding the xtables lock. Stopped waiting after 5s.", false],
  ["iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id", false],
  ["iptables-restore: line 4 failed: Permission denied (you must be root).", false],
  ["", false],
];

for (const [stderr, expected] of messages) {
  Deno.test(`mayLackMatch() is ${expected} of "${stderr}"`, () => {
    assert.equal(mayLackMatch(stderr), expected);
  });
}

/** Stands in for all commands of iptables; refuses rules with u32 and keeps the others. */
const COMMAND = `#!/bin/sh
case "$0 $*" in
  *-nft*|*-legacy*) exit 1 ;;
  *-restore*)
    rules=$(cat)
    echo run >> "$KEPT.runs"
    case "$rules" in
      *"-m u32"*) printf '%s\\n' "$REFUSAL" >&2; exit 1 ;;
    esac
    printf '%s\\n' "$rules" >> "$KEPT" ;;
  *--version*) echo "iptables v1.8.9 (legacy)" ;;
esac
`;
const NAMES = ["", "-save", "-restore"].flatMap((end) =>
  ["", "-nft", "-legacy"].flatMap((backend) =>
    ["iptables", "ip6tables"].map((name) => `${name}${backend}${end}`)
  )
);

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The rules that were taken. */
  readonly kept: string;
  readonly runs: number;
}

async function restore(refusal: string): Promise<Outcome> {
  const directory = Deno.makeTempDirSync();
  try {
    for (const name of NAMES) {
      Deno.writeTextFileSync(`${directory}/${name}`, COMMAND, { mode: 0o755 });
    }
    const kept = `${directory}/kept`;
    for (const path of [kept, `${kept}.runs`]) Deno.writeTextFileSync(path, "");
    const [command, ...args] = program("firewall", "system", "any", "restore", "{}");
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args,
      env: { PATH: `${directory}:${Deno.env.get("PATH")}`, KEPT: kept, REFUSAL: refusal },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const runs = Deno.readTextFileSync(`${kept}.runs`).split("\n").length - 1;
    const outcome = { code, stdout: text(stdout), stderr: text(stderr) };
    return { ...outcome, kept: Deno.readTextFileSync(kept), runs };
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const ignore = Deno.build.os !== "linux";

Deno.test(
  "a kernel without xt_u32 gets rules without it, and it is told once",
  { ignore },
  async () => {
    const { code, stdout, stderr, kept } = await restore(messages[0][0]);
    assert.equal(code, 0, stderr);
    assert.match(kept, /-A BTBLOCKER_QUEUE .*-j NFQUEUE/);
    assert.doesNotMatch(kept, /u32/);
    assert.deepEqual(JSON.parse(stdout).told, [
      "The kernel has no u32 match (module xt_u32): segments without payload are queued too, " +
      "all flows between two addresses go to one worker",
    ]);
  },
);

Deno.test("another failure of iptables-restore is told as it is", { ignore }, async () => {
  const { code, stderr, kept, runs } = await restore(messages[4][0]);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot install the firewall rules with iptables-restore: Another app is /);
  assert.equal(kept, "", "the rules without u32 are not tried");
  assert.equal(runs, 3, "attempts");
});
