/**
 * The one table of options. Flags, variables, the TOML file's keys, help texts, the table in docs/SETTINGS.md
 * and the NixOS module follow from it; a default is stated here and nowhere else.
 */
import {
  CHAIN,
  duration,
  INTERFACE_NAME,
  list,
  listenAddress,
  maskOrAuto,
  name,
  NETWORK,
  oneOf,
  type OptionKind,
  path,
  PORT,
  secret,
  secretAddress,
  token,
  webAddress,
  wholeNumber,
  yesNo,
} from "./kinds.ts";

export interface Option<T> {
  /** Name of the environment variable. Flag and TOML key are the same words. */
  readonly variable: string;
  readonly kind: OptionKind<T>;
  readonly default: NoInfer<T>;
  /** Where the default depends on the machine: what it is, in words. */
  readonly defaultText?: string;
  /** One line, what it does. */
  readonly help: string;
  /** A value as it would be given to the flag or variable. */
  readonly example: string;
  /** Whether a reload (SIGHUP) takes it over without a restart. */
  readonly live: boolean;
  /** Names of variables that the Go original or older versions use for it. */
  readonly oldVariables?: readonly string[];
}

function option<T>(definition: Option<T>): Option<T> {
  return definition;
}

const TEN_YEARS_S = 315_360_000;
const DAY_S = 86_400;
const MOST_WORKERS = 64;
const USUAL_WORKERS = 8;

