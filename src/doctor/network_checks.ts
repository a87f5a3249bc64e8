/** Firewall, queues, marks, interfaces, and the settings of the network stack. */
import { programName } from "../../ffi/bpf.ts";
import { attachedProgram } from "../../ffi/bpf_links.ts";
import { interfaceIndex } from "../../ffi/libc.ts";
import { hardwareType, interfaceDriver, interfaceMtu } from "../../ffi/libc_net.ts";
import { queueOwner } from "../../ffi/netfilter_queue.ts";
import type { Config } from "../config/options.ts";
import { Firewall } from "../gateway/rules/firewall.ts";
import { chooseMask, type MarkUser } from "../gateway/rules/mark_users.ts";
import { overwriters, wholeAskers } from "../gateway/rules/agreed_marks.ts";
import { hex, type Marks, marksOf } from "../gateway/rules/marks.ts";
import { readRuleListings } from "../gateway/rules/mark_listings.ts";
import { findObstacles } from "../gateway/rules/obstacles.ts";
import { NFT_TABLE } from "../gateway/rules/nft_text.ts";
import { CHAIN } from "../gateway/rules/own_rules.ts";
import { guardedByDefault } from "../gateway/network/links.ts";
import { readRoutes } from "../gateway/network/routes.ts";
import { candidates, comesAndGoes, isSupportedHardware } from "../gateway/bans/attachment.ts";
import { type Check, type Diagnosis, ok, problem, warning } from "./diagnosis.ts";
import {
  capabilities,
  isInUserNamespace,
  outputOf,
  readNumber,
  readText,
  versionOf,
} from "./machine.ts";
import { xdpFeatures } from "./xdp_features.ts";

const NEEDS_ADMIN = "not looked at without CAP_NET_ADMIN";

/** @param isRunning whether a blocker runs here, whose rules they are then */
export function firewallChecks(config: Config, isRunning: boolean): Check[] {
  return [
    { name: "iptables", look: () => tools(config) },
    { name: "tables", isRequired: config.manageRules, look: () => tables(config) },
    { name: "marks", look: () => marks(config, isRunning) },
    { name: "rules", look: () => isRunning ? [] : leftRules(config) },
    { name: "queue rules", look: () => othersRules(config) },
    { name: "flow offload", look: flowOffload },
  ];
}

const LISTINGS: readonly [command: string, args: readonly string[]][] = [
  ["iptables-save", []],
  ["ip6tables-save", []],
  ["iptables-legacy-save", []],
  ["ip6tables-legacy-save", []],
  ["nft", ["list", "tables"]],
];

/** Whether a listing of one of the tools has rules of ours. */
export function hasOwnRules(listed: string): boolean {
  return listed.includes(`:${CHAIN} `) || new RegExp(`^table inet ${NFT_TABLE}$`, "m").test(listed);
}

/** A run that was killed takes nothing out. */
async function leftRules({ manageRules }: Config): Promise<Diagnosis | readonly Diagnosis[]> {
  if (!manageRules || !capabilities().has("CAP_NET_ADMIN")) return [];
  const listed = await Promise.all(LISTINGS.map(([command, args]) => outputOf(command, args)));
  if (!listed.some((text) => hasOwnRules(text ?? ""))) return [];
  return warning(
    "rules",
    "there are rules of btblocker and none runs: they let everything pass",
    "the next start replaces them; btblocker rules remove takes them out",
  );
}

const TOOLS = ["iptables", "ip6tables", "iptables-nft", "iptables-legacy", "nft"];

/** Commands and their versions; equal answers are told once. */
async function tools({ manageRules }: Config): Promise<Diagnosis> {
  const versions = await Promise.all(TOOLS.map(versionOf));
  const found = TOOLS.flatMap((name, index) => {
    const version = versions[index];
    return version === null ? [] : [`${name} ${version.replace(/^\S+ v?/, "")}`];
  });
  if (found.length === 0) {
    const advice = "install iptables (Debian: apt install iptables)";
    if (!manageRules) return warning("iptables", "neither iptables nor nft is there", advice);
    return problem("iptables", "neither iptables nor nft is there", advice);
  }
  const lacksIpv6 = versions[0] !== null && versions[1] === null;
  if (lacksIpv6) {
    return warning("iptables", `${found.join(", ")}; no ip6tables`, "IPv6 is not guarded without");
  }
  return ok("iptables", found.join(", "));
}

