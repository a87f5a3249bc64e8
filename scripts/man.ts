/**
 * Writes the manual page: `deno run -A scripts/man.ts` after a change of the command line or of the
 * option table; a test fails when it is stale.
 */
import { fileVariableOf } from "../src/config/load.ts";
import {
  defaultTextOf,
  flagOf,
  type Option,
  OPTION_NAMES,
  OPTIONS,
  tomlKeyOf,
} from "../src/config/options.ts";
import { VERSION } from "../src/version.ts";
import { allCommands, type CommandModel, commandModel, type Flag } from "./commands.ts";

/** btblocker(8) in the macros of man(7). */
export function manualPage(model: CommandModel = commandModel()): string {
  return [
    '.\\" Written by scripts/man.ts',
    `.TH BTBLOCKER 8 "" "btblocker ${text(VERSION)}" "System administration"`,
    section("NAME"),
    `btblocker \\- ${text(lowerFirst(model.description))}`,
    section("SYNOPSIS"),
    ...synopsis(model),
    section("DESCRIPTION"),
    ...DESCRIPTION.flatMap((paragraph) => [".PP", text(paragraph)]),
    section("COMMANDS"),
    ...allCommands(model).filter(({ path }) => path.length > 0).flatMap(commandEntry),
    section("SETTINGS"),
    ".PP",
    text(SETTINGS),
    ...OPTION_NAMES.flatMap(settingEntry),
    section("SIGNALS"),
    ...entry("SIGHUP", [
      "Read the settings again, open the detection log and the detection pcap anew. What cannot " +
      "change without a restart is named in the log; a wrong file changes nothing.",
    ]),
    ...entry("SIGINT, SIGTERM", [
      "Remove the rules, detach XDP, forget the bans unless PERSIST_BANS keeps them, and end.",
    ]),
    section("FILES"),
    ...FILES.flatMap(([path, what]) => entry(path, [what])),
    section("EXIT STATUS"),
    ...EXITS.flatMap(([status, what]) => entry(status, [what])),
    section("EXAMPLES"),
    ...EXAMPLES.flatMap(([what, command]) => [
      ".PP",
      text(what),
      ".PP",
      ".EX",
      `    ${text(command)}`,
      ".EE",
    ]),
    section("SEE ALSO"),
    ".BR iptables (8),",
    ".BR nft (8),",
    ".BR ip (8),",
    ".BR bpftool (8),",
    ".BR systemd.service (5)",
    "",
  ].join("\n");
}

const DESCRIPTION = [
  "btblocker takes the first packets of each connection from the kernel (NFQUEUE), drops BitTorrent " +
  "on the packet that proves it, and bans the offender in the network driver (XDP) for a while. " +
  "A connection once judged is left to the kernel. Without a command it runs.",
  "It needs root, or the capabilities CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_NET_RAW; analyze " +
  "needs neither. When it stops or dies, traffic flows: the rules let packets pass when nobody " +
  "listens, and the XDP program leaves with the process.",
];

const SETTINGS =
  "Each setting is a flag, an environment variable, or a key of the file: flag over variable over " +
  "file over default. A wrong value stops the start and says what is allowed. Durations are seconds, " +
  "or numbers with s, m, h, d, w. Reload: whether SIGHUP takes it over, or only a restart.";

const FILES: readonly (readonly [string, string])[] = [
  ["/etc/btblocker/config.toml", "The settings, where --config names no other file."],
  ["/run/btblocker/", "Socket by which other commands ask the running one, and its lock."],
  ["/sys/fs/bpf/btblocker/", "The bans in the kernel: map blocked_ips."],
];

const EXITS: readonly (readonly [string, string])[] = [
  ["0", "As asked; of doctor: no problem."],
  [
    "1",
    "The machine does not allow it, or an input could not be read; of doctor: a problem; of bans " +
    "remove: an address was not banned.",
  ],
  ["2", "An unknown command or flag, or a value that is not allowed."],
];

