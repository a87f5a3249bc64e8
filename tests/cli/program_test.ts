import type { Command } from "@commander-js/extra-typings";
import assert from "node:assert/strict";
import { buildProgram } from "../../src/cli/program.ts";
import { flagOf, OPTION_NAMES, OPTIONS } from "../../src/config/options.ts";
import { programEnvironment } from "../../src/demo/environment.ts";
import { btblocker } from "./command_line.ts";

Deno.test("--version prints version, commit and build date", async () => {
  for (const flag of ["--version", "-V"]) {
    const { code, stdout, stderr } = await btblocker([flag]);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^btblocker \d+\.\d+\.\d+ \(commit ([\da-f]{7}|unknown), (built \S+|run from the sources)\)\n$/,
    );
    assert.equal(stderr, "");
  }
});

Deno.test("--help names every command and loads no library", async () => {
  // Without the right to load libraries: a command that loads one would fail.
  const { code, stdout, stderr } = await btblocker(["--help"], {
    permissions: ["--allow-read", "--allow-env"],
  });
  assert.equal(code, 0, stderr);
  for (const command of ["run", "analyze", "bans", "rules", "doctor", "status", "demo"]) {
    assert.match(stdout, new RegExp(`^  ${command}\\b`, "m"));
  }
});

Deno.test("run --help has a flag and a variable for every option", async () => {
  const { code, stdout } = await btblocker(["run", "--help"]);
  assert.equal(code, 0);
  const words = stdout.replace(/\s+/g, " "); // however its lines are broken
  for (const name of OPTION_NAMES) {
    assert.ok(words.includes(` ${flagOf(name)} `), flagOf(name));
    assert.ok(words.includes(`${OPTIONS[name].variable}, default: `), OPTIONS[name].variable);
  }
});

for (
  const [args, message] of [
    [["analyse"], "btblocker: unknown command 'analyse' (did you mean analyze?)"],
    [["nonsense"], "btblocker: unknown command 'nonsense'"],
    [["bans", "lst"], "btblocker: unknown command 'lst' (did you mean list?)"],
    [["analyze"], "btblocker: missing required argument 'files'"],
    [
      ["run", "--qeue-num", "3"],
      "btblocker: unknown option '--qeue-num' (did you mean --queue-num?)",
    ],
    [
      ["--monitor-onyl"],
      "btblocker: unknown option '--monitor-onyl' (did you mean --monitor-only?)",
    ],
    [["run", "--queue-num"], "btblocker: option '--queue-num <number>' argument missing"],
    [["run", "extra"], "btblocker: too many arguments for 'run'"],
    [["--queue-num", "70000"], "Cannot use --queue-num 70000: expected a number from 0 to 65535"],
    [["analyze", "--policy", "x", "f"], "Cannot use --policy x: expected default or strict"],
    [
      ["analyze", "--whitelist-ports", "x", "f"],
      "Cannot use --whitelist-ports x: expected a comma-separated list of ports",
    ],
    [["run", "--config", "/nonexistent.toml"], "Cannot read /nonexistent.toml: no such file"],
  ] as const
) {
  Deno.test(`usage error: ${args.join(" ")}`, async () => {
    const { code, stdout, stderr } = await btblocker([...args]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.ok(withoutTime(stderr).startsWith(message), stderr);
    assert.equal(stderr.indexOf("\n"), stderr.length - 1, "one line");
  });
}

/** The blocker's errors are lines of its log. */
function withoutTime(line: string): string {
  return line.replace(/^\S+Z ERROR /, "");
}

Deno.test("run tells fatal errors in the format of its log", async () => {
  const ways: [args: string[], env: Record<string, string>][] = [
    [["--queue-num", "x", "--chains", "y"], { LOG_FORMAT: "json" }],
    [["--queue-num", "x", "--chains", "y", "--log-format", "json"], { LOG_FORMAT: "text" }],
    [["run", "--log-format=json", "--queue-num", "x", "--chains=y"], {}],
  ];
  for (const [args, env] of ways) {
    const { code, stderr } = await btblocker(args, { env });
    assert.equal(code, 2);
    const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ level }) => level), ["error", "error"]);
    assert.match(lines[1].message, /^Cannot use --chains y: /);
  }
  const { stderr } = await btblocker(["--qeue-num", "3"], { env: { LOG_FORMAT: "json" } });
  assert.match(JSON.parse(stderr).message, /unknown option '--qeue-num'/);
  const shown = await btblocker(["--show-config", "--queue-num", "x"], {
    env: { LOG_FORMAT: "json" },
  });
  assert.match(shown.stderr, /^Cannot use --queue-num x/, "for a person");
});