/** What the blocker would use, and whether its rules are there. */
async function tables(config: Config): Promise<Diagnosis> {
  if (!config.manageRules) return ok("tables", "MANAGE_RULES is false: the rules are yours");
  if (!capabilities().has("CAP_NET_ADMIN")) return warning("tables", NEEDS_ADMIN);
  const firewall = await Firewall.open();
  if (firewall.warnings.length > 0) {
    return warning("tables", firewall.warnings.join("; "), "install ip6tables, or turn IPv6 off");
  }
  const shared = firewall.sharesTable
    ? "; the kernel has no security table, so rules of others in mangle come after ours"
    : "";
  return ok("tables", `${firewall.describe()}${shared}`);
}

async function marks({ markMask, manageRules }: Config, isRunning: boolean): Promise<Diagnosis> {
  if (!capabilities().has("CAP_NET_ADMIN")) return warning("marks", NEEDS_ADMIN);
  let users: MarkUser[];
  let installed: Marks | null;
  try {
    const firewall = await Firewall.open();
    users = await firewall.markUsers();
    installed = isRunning ? await firewall.installedMarks() : null;
  } catch (error) {
    if (manageRules) throw error;
    return ok("marks", "not looked at: MANAGE_RULES is false and there is no iptables");
  }
  let mask: number;
  try {
    // Of a blocker that runs those that it has taken.
    mask = chooseMask(installed === null ? markMask : installed.mask >>> 0, users);
  } catch (error) {
    const advice = installed === null || markMask !== "auto"
      ? "MARK_MASK=auto takes two free bits"
      : "a restart takes other bits";
    return problem("marks", (error as Error).message, advice);
  }
  const asking = wholeAskers(users, marksOf(mask)).map(({ who }) => who);
  if (asking.length > 0) {
    return warning(
      "marks",
      `other rules ask for whole marks of connections: ${asking.join("; ")}`,
      "every packet is judged, which is slow: give these rules a mask, such as 0x1/0xff",
    );
  }
  const wiping = overwriters(users, marksOf(mask)).map(({ who }) => who);
  if (wiping.length === 0) return ok("marks", `nobody else uses the bits ${hex(mask)}`);
  return warning(
    "marks",
    `other rules overwrite whole marks of connections: ${wiping.join("; ")}`,
    "flows are judged again and again: give these rules a mask, such as --mask 0xff",
  );
}

/** Where the rules are the operator's own, they are to send to our queues. */
async function othersRules(
  { queueNum, queueCount, manageRules, chains }: Config,
): Promise<readonly Diagnosis[]> {
  if (!manageRules || !capabilities().has("CAP_NET_ADMIN")) return [];
  const guarded = { queueNumber: queueNum, queueCount, chains };
  return findObstacles(await readRuleListings(), guarded)
    .map(({ kind, detail, remedy }) => warning(kind, detail, remedy));
}

