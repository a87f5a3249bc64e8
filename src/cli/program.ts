/**
 * The command line: commands, flags, exit codes. Every command's module is loaded when it runs
 * (commands.ts), so that `--help` and `analyze` work where there is no libnetfilter_queue, no libbpf
 * and no Linux.
 *
 * A command's module exports one function that returns the exit code:
 *
 * - `rules.ts`   `rules(action, loaded)`
 * - `bans.ts`    `bans(action, addresses, { json, duration, fleet })`
 * - `doctor.ts`  `doctor(loaded, { json })`
 * - `status.ts`  `status({ json, watch })`
 * - `demo.ts`    `demo({ json, keep })`
 */
import { Command, CommanderError, type Help, Option as Flag } from "@commander-js/extra-typings";
import * as v from "valibot";
import { closest } from "../config/closest.ts";
import type { LoadedConfig } from "../config/load.ts";
import {
  type Config,
  defaultTextOf,
  flagOf,
  type Option,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
} from "../config/options.ts";
import { EnvironmentError, UsageError } from "../errors.ts";
import { versionLine } from "../version.ts";
import { load } from "./commands.ts";
import { Output } from "./output.ts";

const EXIT_OK = 0;
/** The machine does not allow it, or an input could not be read. */
const EXIT_ENVIRONMENT = 1;
/** An unknown command or option, a value that is not allowed. */
const EXIT_USAGE = 2;

/** Runs the command line and returns the exit code; prints every error itself. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = EXIT_OK;
  const words = withDefaultCommand(args);
  const refusals: string[] = [];
  const program = buildProgram((code) => exitCode = code, (line) => refusals.push(line));
  try {
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      await tell(refusals, words);
      return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    }
    if (error instanceof UsageError) {
      await tell(error.message.split("\n"), words);
      return EXIT_USAGE;
    }
    if (error instanceof EnvironmentError) {
      await tell([error.message], words);
      return EXIT_ENVIRONMENT;
    }
    if (isFull(error)) {
      await tell([`Cannot write what is asked for: ${error.message}`], words);
      return EXIT_ENVIRONMENT;
    }
    const why = error instanceof Error ? error.stack ?? error.message : String(error);
    const title = "Cannot go on: an error that should not happen; please report it";
    await tell([title, ...why.split("\n")], words);
    return EXIT_ENVIRONMENT;
  }
}

/** Whether standard output, or a file, is on a disk that is full. */
function isFull(error: unknown): error is Error {
  return error instanceof Error && (error as Error & { code?: string }).code === "ENOSPC";
}

/**
 * Says why a command ended: the blocker in its log, for what collects that (journald's priorities,
 * JSON lines), the others on standard error.
 */
async function tell(lines: readonly string[], words: readonly string[]): Promise<void> {
  if (words[0] !== "run" || words.includes("--show-config")) {
    for (const line of lines) console.error(line);
    return;
  }
  const { logLine, setupErrorLog } = await load.logging();
  setupErrorLog(logFormatOf(words));
  for (const line of lines) logLine("error", line);
}

/** Settings that cannot be used are told in the format they ask for, as far as that is known. */
function logFormatOf(words: readonly string[]): Config["logFormat"] {
  const flag = flagOf("logFormat");
  const at = words.findLastIndex((word) => word === flag || word.startsWith(`${flag}=`));
  const given = at < 0
    ? Deno.env.get(OPTIONS.logFormat.variable)
    : words[at].slice(flag.length + 1) || words[at + 1];
  const result = v.safeParse(OPTIONS.logFormat.kind.schema, given);
  return result.success ? result.output : OPTIONS.logFormat.default;
}

/** Of a terminal as it opens; manuals and mails have it too. */
const HELP_WIDTH = 80;
/** What stands beside its description; longer terms stand above it. */
const LONGEST_BESIDE = 28;

