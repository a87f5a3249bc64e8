/** The blocker as the end-to-end tests run it: in the router of a lab, from outside. */

import { fileURLToPath } from "node:url";
import { lookupElement, openPinned } from "../../ffi/bpf.ts";
import { close } from "../../ffi/libc.ts";
import type { Host } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";
import { programsOnLinks } from "../lab/programs_on_links.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const PINS = "/sys/fs/bpf/btblocker";

/** The command: the executable that `BTBLOCKER` names, else the sources. */
export function blockerCommand(): string[] {
  const executable = Deno.env.get("BTBLOCKER");
  if (executable !== undefined) return [executable];
  return [Deno.execPath(), "run", "--quiet", "--no-prompt", "-A", MAIN];
}

/** A line of the JSON detection log. */
export interface LoggedDetection {
  proto: string;
  src_ip: string;
  dest_ip: string;
  method: string;
  reason: string;
  client: string | null;
  action: string;
  bans: { target: string; seconds: number }[];
}

/** What the kernel keeps of a ban, read from its bytes (bpf/layout.h). */
export interface KernelBan {
  untilNs: bigint;
  /** Dropped by XDP. */
  packets: bigint;
  bytes: bigint;
}

const VALUE_LENGTH = 48;

export class Blocker {
  private constructor(
    readonly router: Host,
    readonly program: Program,
    private readonly detectionLog: string,
  ) {}

  /** Starts it and waits until it guards. `settings` are environment variables. */
  static async start(
    router: Host,
    interfaces: readonly string[],
    directory: string,
    settings: Record<string, string> = {},
  ): Promise<Blocker> {
    // A directory of its own: a lab may start several, one after the other.
    const own = await Deno.makeTempDir({ dir: directory, prefix: "blocker-" });
    const config = `${own}/config.toml`;
    await Deno.writeTextFile(config, ""); // not the machine's own
    const detectionLog = `${own}/detections`;
    const program = router.spawn([...blockerCommand(), "run", "--config", config], {
      log: `${own}/log`,
      env: {
        INTERFACE: interfaces.join(","),
        CHAINS: "FORWARD",
        BAN_DURATION: "600",
        DETECTION_LOG: detectionLog,
        DETECTION_LOG_FORMAT: "json",
        ...settings,
      },
    });
    await program.printedMatch(/(Guarding|Watching) /);
    return new Blocker(router, program, detectionLog);
  }

  /** Everything it has printed. */
  get log(): string {
    return this.program.text();
  }

  /** The detections logged so far. */
  async detections(): Promise<LoggedDetection[]> {
    const text = await Deno.readTextFile(this.detectionLog);
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** Addresses banned so far, by the detection log. */
  async banned(): Promise<Set<string>> {
    const rows = await this.detections();
    return new Set(rows.flatMap(({ bans }) => bans.map(({ target }) => target)));
  }

  /** Runs another command of it in the router. */
  command(...args: string[]): Promise<string> {
    return this.router.run([...blockerCommand(), ...args]);
  }

  /**
   * The entry of the kernel's `blocked_ips`, looked up through bpf by the 16 bytes of the key (IPv4
   * as `::ffff:a.b.c.d`, network order), in hexadecimal; null when there is none.
   */
  async kernelBan(keyHex: string): Promise<KernelBan | null> {
    const map = openPinned(`${await this.pinDirectory()}/blocked_ips`);
    if (map < 0) throw new Error(`blocked_ips cannot be opened: error ${-map}`);
    try {
      const value = new Uint8Array(VALUE_LENGTH);
      if (lookupElement(map, Uint8Array.fromHex(keyHex), value) < 0) return null;
      const view = new DataView(value.buffer);
      return {
        untilNs: view.getBigUint64(0, true),
        packets: view.getBigUint64(16, true),
        bytes: view.getBigUint64(24, true),
      };
    } finally {
      close(map);
    }
  }

  /** The pins of this network namespace: their directory is named after its inode. */
  async pinDirectory(): Promise<string> {
    const inode = await this.router.run(["readlink", "/proc/self/ns/net"]);
    const number = /\d+/.exec(inode)?.[0];
    for await (const { name } of Deno.readDir(PINS)) {
      if (name.startsWith(`net-${number}-`)) return `${PINS}/${name}`;
    }
    throw new Error(`no pins of namespace ${number} in ${PINS}`);
  }

  /** Ends it; gives the exit code and how long it took, in milliseconds. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; milliseconds: number }> {
    const began = performance.now();
    const { code } = await this.program.stop(signal);
    return { code, milliseconds: performance.now() - began };
  }

  /** What is left in the router of rules, queues and programs on links; empty after a clean stop. */
  static async leftovers(router: Host): Promise<string[]> {
    const left: string[] = [];
    for (const save of ["iptables-save", "ip6tables-save"]) {
      const rules = await router.run([save]);
      left.push(...rules.split("\n").filter((line) => /BTBLOCKER|NFQUEUE|CONNMARK/.test(line)));
    }
    const tables = await router.run(["nft", "list", "ruleset"]).catch(() => "");
    left.push(...tables.split("\n").filter((line) => /btblocker/i.test(line)));
    left.push(...await programsOnLinks((command) => router.inside(command)));
    const queues = await router.run(["cat", "/proc/net/netfilter/nfnetlink_queue"]);
    left.push(...queues.split("\n").filter((line) => line !== ""));
    return left;
  }
}

/** The 16 bytes of a ban's key, in hexadecimal, written here anew: what the kernel compares. */
export function banKey(address: string): string {
  if (!address.includes(":")) {
    const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
    return `00000000000000000000ffff${bytes.join("")}`;
  }
  const [head, tail] = address.split("::");
  const left = head.split(":");
  const right = tail === undefined ? [] : tail.split(":");
  const zeros = Array(8 - left.length - right.length).fill("0");
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, "0")).join("");
}