export const OPTIONS = {
  queueNum: option({
    variable: "QUEUE_NUM",
    kind: wholeNumber(0, 65_535),
    default: 0,
    help: "Number of the first netfilter queue",
    example: "10",
    live: false,
  }),
  queueCount: option({
    variable: "QUEUE_COUNT",
    kind: wholeNumber(1, MOST_WORKERS),
    default: Math.max(1, Math.min(navigator.hardwareConcurrency, USUAL_WORKERS)),
    defaultText: `number of cores, at most ${USUAL_WORKERS}`,
    help: "Queues, each with a worker of its own",
    example: "4",
    live: false,
  }),
  interfaces: option({
    variable: "INTERFACE",
    kind: list(INTERFACE_NAME, 0, 1),
    default: [],
    defaultText: "the default route's, and all that forward with CHAINS=FORWARD",
    help: "Network interfaces that drop banned addresses",
    example: "eth0,wg0",
    live: false,
  }),
  chains: option({
    variable: "CHAINS",
    kind: list(CHAIN, 1),
    default: ["FORWARD"],
    help: "Traffic to judge: through this machine, to it, from it",
    example: "INPUT,OUTPUT",
    live: false,
  }),
  manageRules: option({
    variable: "MANAGE_RULES",
    kind: yesNo(),
    default: true,
    help: "Install the firewall rules at start and remove them at stop",
    example: "false",
    live: false,
  }),
  markMask: option({
    variable: "MARK_MASK",
    kind: maskOrAuto(2),
    default: "auto",
    help: "The two bits of the connection mark that keep the decision of a flow (auto: free ones)",
    example: "0x00030000",
    live: false,
  }),
  policy: option({
    variable: "POLICY",
    kind: oneOf("default", "strict"),
    default: "default",
    help: "strict also drops what looks random on unknown ports (and so Shadowsocks)",
    example: "strict",
    live: true,
  }),
  resetOlder: option({
    variable: "RESET_OLDER",
    kind: oneOf("auto", "true", "false"),
    default: "auto",
    defaultText: "auto: with POLICY=strict",
    help: "At the start, reset TCP connections that are older, so that they begin under its eyes",
    example: "true",
    live: false,
  }),
  banTarget: option({
    variable: "BAN_TARGET",
    kind: oneOf("source", "remote", "both", "none"),
    default: "source",
    help: "Whom to ban: the sender of the packet that proved it, the end that is not ours, both",
    example: "remote",
    live: true,
  }),
  banScope: option({
    variable: "BAN_SCOPE",
    kind: oneOf("auto", "ip", "endpoint"),
    default: "auto",
    defaultText: "ip; endpoint where CHAINS has OUTPUT",
    help: "Ban the whole address, or only its port (several people behind one address)",
    example: "endpoint",
    live: false,
  }),
  banPrefix: option({
    variable: "BAN_PREFIX",
    kind: wholeNumber(48, 128, "a prefix length"),
    default: 64,
    help: "A ban of an IPv6 address is for so much of it; for it alone in networks of this machine",
    example: "56",
    live: false,
  }),
  banDuration: option({
    variable: "BAN_DURATION",
    kind: duration(1, TEN_YEARS_S),
    default: 18_000,
    help: "How long a ban lasts",
    example: "30m",
    live: true,
  }),
  banFactor: option({
    variable: "BAN_FACTOR",
    kind: wholeNumber(1, 100),
    default: 1,
    defaultText: "1 (off)",
    help: "Who is banned again within a day of his last ban is banned so many times as long",
    example: "2",
    live: true,
  }),
  banDurationMax: option({
    variable: "BAN_DURATION_MAX",
    kind: duration(1, TEN_YEARS_S),
    default: 604_800,
    help: "How long a ban lasts at most, where BAN_FACTOR makes them longer",
    example: "30d",
    live: true,
  }),
  banRequiresReply: option({
    variable: "BAN_REQUIRES_REPLY",
    kind: yesNo(),
    default: true,
    help: "Ban only who is known to have sent it; false lets strangers have anybody banned",
    example: "false",
    live: true,
  }),
  whitelistPorts: option({
    variable: "WHITELIST_PORTS",
    kind: list(PORT),
    default: [22, 53, 80, 443, 853, 5222, 5269],
    help: "Ports of services, as called, whose flows are never dropped nor banned for",
    example: "22,443",
    live: true,
  }),
  whitelistIps: option({
    variable: "WHITELIST_IPS",
    kind: list(NETWORK),
    default: [],
    defaultText: "none",
    help: "Addresses and networks that are never banned",
    example: "10.0.0.0/8,2001:db8::/32",
    live: true,
  }),
  monitorOnly: option({
    variable: "MONITOR_ONLY",
    kind: yesNo(),
    default: false,
    help: "Judge and log, drop nothing, ban nobody",
    example: "true",
    live: true,
  }),
  blockSocks: option({
    variable: "BLOCK_SOCKS",
    kind: yesNo(),
    default: false,
    help: "Treat SOCKS proxy connections as BitTorrent",
    example: "true",
    live: true,
  }),
  blockMentions: option({
    variable: "BLOCK_MENTIONS",
    kind: yesNo(),
    default: false,
    help: "Also drop magnet links and .torrent downloads in plaintext HTTP; bans nobody",
    example: "true",
    live: true,
  }),
  xdpMode: option({
    variable: "XDP_MODE",
    kind: oneOf("auto", "tc", "generic", "native", "offload", "off"),
    default: "auto",
    help:
      "Where banned addresses are dropped: at tc ingress, or by XDP in the stack, driver or card",
    example: "native",
    live: false,
  }),
  banLimit: option({
    variable: "BAN_LIMIT",
    kind: wholeNumber(1, 4_194_304),
    default: 131_072,
    help: "Bans kept at most; one used long ago makes room, one by hand never",
    example: "1000000",
    live: false,
  }),
  persistBans: option({
    variable: "PERSIST_BANS",
    kind: yesNo(),
    default: false,
    help: "Keep the bans in the kernel when the blocker stops, with their count for BAN_FACTOR",
    example: "true",
    live: false,
  }),
  cleanupInterval: option({
    variable: "CLEANUP_INTERVAL",
    oldVariables: ["XDP_CLEANUP_INTERVAL"],
    kind: duration(1, DAY_S),
    default: 300,
    help: "How often ended bans are removed from memory (they end on time all the same)",
    example: "1m",
    live: true,
  }),
  logLevel: option({
    variable: "LOG_LEVEL",
    kind: oneOf("error", "warn", "info", "debug"),
    default: "info",
    help: "Least important messages to log",
    example: "debug",
    live: true,
  }),
  logFormat: option({
    variable: "LOG_FORMAT",
    kind: oneOf("text", "json"),
    default: "text",
    help: "Log lines for people or JSON lines for machines",
    example: "json",
    live: true,
  }),
  detectionLog: option({
    variable: "DETECTION_LOG",
    kind: path(),
    default: "",
    defaultText: "off",
    help: "File that gets every detection with the packet's bytes",
    example: "/var/log/btblocker/detections.log",
    live: true,
  }),
  detectionLogFormat: option({
    variable: "DETECTION_LOG_FORMAT",
    kind: oneOf("text", "json"),
    default: "text",
    help: "Detection log for people or JSON lines for machines",
    example: "json",
    live: true,
  }),
  detectionPcap: option({
    variable: "DETECTION_PCAP",
    kind: path(),
    default: "",
    defaultText: "off",
    help: "File for Wireshark (pcapng) that gets the packet of every detection, with its payload",
    example: "/var/log/btblocker/detections.pcapng",
    live: true,
  }),
  who: option({
    variable: "WHO",
    kind: yesNo(),
    default: true,
    help: "Say who has a detected address, by this machine's tables (WireGuard, DHCP, sockets)",
    example: "false",
    live: true,
  }),
  webhookUrl: option({
    variable: "WEBHOOK_URL",
    kind: secretAddress(),
    default: "",
    defaultText: "off",
    help: "Where detections are told as JSON (Slack, Discord, ntfy, Matrix bridges)",
    example: "file:/etc/btblocker/webhook",
    live: false,
  }),
  statusListen: option({
    variable: "STATUS_LISTEN",
    kind: listenAddress(),
    default: "",
    defaultText: "off",
    help: "Where the status page and /metrics are served",
    example: "127.0.0.1:9090",
    live: false,
  }),
  statusToken: option({
    variable: "STATUS_TOKEN",
    kind: token(),
    default: "",
    defaultText: "off",
    help: "Lets its bearer lift bans on the status page, and see it where it is not local",
    example: "file:/etc/btblocker/token",
    live: false,
  }),
  recheck: option({
    variable: "RECHECK",
    kind: wholeNumber(0, Number.MAX_SAFE_INTEGER, "a number of bytes, 0 for off,"),
    default: 0,
    defaultText: "0 (off)",
    help: "Judge a released flow again after so many bytes",
    example: "1048576",
    live: false,
  }),
  fleetUrl: option({
    variable: "FLEET_URL",
    kind: webAddress(),
    default: "",
    defaultText: "off",
    help: "CrowdSec Local API through which machines share their bans",
    example: "https://lapi.example:8080",
    live: false,
  }),
  fleetLogin: option({
    variable: "FLEET_LOGIN",
    kind: name(),
    default: "",
    defaultText: "none",
    help: "This machine's name at the fleet's API, to report its bans",
    example: "gateway-7",
    live: false,
  }),
  fleetPassword: option({
    variable: "FLEET_PASSWORD",
    kind: secret(),
    default: "",
    defaultText: "none",
    help: "Password of FLEET_LOGIN",
    example: "file:/etc/btblocker/fleet-password",
    live: false,
  }),
  fleetKey: option({
    variable: "FLEET_KEY",
    kind: secret(),
    default: "",
    defaultText: "none",
    help: "This machine's own bouncer key, to take over the bans of others",
    example: "file:/etc/btblocker/fleet-key",
    live: false,
  }),
  fleetInterval: option({
    variable: "FLEET_INTERVAL",
    kind: duration(1, 3_600),
    default: 10,
    help: "How often the fleet is asked for news",
    example: "30s",
    live: false,
  }),
  fleetScope: option({
    variable: "FLEET_SCOPE",
    kind: oneOf("btblocker", "all"),
    default: "btblocker",
    help: "Whose bans to take over: those for BitTorrent, or all that the fleet's API knows",
    example: "all",
    live: false,
  }),
  fleetPrivate: option({
    variable: "FLEET_PRIVATE",
    kind: yesNo(),
    default: false,
    help: "Share bans of private addresses too: one private network behind all gateways",
    example: "true",
    live: false,
  }),
  fleetCa: option({
    variable: "FLEET_CA",
    kind: path(),
    default: "",
    defaultText: "the system's",
    help: "File with the authority (PEM) that the fleet's API is certified by",
    example: "/etc/btblocker/fleet-ca.pem",
    live: false,
  }),
  fleetCert: option({
    variable: "FLEET_CERT",
    kind: path(),
    default: "",
    defaultText: "none",
    help: "File with this machine's certificate (PEM) for the fleet's API",
    example: "/etc/btblocker/fleet.pem",
    live: false,
  }),
  fleetCertKey: option({
    variable: "FLEET_CERT_KEY",
    kind: path(),
    default: "",
    defaultText: "none",
    help: "File with the private key (PEM) of FLEET_CERT",
    example: "/etc/btblocker/fleet.key",
    live: false,
  }),
  fleetSpool: option({
    variable: "FLEET_SPOOL",
    kind: path(),
    default: "/var/lib/btblocker",
    help: "Directory where bans wait while the fleet's API is away",
    example: "/var/spool/btblocker",
    live: false,
  }),
} as const;

export type OptionName = keyof typeof OPTIONS;

/** The effective settings. */
export type Config = {
  readonly [Name in OptionName]: (typeof OPTIONS)[Name] extends Option<infer T> ? T : never;
};

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `--ban-duration` for BAN_DURATION. */
export function flagOf(name: OptionName): string {
  return `--${OPTIONS[name].variable.toLowerCase().replaceAll("_", "-")}`;
}

/** `ban_duration` for BAN_DURATION. */
export function tomlKeyOf(name: OptionName): string {
  return OPTIONS[name].variable.toLowerCase();
}

/** The default in words, for help texts and tables. */
export function defaultTextOf(name: OptionName): string {
  const { defaultText, default: value } = OPTIONS[name];
  if (defaultText !== undefined) return defaultText;
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.join(",") : tomlOf(name, value as Config[OptionName]);
}

/** The value as the TOML file would have it. */
export function tomlOf<Name extends OptionName>(name: Name, value: Config[Name]): string {
  const option = OPTIONS[name] as unknown as Option<Config[Name]>;
  return option.kind.toml(value);
}