/** A term with its description beside it or below, in {@link HELP_WIDTH} columns. */
function formatItem(term: string, termWidth: number, description: string, helper: Help): string {
  const isBeside = termWidth <= LONGEST_BESIDE;
  const indent = isBeside ? 2 + termWidth + 2 : 6;
  const lines = helper.boxWrap(description, HELP_WIDTH - indent).split("\n")
    .map((line, index) => index === 0 && isBeside ? line : " ".repeat(indent) + line);
  return isBeside
    ? `  ${term.padEnd(termWidth)}  ${lines.join("\n")}`.trimEnd()
    : `  ${term}\n${lines.join("\n")}`.trimEnd();
}

/** No command means run, as in the original: `btblocker --monitor-only`. */
function withDefaultCommand(args: readonly string[]): string[] {
  const [first] = args;
  const asksAboutProgram = ["-h", "--help", "-V", "--version"].includes(first);
  if (first === undefined || (first.startsWith("-") && !asksAboutProgram)) return ["run", ...args];
  return [...args];
}

type Flags = Readonly<Record<string, unknown>>;

/**
 * All commands with their flags.
 *
 * @param exit gets the exit code of the command that runs
 * @param refuse gets the line that says why a command line is none
 */
export function buildProgram(
  exit: (code: number) => void,
  refuse: (line: string) => void = console.error,
): Command {
  const program = new Command("btblocker")
    .description("Keeps BitTorrent off a machine or the networks behind it")
    .version(versionLine(), "-V, --version", "print version, commit and build date")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ showGlobalOptions: false, helpWidth: HELP_WIDTH, formatItem })
    .configureOutput({
      outputError: (text) => refuse(oneLine(text)),
      writeOut: (text) => {
        const output = new Output();
        output.line(text.replace(/\n$/, ""));
        output.flush();
      },
    })
    .addHelpText("after", "\nWithout a command: run. Exit codes: 1 environment, 2 usage.");

  const run = program.command("run")
    .description("block (root, or CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON)")
    .option("--show-config", "print the effective settings and where each comes from, and end")
    .action(async (_, command) => {
      const flags = command.opts() as Flags;
      const loaded = await loadFrom(flags);
      let lastFile = loaded.file;
      const reload = async () => {
        const again = await loadFrom(flags, lastFile);
        lastFile = again.file;
        return again;
      };
      if (flags.showConfig === true) {
        const { showConfig } = await load.config();
        console.log(showConfig(loaded));
        return;
      }
      exit(await (await load.run()).run(loaded, reload));
    });
  addConfigFlags(run as unknown as Command);

  program.command("analyze")
    .description("judge captures (pcap, pcapng), no privileges, any platform")
    .argument("<files...>", "captures, directories of captures, - for standard input")
    .option("--json", "one JSON object a line: detections, and a summary a file")
    .option("--html <path>", "write a page too: timeline, hosts, the bytes of every detection")
    .option("--policy <default|strict>", OPTIONS.policy.help)
    .option("--block-socks [true|false]", OPTIONS.blockSocks.help)
    .option("--block-mentions [true|false]", OPTIONS.blockMentions.help)
    .option("--whitelist-ports <ports>", "ports that are passed over (default: none)")
    .option("--detection-log <path>", OPTIONS.detectionLog.help)
    .option("--detection-log-format <text|json>", OPTIONS.detectionLogFormat.help)
    .option("--detection-pcap <path>", OPTIONS.detectionPcap.help)
    .action(async (files, flags) => {
      const path = flagValue("detectionLog", flags.detectionLog, "");
      const format = flagValue("detectionLogFormat", flags.detectionLogFormat, "text");
      if (path === "" && flags.detectionLogFormat !== undefined) {
        throw new UsageError("Cannot use --detection-log-format without --detection-log");
      }
      const detectionPcap = flagValue("detectionPcap", flags.detectionPcap, "");
      const policy = {
        strict: flagValue("policy", flags.policy, "default") === "strict",
        blockSocks: flagValue("blockSocks", flags.blockSocks, false),
        blockMentions: flagValue("blockMentions", flags.blockMentions, false),
        whitelistPorts: flagValue("whitelistPorts", flags.whitelistPorts, []),
      };
      const { analyze } = await load.analyze();
      exit(
        await analyze(files, {
          json: flags.json === true,
          policy,
          ...flags.html === undefined ? {} : { html: flags.html },
          ...path === "" ? {} : { detectionLog: { path, format } },
          ...detectionPcap === "" ? {} : { detectionPcap },
        }),
      );
    });

  const bans = program.command("bans").description("list, add or lift bans");
  bans.command("list").description("print the bans in force")
    .option("--json", "one JSON object a line")
    .action(async ({ json }) => {
      exit(await (await load.bans()).bans("list", [], { json: json === true }));
    });
  bans.command("add").description("ban addresses")
    .argument("<addresses...>")
    .option("--duration <duration>", `how long (default: ${defaultTextOf("banDuration")} seconds)`)
    .option("--json", "one JSON object an address")
    .action(async (addresses, flags) => {
      const { duration: text, json } = flags;
      const duration = flagValue("banDuration", text, OPTIONS.banDuration.default, "--duration");
      const options = { json: json === true, duration };
      exit(await (await load.bans()).bans("add", addresses, options));
    });
  bans.command("remove").description("lift the bans of addresses")
    .argument("<addresses...>")
    .option("--json", "one JSON object an address")
    .option("--fleet", "on all machines of the fleet")
    .action(async (addresses, { json, fleet }) => {
      const options = { json: json === true, fleet: fleet === true };
      exit(await (await load.bans()).bans("remove", addresses, options));
    });
  bans.command("clear").description("lift all bans")
    .option("--json", "one JSON object")
    .action(async ({ json }) => {
      exit(await (await load.bans()).bans("clear", [], { json: json === true }));
    });

  const log = program.command("log").description("answer questions about past detections");
  const find = log.command("find")
    .description("find what a complaint names in the detection log, rotated files too")
    .argument(
      "[files...]",
      "logs (default: DETECTION_LOG and its rotated files), text, JSON or gzip",
    )
    .option("--info-hash <hash>", "of the torrent: 40 or 64 hexadecimal digits, or base 32")
    .option("--port <port>", "of either end")
    .option("--address <address>", "of either end")
    .option("--between <times>", "FROM/UNTIL (ISO 8601, local unless it says), or one day")
    .option("--json", "one JSON object a line")
    .option("--config <path>", "TOML file (default: /etc/btblocker/config.toml, if there)")
    .action(async (files, flags) => {
      const { findInLog } = await load.log();
      const setting = async () => {
        const { config } = flags;
        return (await loadFrom(config === undefined ? {} : { config })).config.detectionLog;
      };
      exit(await findInLog(files, flags, setting));
    });
  find.addHelpText(
    "after",
    "\nExit codes: 0 found, 1 nothing found or a file cannot be read, 2 usage.",
  );

  const rules = program.command("rules").description("install, remove or show the firewall rules");
  for (
    const [action, help] of [
      ["install", "install the rules"],
      ["remove", "remove the rules"],
      ["show", "print the rules as they would be installed"],
    ] as const
  ) {
    const command = rules.command(action).description(help)
      .action(async (_, self) => {
        const loaded = await loadFrom(self.opts() as Flags);
        exit(await (await load.rules()).rules(action, loaded));
      });
    addConfigFlags(command as unknown as Command, action === "remove" ? [] : RULE_OPTIONS);
  }

  const doctor = program.command("doctor")
    .description("can this machine run it: kernel, libraries, rights, rules")
    .option("--json", "one JSON array of findings")
    .action(async (_, command) => {
      const flags = command.opts() as Flags;
      const loaded = await loadFrom(flags);
      exit(await (await load.doctor()).doctor(loaded, { json: flags.json === true }));
    });
  addConfigFlags(doctor as unknown as Command, MACHINE_OPTIONS);

  program.command("status")
    .description("counters of the running one")
    .option("--json", "one JSON object")
    .option("--watch", "again every second")
    .action(async ({ json, watch }) => {
      const { status } = await load.status();
      exit(await status({ json: json === true, watch: watch === true }));
    });

  program.command("demo")
    .description("a network in namespaces, torrent traffic through it, blocked (root)")
    .option("--json", "one JSON object")
    .action(async ({ json }) => {
      exit(await (await load.demo()).demo({ json: json === true }));
    });

  program.command("demo-peer <order>", { hidden: true }) // what the demo starts in its hosts
    .action(async (order) => {
      exit(await (await load.demoPeer()).demoPeer(order));
    });

  return program as unknown as Command;
}

