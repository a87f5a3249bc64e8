/** What the tests of the live gateway share: a router between two hosts, and programs in them. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Host, Network } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";
import type { Counter } from "../../src/gateway/queue/counters.ts";
import { until } from "../until.ts";

const PROGRAMS = fileURLToPath(new URL("./programs/", import.meta.url));

/** For an answer that comes, however busy the machine is. */
const ANSWER_MS = 30_000;
/** For one that must not come. */
const SILENCE_MS = 1_000;

/** Why these tests cannot run here, or null. */
export function liveImpossible(...commands: string[]): string | null {
  if (Deno.build.os !== "linux") return "needs Linux";
  if (Deno.uid() !== 0) return "needs root";
  for (const command of ["ip", "nsenter", "setpriv", "iptables-save", ...commands]) {
    const probe = new Deno.Command("sh", { args: ["-c", `command -v "$0"`, command] });
    if (!probe.outputSync().success) return `needs ${command}`;
  }
  const probe = new Deno.Command("unshare", { args: ["--net", "true"], stderr: "null" });
  return probe.outputSync().success ? null : "needs the right to create network namespaces";
}

/** The command line of one of the programs beside this file. */
export function program(name: string, ...args: string[]): string[] {
  return [
    Deno.execPath(),
    ...["run", "--quiet", "--no-prompt", "--unstable-net", "-A", `${PROGRAMS}${name}.ts`],
    ...args,
  ];
}

export interface Router extends AsyncDisposable {
  readonly network: Network;
  readonly router: Host;
  readonly client: Host;
  readonly server: Host;
}

/** Client, router and server, the server echoing on the given ports. */
export async function createRouter(...ports: number[]): Promise<Router> {
  const network = await Network.create("btgw");
  try {
    const client = await network.addHost("client");
    const server = await network.addHost("server");
    for (const [host, link] of [[client, "eth0"], [server, "eth0"]] as const) {
      await useLinkLocal(host, link, "fe80::2");
      await useLinkLocal(network.router, host.routerInterface, "fe80::1");
    }
    if (ports.length > 0) {
      const echo = server.spawn(program("talk", "serve", ...ports.map(String)));
      await echo.printedMatch(/ready/);
    }
    const dispose = () => network.dispose();
    const { router } = network;
    return { network, router, client, server, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await network.dispose();
    throw error;
  }
}

/** The kernel checks its own link-local address for two seconds, in which nothing is forwarded. */
async function useLinkLocal(host: Host, link: string, address: string): Promise<void> {
  await host.run(["ip", "-6", "address", "flush", "dev", link, "scope", "link"]);
  await host.run(["ip", "address", "add", `${address}/64`, "dev", link, "nodad"]);
}

export interface Talk {
  family?: 4 | 6;
  /** Of each round. */
  bytes?: number;
  rounds?: number;
  /** How long an answer may take. */
  patienceMs?: number;
}

/** Rounds of small talk that were answered. */
export async function talk(
  { client, server }: Router,
  how: "tcp" | "udp" | "flood",
  port: number,
  { family = 4, bytes = 100, rounds = 3, patienceMs = ANSWER_MS }: Talk = {},
): Promise<number> {
  const address = family === 4 ? server.ipv4 : server.ipv6;
  const args = [how, address, ...[port, bytes, rounds, patienceMs].map(String)];
  const printed = await client.run(program("talk", ...args), 180_000);
  return Number(/answered (\d+)/.exec(printed)![1]);
}

/** The same where no answer is to come: rounds that were answered all the same. */
export function talkInVain(
  lab: Router,
  how: "tcp" | "udp",
  port: number,
  options: Talk = {},
): Promise<number> {
  return talk(lab, how, port, { patienceMs: SILENCE_MS, ...options });
}

/** Starts the gateway with the stub engine. */
export async function startGateway({ router }: Router, options: unknown = {}): Promise<Program> {
  const gateway = router.spawn(program("gateway", JSON.stringify(options)));
  await gateway.printedMatch(/^(ready|failed: .*)$/m);
  return gateway;
}

type Counters = Record<Counter, number>;

/**
 * The gateway's counters, as soon as they are as wanted, every packet has its verdict and nothing
 * more comes: the last packets of a talk are judged after it.
 */
export async function countersOf(
  gateway: Program,
  isSo: (counters: Counters) => boolean = () => true,
): Promise<Counters> {
  let counters = await printedCounters(gateway);
  const isSettled = async () => {
    const last = counters;
    counters = await printedCounters(gateway);
    const { packets, accepted, released, dropped, bannedDrops } = counters;
    return packets === last.packets && isSo(counters) &&
      packets === accepted + released + dropped + bannedDrops;
  };
  await until(isSettled, () => gateway.text());
  return counters;
}

/** The gateway's counters at this moment. */
export async function printedCounters(gateway: Program): Promise<Counters> {
  const before = gateway.text().length;
  gateway.kill("SIGUSR1");
  // The end of the line too: it may come in parts.
  const printed = () => /^counters (.*)\n/m.exec(gateway.text().slice(before));
  await until(() => printed() !== null, () => `no counters: ${gateway.text()}`);
  return JSON.parse(printed()![1]);
}

/** All rules of both families and back ends in a namespace, without times and counters. */
export async function savedRules(host: Host): Promise<string> {
  const saved: string[] = [];
  for (const command of ["iptables", "ip6tables"]) {
    for (const backend of ["nft", "legacy"]) {
      saved.push(await host.run([`${command}-${backend}-save`]));
    }
  }
  return saved.join("").split("\n").filter((line) => !line.startsWith("#"))
    .map((line) => line.replace(/\[\d+:\d+\]/, "")).join("\n");
}

/** Packets that passed the rules of iptables-save -c whose line matches. */
export async function packetsThrough(
  host: Host,
  rule: RegExp,
  command = "iptables-nft-save",
): Promise<number> {
  const saved = await host.run([command, "-c"]);
  const rules = saved.split("\n").filter((line) => rule.test(line));
  assert(rules.length > 0, `no rule matches ${rule}:\n${saved}`);
  return rules.reduce((sum, line) => sum + Number(/^\[(\d+):/.exec(line)![1]), 0);
}

/** Queues bound in a namespace. */
export async function boundQueues(host: Host): Promise<number[]> {
  const table = await host.run(["cat", "/proc/net/netfilter/nfnetlink_queue"]);
  return table.split("\n").filter((line) => line !== "").map((line) =>
    Number(line.trim().split(/\s+/)[0])
  );
}
