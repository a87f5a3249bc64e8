/**
 * Looks for the system libraries and commands that the blocker needs. As root on Debian and its like
 * it installs what is missing; elsewhere it names it.
 *
 *     deno run -A scripts/setup.ts [--check]     --check: install nothing
 */
import { commandLine } from "./arguments.ts";

interface Need {
  /** What it is for, in words. */
  readonly purpose: string;
  readonly debian: string;
  readonly isThere: () => boolean;
}

const NEEDS: readonly Need[] = [
  {
    purpose: "takes packets from NFQUEUE",
    debian: "libnetfilter-queue1",
    isThere: () => canLoad("libnetfilter_queue.so.1"),
  },
  {
    purpose: "loads the XDP program",
    debian: "libbpf1",
    isThere: () => canLoad("libbpf.so.1"),
  },
  {
    purpose: "installs the firewall rules",
    debian: "iptables",
    isThere: () => canRun("iptables") || canRun("nft"),
  },
];

function canLoad(library: string): boolean {
  try {
    Deno.dlopen(library, {}).close();
    return true;
  } catch {
    return false;
  }
}

function canRun(command: string): boolean {
  const env = { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` };
  try {
    const probe = new Deno.Command(command, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
      env,
    });
    return probe.outputSync().success;
  } catch {
    return false;
  }
}

function apt(args: readonly string[], errors: "inherit" | "null" = "inherit"): boolean {
  const { success } = new Deno.Command("apt-get", {
    args: ["-y", "-qq", "-o", "Dpkg::Use-Pty=0", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "null", // dpkg's progress
    stderr: errors,
  }).outputSync();
  return success;
}

/** Gives the exit code. */
function setup(installs: boolean): number {
  if (Deno.build.os !== "linux") {
    console.error(`btblocker guards networks on Linux only; btblocker analyze works here`);
    return 1;
  }
  let missing = NEEDS.filter((need) => !need.isThere());
  if (missing.length === 0) return 0;
  const packages = missing.map((need) => need.debian);
  if (installs && Deno.uid() === 0 && canRun("apt-get")) {
    console.error(`Installing ${packages.join(", ")} with apt-get`);
    // A fresh machine has no package lists, an old one outdated ones: the second try's errors count.
    const install = ["install", "--no-install-recommends", ...packages];
    if (!apt(install, "null")) {
      apt(["update"]);
      apt(install);
    }
    missing = NEEDS.filter((need) => !need.isThere());
    if (missing.length === 0) return 0;
  }
  for (const { debian, purpose } of missing) console.error(`Missing: ${debian} (${purpose})`);
  const names = missing.map((need) => need.debian).join(" ");
  console.error(`Cannot start without them (Debian, Ubuntu: apt-get install ${names})`);
  return 1;
}

const options = { check: { type: "boolean", default: false } } as const;
const { values } = commandLine("deno task setup [--check]", options, 0);
Deno.exit(setup(!values.check));