/** The options that the firewall rules follow from (`guardedTraffic`). */
const RULE_OPTIONS: readonly OptionName[] = [
  ...["queueNum", "queueCount", "chains", "markMask", "recheck"] as const,
  ...["monitorOnly", "whitelistPorts"] as const,
];

/** Those that most findings about a machine depend on. */
const MACHINE_OPTIONS: readonly OptionName[] = [
  ...["interfaces", "xdpMode", "chains", "queueNum", "queueCount", "markMask"] as const,
];

/**
 * A flag for every option of the table.
 *
 * @param shown those that the help has; the others are taken all the same
 */
function addConfigFlags(command: Command, shown: readonly OptionName[] = OPTION_NAMES): void {
  command.option("--config <path>", "TOML file (default: /etc/btblocker/config.toml, if there)");
  for (const name of OPTION_NAMES) {
    const { variable, help, kind } = OPTIONS[name] as Option<unknown>;
    command.addOption(
      new Flag(
        `${flagOf(name)} ${kind.placeholder}`,
        `${help} (${variable}, default: ${defaultTextOf(name)})`,
      ).hideHelp(!shown.includes(name)),
    );
  }
  if (shown !== OPTION_NAMES) {
    command.addHelpText("after", "\nEvery setting of `btblocker run --help` may be given too.");
  }
}