/** Whether the output of `nft list flowtables` names any. */
export function hasFlowtable(listed: string): boolean {
  return /^\s*flowtable \S+ \{/m.test(listed);
}

/** Flows in a flowtable go past every chain after their first packets. */
async function flowOffload(): Promise<readonly Diagnosis[]> {
  if (!capabilities().has("CAP_NET_ADMIN")) return [];
  if (!hasFlowtable(await outputOf("nft", ["list", "flowtables"]) ?? "")) return [];
  return [warning(
    "flow offload",
    "a flowtable takes connections past the firewall after their first packets",
    "offload judged connections only: docs/home-router.md",
  )];
}

/** Queue numbers that another program has bound. @param runningPid of the running blocker */
export function queueCheck(
  { queueNum, queueCount }: Config,
  runningPid: number | null,
  ownerOf: (queue: number) => string | null = queueOwner,
): Check {
  return {
    name: "queues",
    isRequired: true,
    look() {
      const numbers = Array.from({ length: queueCount }, (_, index) => queueNum + index);
      const owned = numbers.flatMap((queue) => {
        const owner = ownerOf(queue);
        return owner === null ? [] : [{ queue, owner }];
      });
      const isOurs = (owner: string) =>
        runningPid !== null && owner.endsWith(`process ${runningPid}`);
      const foreign = owned.filter(({ owner }) => !isOurs(owner));
      const range = queueCount === 1
        ? `${queueNum}`
        : `${queueNum} to ${queueNum + queueCount - 1}`;
      if (foreign.length > 0) {
        const told = foreign.map(({ queue, owner }) => `${queue} by ${owner}`).join(", ");
        const advice = "choose a free QUEUE_NUM, or stop the other program";
        // Without the right to look, the owner may be the blocker itself.
        if (runningPid !== null && foreign.every(({ owner }) => owner === "another program")) {
          return warning("queues", `bound: ${told}, presumably the running btblocker`);
        }
        return problem("queues", `bound already: ${told}`, advice);
      }
      return ok("queues", owned.length > 0 ? `${range}, ours` : `${range} free`);
    },
  };
}

/** Two checks an interface. */
export function interfaceChecks(config: Config): Check[] {
  const { uplinks } = readRoutes();
  const byDefault = guardedByDefault(uplinks, config.chains.includes("FORWARD"));
  const names = config.interfaces.length > 0 ? config.interfaces : byDefault;
  const offloads = names.map((name) => ({ name: `offload ${name}`, look: () => offload(name) }));
  return [...xdpChecks(config, names), ...offloads];
}

function xdpChecks(config: Config, names: readonly string[]): Check[] {
  if (config.xdpMode === "off") {
    return [{
      name: "xdp",
      look: () => ok("xdp", "XDP_MODE is off: bans hold in user space"),
    }];
  }
  if (names.length === 0) {
    const look = () => warning("xdp", "there is no default route", "set INTERFACE");
    return [{ name: "xdp", look }];
  }
  return names.map((name) => ({ name: `xdp ${name}`, look: () => xdp(name, config) }));
}

/** Whether packets reach the queue joined, by `ethtool -k`; null where it does not tell. */
export function joinsPackets(features: string): boolean | null {
  const gro = /^generic-receive-offload: (on|off)/m.exec(features)?.[1];
  return gro === undefined ? null : gro === "on";
}

/** One note an interface. */
async function offload(name: string): Promise<Diagnosis | readonly Diagnosis[]> {
  const isJoined = joinsPackets(await outputOf("ethtool", ["-k", name]) ?? "");
  if (isJoined === null) return [];
  const note = isJoined
    ? "GRO is on: segments are judged joined, many at once"
    : `GRO is off: segments are judged one by one, which costs more (ethtool -K ${name} gro on)`;
  return ok(`offload ${name}`, `MTU ${interfaceMtu(name)}, ${note}`);
}

function xdp(name: string, { interfaces, xdpMode }: Config): Diagnosis {
  const check = `xdp ${name}`;
  const index = interfaceIndex(name);
  if (index === 0) {
    const others = interfaces.some((other) => interfaceIndex(other) !== 0);
    if (others) return warning(check, "there is no such interface", "it is waited for");
    const advice = `it is waited for; if the name is wrong: ${interfaceAdvice()}`;
    return warning(check, "there is no such interface", advice); // as a start sees it
  }
  const mtu = interfaceMtu(name);
  const facts = `MTU ${mtu < 0 ? "unknown" : mtu}`;
  const [mode, reason] = candidates(xdpMode === "off" ? "auto" : xdpMode, interfaceDriver(name))[0];
  if (mode === "tc") {
    return ok(check, `tc ingress while anybody is banned (${reason}), ${facts}`);
  }
  const type = hardwareType(name);
  if (!isSupportedHardware(type)) {
    return warning(check, `hardware type ${type} is not supported`, "bans hold in user space");
  }
  const foreign = foreignProgram(index);
  if (foreign !== null) {
    const advice = `ip link set dev ${name} xdp off, if it is not needed; else bans hold in user ` +
      "space only";
    return warning(check, `${foreign} is attached already and is not replaced`, advice);
  }
  const features = xdpFeatures(index);
  if (features === null) {
    const detail = `${facts}; before Linux 6.3 drivers do not tell: the start tries ${mode}`;
    return ok(check, detail);
  }
  const modes = ["generic"];
  if (features.isNative) modes.unshift("native");
  if (features.isOffload) modes.unshift("offload");
  if (xdpMode !== "auto" && !modes.includes(xdpMode)) {
    const advice = "XDP_MODE=auto takes the best there is";
    return problem(check, `the driver has no ${xdpMode} mode (${modes.join(", ")})`, advice);
  }
  if (features.isNative && mtu > LARGEST_SINGLE_BUFFER && !features.takesFragments) {
    return warning(
      check,
      `native, but not with an MTU of ${mtu}: XDP_MODE=auto takes tc`,
      `an MTU of ${LARGEST_SINGLE_BUFFER} or less has native mode`,
    );
  }
  const when = comesAndGoes(mode)
    ? "attached while anybody is banned"
    : "attached from start to stop; a card may pause at both";
  return ok(check, `${mode} (${reason}), ${facts}; ${when}`);
}

/** Loopback alone may be all that is there, and without an address nothing is listed. */
function interfaceAdvice(): string {
  const there = [...new Set(Deno.networkInterfaces().map((one) => one.name))].join(", ");
  return there === ""
    ? "no interface here has an address; set INTERFACE to one of ip link"
    : `there are ${there}; set INTERFACE`;
}

/** A page of 4 KiB less XDP's headroom (256), the driver's shared info (320) and an Ethernet header. */
const LARGEST_SINGLE_BUFFER = 3_498;

/** "program NAME (id 7)", or null where only ours is attached, or none. */
function foreignProgram(index: number): string | null {
  let id: number;
  try {
    id = attachedProgram(index);
  } catch {
    return null; // no libbpf: told by another check
  }
  if (id <= 0) return null;
  const name = programName(id);
  if (name !== null && name.startsWith("btblocker_l")) return null;
  return name === null || name === "" ? `a program (id ${id})` : `program ${name} (id ${id})`;
}

/** Without one nobody outside connected and private networks is known to be inside (`sender.ts`). */
export function uplink(names: readonly string[]): Diagnosis | readonly Diagnosis[] {
  if (names.length > 0) return [];
  return warning(
    "uplink",
    "no default route tells which side is outside: torrents of public addresses behind other routers " +
      "are dropped, and nobody of those is banned",
    "add one by the uplink, of any metric",
  );
}

const RECEIVE_BUFFER = 16 << 20;
const FULL = 0.8;

/** Settings of the network stack that make a difference. */
export function settingChecks({ chains }: Config): Check[] {
  return [
    {
      name: "forwarding",
      look() {
        if (!chains.includes("FORWARD")) return [];
        const ipv4 = readNumber("/proc/sys/net/ipv4/ip_forward") ?? 0;
        const ipv6 = readNumber("/proc/sys/net/ipv6/conf/all/forwarding") ?? 0;
        const on = [...ipv4 > 0 ? ["IPv4"] : [], ...ipv6 > 0 ? ["IPv6"] : []];
        if (on.length > 0) return ok("forwarding", `on for ${on.join(" and ")}`);
        return warning(
          "forwarding",
          "off: CHAINS=FORWARD sees nothing on this machine",
          "a router: sysctl -w net.ipv4.ip_forward=1; a proxy or server: CHAINS=INPUT,OUTPUT",
        );
      },
    },
    {
      name: "uplink",
      look: () => chains.includes("FORWARD") ? uplink(readRoutes().uplinks) : [],
    },
    {
      name: "receive buffer",
      look() {
        const most = readNumber("/proc/sys/net/core/rmem_max");
        const isForced = capabilities().has("CAP_NET_ADMIN") && !isInUserNamespace();
        if (isForced) return ok("receive buffer", "CAP_NET_ADMIN is not bound by rmem_max");
        if (most === null || most >= RECEIVE_BUFFER) {
          return ok("receive buffer", `net.core.rmem_max is ${most ?? "the host's"}`);
        }
        return warning(
          "receive buffer",
          `net.core.rmem_max is ${most}: bursts pass unjudged earlier`,
          `sysctl -w net.core.rmem_max=${RECEIVE_BUFFER}`,
        );
      },
    },
    {
      name: "conntrack table",
      look() {
        const most = readNumber("/proc/sys/net/netfilter/nf_conntrack_max");
        const count = readNumber("/proc/sys/net/netfilter/nf_conntrack_count");
        if (most === null || count === null) return [];
        if (count < most * FULL) return ok("conntrack table", `${count} of ${most} connections`);
        return warning(
          "conntrack table",
          `${count} of ${most} connections: the kernel drops new ones when it is full`,
          `sysctl -w net.netfilter.nf_conntrack_max=${most * 2}`,
        );
      },
    },
    {
      name: "bridge",
      look: () => bridged((setting) => readText(`/proc/sys/net/bridge/${setting}`)?.trim()),
    },
  ];
}

/** What else than bare IP crosses a bridge, and the setting that shows it to iptables. */
const TAGGED = [
  ["VLAN tags", "bridge-nf-filter-vlan-tagged"],
  ["PPPoE", "bridge-nf-filter-pppoe-tagged"],
] as const;

/** Which bridged frames the chain sees. @param read a setting of br_netfilter's, without its line end */
export function bridged(
  read: (setting: string) => string | undefined,
): Diagnosis | readonly Diagnosis[] {
  if (read("bridge-nf-call-iptables") !== "1") return [];
  const seen = "bridged packets pass the chain too (bridge-nf-call-iptables is 1)";
  const unseen = TAGGED.filter(([, setting]) => read(setting) !== "1");
  if (unseen.length === 0) return ok("bridge", seen);
  const frames = unseen.map(([frames]) => frames).join(" or ");
  const settings = unseen.map(([, setting]) => `net.bridge.${setting}=1`).join(" ");
  return ok(
    "bridge",
    `${seen}, but for frames with ${frames} (to judge those: sysctl -w ${settings})`,
  );
}
