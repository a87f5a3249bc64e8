/** What the tests of the live gateway share: a router between two hosts, and programs in them. */

import assert from "node:assert/strict";
import { type Host, Network } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";
import type { Counter } from "../../src/gateway/queue/counters.ts";

const PROGRAMS = new URL("./programs/", import.meta.url).pathname;

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
      await echo.printedMatch(/ready/, 15_000);
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

/** Rounds of small talk that were answered. */
export async function talk(
  { client, server }: Router,
  how: "tcp" | "udp" | "flood",
  port: number,
  { family = 4 as 4 | 6, bytes = 100, rounds = 3 } = {},
): Promise<number> {
  const address = family === 4 ? server.ipv4 : server.ipv6;
  const args = [how, address, String(port), String(bytes), String(rounds)];
  const printed = await client.run(program("talk", ...args), 60_000);
  return Number(/answered (\d+)/.exec(printed)![1]);
}

/** Starts the gateway with the stub engine. */
export async function startGateway({ router }: Router, options: unknown = {}): Promise<Program> {
  const gateway = router.spawn(program("gateway", JSON.stringify(options)));
  await gateway.printedMatch(/^(ready|failed: .*)$/m, 20_000);
  return gateway;
}

/** The gateway's counters now. */
export async function countersOf(gateway: Program): Promise<Record<Counter, number>> {
  const before = gateway.text().length;
  gateway.kill("SIGUSR1");
  const deadline = performance.now() + 5_000;
  while (performance.now() < deadline) {
    const found = /^counters (.*)$/m.exec(gateway.text().slice(before));
    if (found !== null) return JSON.parse(found[1]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`no counters: ${gateway.text()}`);
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
