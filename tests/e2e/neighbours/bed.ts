/**
 * A router that another program manages too: a client of everybody's kind, a host that torrents, and
 * a server for both. Each test says what the neighbour is, and asks the same of it: others' traffic
 * passes, torrents do not, the doctor tells the truth, and nothing of ours is left in its rules.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Host, Network } from "../../../src/demo/network.ts";
import type { Program, ProgramOptions } from "../../../src/demo/program.ts";
import type { Diagnosis } from "../../../src/doctor/diagnosis.ts";
import { labImpossible, programPresent } from "../../lab/lab.ts";
import { until } from "../../until.ts";
import { Blocker, blockerCommand } from "../blocker.ts";
import { FLOWS, type Visit } from "./traffic.ts";

const TRAFFIC = fileURLToPath(new URL("./traffic.ts", import.meta.url));
export interface Exchange extends Visit {
  /** BitTorrent messages that reached the server. */
  torrents: number;
}
/** Nobody stops anything. */
export const FREE: Exchange = { tcp: 50, udp: 50, refusable: 10, torrents: 12 };
/** The blocker alone is in the way. */
export const GUARDED: Exchange = { ...FREE, torrents: 0 };

/** Why a test with these programs cannot run here, or null. */
export function bedImpossible(file: string, ...programs: string[]): string | null {
  const missing = [...programs, "nft", "iptables-legacy"].filter((name) => !programPresent(name));
  const why = labImpossible() ?? (missing.length > 0 ? `needs ${missing.join(", ")}` : null);
  if (why !== null) console.log(`tests/e2e/neighbours/${file}: skipped: ${why}`);
  return why;
}

/** Rules in no order: some programs make their chains anew, in another one. */
export function inNoOrder(rules: string): string[] {
  return rules.split("\n").filter((line) => line !== "").sort();
}

function traffic(...args: string[]): string[] {
  return [Deno.execPath(), "run", "--quiet", "--no-prompt", "-A", TRAFFIC, ...args];
}

export class Bed implements AsyncDisposable {
  /** Addresses of the server that an exchange is with, one of each family. */
  destinations: readonly string[];

  /** Below what systems choose themselves. */
  #nextPort = 20_000;

  private constructor(
    readonly network: Network,
    readonly client: Host,
    readonly torrenter: Host,
    readonly server: Host,
    private readonly served: Program,
  ) {
    this.destinations = [server.ipv4, server.ipv6];
  }

  static async create(): Promise<Bed> {
    const network = await Network.create("btnb");
    try {
      const client = await network.addHost("client");
      const torrenter = await network.addHost("torrenter");
      const server = await network.addHost("server");
      const served = server.spawn(traffic("serve"));
      await served.printedMatch(/ready/);
      return new Bed(network, client, torrenter, server, served);
    } catch (error) {
      await network.dispose();
      throw error;
    }
  }

  get router(): Host {
    return this.network.router;
  }

  /**
   * The blocker on the router. By default bans nobody: then it is the rules that stop torrents, whose
   * fate beside the neighbour is in question.
   */
  start(settings: Record<string, string> = {}): Promise<Blocker> {
    const options = { BAN_TARGET: "none", ...settings };
    return Blocker.start(this.router, [], this.network.directory, options);
  }

  /**
   * What of everybody's traffic is served, and how many of a torrent's messages arrive, both families
   * at once.
   */
  async exchange(): Promise<Exchange> {
    const before = this.torrentsArrived;
    const to = this.destinations;
    const [visited] = await Promise.all([this.visit(to), this.torrent(to)]);
    return { ...visited, torrents: this.torrentsArrived - before };
  }

  /**
   * Everybody's traffic to these addresses: what of it was served. UDP never leaves from a port that an
   * earlier visit had: conntrack would take it for that flow, which began under other rules.
   */
  async visit(hosts: readonly string[], from: Host = this.client): Promise<Visit> {
    const port = this.#nextPort;
    this.#nextPort += hosts.length * FLOWS;
    return JSON.parse(await from.run(traffic("visit", `${port}`, ...hosts)));
  }

  /** A torrent's messages to these addresses, six to each. */
  async torrent(hosts: readonly string[], from: Host = this.torrenter): Promise<void> {
    await from.run(traffic("torrent", ...hosts));
  }

  /** BitTorrent messages that reached the server since the beginning. */
  get torrentsArrived(): number {
    return this.served.text().split("\n").filter((line) => line === "torrent").length;
  }

  /** Our chain is in the rules of both families, or soon again, and the traffic is as it should be. */
  async isGuardedBy(blocker: Blocker, when: string, expected: Exchange): Promise<void> {
    await until(() => this.#hasChain(), () => `${when}\n${blocker.log}`);
    assert.deepEqual(await this.exchange(), expected, `${when}\n${blocker.log}`);
  }

  async #hasChain(): Promise<boolean> {
    const saves = ["iptables-save", "ip6tables-save"].map((save) => this.router.run([save]));
    return (await Promise.all(saves)).every((saved) =>
      /^-A FORWARD (?:-m connmark .* )?-j BTBLOCKER$/m.test(saved)
    );
  }

  /** What the doctor says, by what it looked at. */
  async doctor(settings: Record<string, string> = {}): Promise<Map<string, Diagnosis>> {
    const variables = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const config = `${this.network.directory}/empty.toml`;
    await Deno.writeTextFile(config, "");
    const command = [...blockerCommand(), "doctor", "--json", "--config", config];
    const printed = await this.router.run([
      "env",
      ...variables,
      "sh",
      "-c",
      '"$@"; true',
      "sh",
      ...command,
    ]);
    return new Map((JSON.parse(printed) as Diagnosis[]).map((one) => [one.check, one]));
  }

  /** Starts a program of the neighbour's on the router. */
  spawn(command: readonly string[], options: ProgramOptions = {}): Program {
    return this.router.spawn(command, options);
  }

  /** All that the router has of rules, of every tool, without what counts or is a comment. */
  async rules(): Promise<string> {
    const listings: string[] = [];
    for (const command of ["iptables", "ip6tables"]) {
      for (const backend of ["nft", "legacy"]) {
        listings.push(await this.router.run([`${command}-${backend}-save`]));
      }
    }
    listings.push(await this.router.run(["nft", "list", "ruleset"]));
    for (const family of ["-4", "-6"]) listings.push(await this.router.run(["ip", family, "rule"]));
    return listings.join("").split("\n").filter((line) => !line.startsWith("#"))
      .map((line) => line.replace(/\[\d+:\d+\]/, "").replaceAll(/packets \d+ bytes \d+/g, "")).join(
        "\n",
      );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network.dispose();
  }
}