Deno.test("what follows an unknown option is not told: it may be a secret", async () => {
  const { code, stderr } = await btblocker(["run", "--fleet-pasword=hunter2"]);
  assert.equal(code, 2);
  assert.match(stderr, /unknown option '--fleet-pasword' \(did you mean --fleet-password\?\)/);
  assert.doesNotMatch(stderr, /hunter2/);
});

Deno.test("Wrong variables are refused before anything is touched, all at once", async () => {
  const { code, stdout, stderr } = await btblocker([], {
    env: { QUEUE_NUM: "70000", LOG_LEVEL: "loud", QUEUE_NUMBER: "1" },
  });
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.deepEqual(stderr.trimEnd().split("\n").map(withoutTime), [
    "Cannot use QUEUE_NUM=70000: expected a number from 0 to 65535",
    "Cannot use LOG_LEVEL=loud: expected error, warn, info or debug",
  ]);
});

Deno.test("run --show-config prints the effective values and their origin", async () => {
  const config = Deno.makeTempFileSync({ suffix: ".toml" });
  try {
    Deno.writeTextFileSync(config, "log_level = 'debug'\n");
    // No command means run.
    const { code, stdout } = await btblocker(
      ["--show-config", "--config", config, "--monitor-only", "--chains", "INPUT,OUTPUT"],
      { env: { BAN_DURATION: "5m", XDP_CLEANUP_INTERVAL: "60" } },
    );
    assert.equal(code, 0);
    assert.match(stdout, /^ban_duration = 300 +# variable BAN_DURATION$/m);
    assert.match(stdout, /^cleanup_interval = 60 +# variable XDP_CLEANUP_INTERVAL$/m);
    assert.match(stdout, /^monitor_only = true +# flag --monitor-only$/m);
    assert.match(stdout, /^chains = \["INPUT", "OUTPUT"\] +# flag --chains$/m);
    assert.match(stdout, new RegExp(`^log_level = "debug" +# file ${config}: log_level$`, "m"));
    assert.match(stdout, /^queue_num = 0 +# default$/m);
  } finally {
    Deno.removeSync(config);
  }
});

Deno.test("every command's --help is at most 80 columns wide, whatever the terminal", () => {
  const commands: Command[] = [buildProgram(() => {})];
  for (const command of commands) commands.push(...command.commands as Command[]);
  assert.ok(commands.length > 12, `${commands.length} commands`);
  for (const command of commands) {
    const wide = command.helpInformation().split("\n").filter((line) => line.length > 80);
    assert.deepEqual(wide, [], command.name());
  }
});

Deno.test("--help shows what a command goes by, and its other settings are taken all the same", async () => {
  const shown = async (...words: string[]) => {
    const { stdout } = await btblocker([...words, "--help"]);
    return stdout.split("\n").filter((line) => line.startsWith("  -")).length;
  };
  assert.ok(await shown("run") > 40);
  assert.ok(await shown("rules", "show") < 12);
  assert.ok(await shown("doctor") < 12);
  const { code, stderr } = await btblocker(["rules", "show", "--ban-duration", "5x"]);
  assert.equal(code, 2);
  assert.match(stderr, /^Cannot use --ban-duration 5x/);
});

Deno.test("a full disk under standard output is told in one line", async () => {
  for (const words of ["--help", "--show-config", "analyze tests/captures/redis.pcap"]) {
    const { code, stderr } = await new Deno.Command("sh", {
      args: ["-c", `exec "${Deno.execPath()}" run -A --quiet main.ts ${words} > /dev/full`],
      cwd: new URL("../../", import.meta.url),
      env: programEnvironment(Deno.env.toObject()),
      clearEnv: true,
    }).output();
    assert.equal(code, 1, words);
    assert.match(
      new TextDecoder().decode(stderr),
      /^Cannot write .*: No space left on device.*\n$/,
    );
  }
});