const EXAMPLES: readonly (readonly [string, string])[] = [
  [
    "Watch a VPN server's clients without blocking anything:",
    "btblocker --interface wg0 --monitor-only --detection-log /var/log/btblocker/detections.log",
  ],
  [
    "Guard a proxy, whose connections are this machine's own, with bans of five minutes:",
    "btblocker --chains INPUT,OUTPUT --ban-duration 5m",
  ],
  ["Judge a capture, for a program to read:", "btblocker analyze --json traffic.pcap"],
  [
    "Judge a capture, and look at the bytes of each detection in a browser:",
    "btblocker analyze --html report.html traffic.pcap",
  ],
  ["Can this machine run it?", "btblocker doctor"],
];

function synopsis(model: CommandModel): string[] {
  return allCommands(model).filter(({ path, commands }) => path.length > 0 && commands.length === 0)
    .flatMap(({ path, argument, flags }, index) => {
      const rest = [
        ...flags.some(({ long }) => long !== "--help") ? ["[\\fIflag\\fR]..."] : [],
        ...argument === "" ? [] : [`\\fI${text(argument.slice(1, -1))}\\fR`],
      ];
      return [
        ...index === 0 ? [] : [".br"],
        [
          `.B btblocker ${text(path.join(" "))}`,
          ...rest.length === 0 ? [] : ["\n" + rest.join(" ")],
        ]
          .join(""),
      ];
    });
}

function commandEntry({ path, description, argument, flags }: CommandModel): string[] {
  const name = ["btblocker", ...path].join(" ");
  const own = flags.filter((flag) => !isSetting(flag) && flag.long !== "--help");
  const settings = flags.some(isSetting) ? ["Takes the settings below as flags."] : [];
  return [
    `.SS "${text(argument === "" ? name : `${name} ${argument.slice(1, -1)}`)}"`,
    text(sentence(description)),
    ...settings.map(text),
    ...own.flatMap(({ short, long, placeholder, description }) => {
      const flag = short === null ? long : `${short}, ${long}`;
      return entry(`${flag} ${placeholder}`.trim(), [sentence(description)]);
    }),
  ];
}

/** `run` has a flag for every setting; other commands have some of their own by the same names. */
function isSetting({ long, description }: Flag): boolean {
  const name = OPTION_NAMES.find((one) => flagOf(one) === long);
  return name !== undefined && description.includes(`(${OPTIONS[name].variable}, default: `);
}

function settingEntry(name: (typeof OPTION_NAMES)[number]): string[] {
  const { variable, kind, help, example, live, oldVariables } = OPTIONS[name] as Option<unknown>;
  const old = oldVariables === undefined ? "" : ` (also ${oldVariables.join(", ")})`;
  const file = kind.isSecret ? ` (or ${fileVariableOf(name)}, the path of a file with it)` : "";
  return entry(`${flagOf(name)} ${kind.placeholder}`, [
    `${sentence(help)}`,
    `Variable ${variable}${old}${file}, key ${tomlKeyOf(name)}. Default: ${defaultTextOf(name)}. ` +
    `Allowed: ${kind.expected}. Example: ${example}. Reload: ${live ? "yes" : "restart"}.`,
  ]);
}

function section(title: string): string {
  return `.SH ${title}`;
}

function entry(term: string, lines: readonly string[]): string[] {
  return [".TP", `.B ${text(term)}`, ...lines.map(text)];
}

/** Text in which roff sees nothing to obey. */
function text(plain: string): string {
  const escaped = plain.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

function sentence(line: string): string {
  const upper = line.charAt(0).toUpperCase() + line.slice(1);
  return /[.?!]$/.test(upper) ? upper : `${upper}.`;
}

function lowerFirst(line: string): string {
  return line.charAt(0).toLowerCase() + line.slice(1);
}

if (import.meta.main) {
  const path = new URL("../deploy/man/btblocker.8", import.meta.url);
  Deno.mkdirSync(new URL(".", path), { recursive: true });
  Deno.writeTextFileSync(path, manualPage());
}