/** @param lastFile of the last good load, for a reload */
async function loadFrom(flags: Flags, lastFile: string | null = null): Promise<LoadedConfig> {
  const { loadConfig } = await load.config();
  const given: Partial<Record<OptionName, string>> = {};
  for (const name of OPTION_NAMES) {
    const value = flags[attributeOf(name)];
    if (value !== undefined) given[name] = String(value);
  }
  const configPath = typeof flags.config === "string" ? flags.config : undefined;
  return loadConfig({ flags: given, lastFile, ...configPath === undefined ? {} : { configPath } });
}

/** Commander's name for a flag's value: `banDuration` for `--ban-duration`. */
function attributeOf(name: OptionName): string {
  return flagOf(name).slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The value of one flag by the option table's rules; the flag alone means true. */
function flagValue<Name extends OptionName>(
  name: Name,
  raw: string | true | undefined,
  otherwise: Config[Name],
  flag = flagOf(name),
): Config[Name] {
  if (raw === undefined) return otherwise;
  const { kind } = OPTIONS[name] as unknown as Option<Config[Name]>;
  const result = v.safeParse(kind.schema, String(raw));
  if (result.success) return result.output;
  throw new UsageError(`Cannot use ${flag} ${raw}: expected ${kind.expected}`);
}

/**
 * Commander's messages have a prefix and may have a second line with a suggestion. What follows an
 * unknown option's `=` may be a secret, and hides from Commander which option was meant.
 */
function oneLine(text: string): string {
  const unknown = /^error: unknown option '(--[^=\s]+)=/.exec(text)?.[1];
  if (unknown !== undefined) {
    const meant = closest(unknown, [...OPTION_NAMES.map(flagOf), "--config"]);
    const hint = meant === null ? "" : ` (did you mean ${meant}?)`;
    return `btblocker: unknown option '${unknown}'${hint} (see btblocker --help)`;
  }
  const line = text.trim().replace(/^error: /, "").replace(/\s*\n\s*/g, " ")
    .replace("(Did you mean", "(did you mean");
  return `btblocker: ${line} (see btblocker --help)`;
}
