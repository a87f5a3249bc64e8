/** The kernel, its parts, the libraries, the rights of this process. */
import { libbpfVersion } from "../../ffi/bpf.ts";
import { loadNetfilterQueue } from "../../ffi/netfilter_queue.ts";
import { BPFFS, isBpffsMounted } from "../gateway/bans/ban_pins.ts";
import type { Config } from "../config/options.ts";
import { CONTROL_DIRECTORY } from "../blocker/control.ts";
import { type Check, type Diagnosis, ok, problem, warning } from "./diagnosis.ts";
import { type KernelPart, type KernelSources, presenceOf } from "./kernel_parts.ts";
import { exists } from "../files.ts";
import {
  capabilities,
  type Capability,
  isAtLeast,
  isInUserNamespace,
  readText,
} from "./machine.ts";

/** Kernel versions that matter, with what each brought. */
const OLDEST = { major: 4, minor: 18 }; // what NFQUEUE and the ban maps need
const WITH_LINKS = { major: 5, minor: 9 }; // bpf_link of XDP
const WITH_SHARED_ACCOUNTING = { major: 5, minor: 11 }; // BPF memory without RLIMIT_MEMLOCK

export function kernelCheck(release: string): Check {
  return {
    name: "kernel",
    look() {
      if (release === "") return warning("kernel", "its version cannot be read from /proc");
      if (isAtLeast(release, WITH_LINKS.major, WITH_LINKS.minor)) {
        return ok("kernel", `Linux ${release}`);
      }
      if (isAtLeast(release, OLDEST.major, OLDEST.minor)) {
        return warning(
          "kernel",
          `Linux ${release} cannot attach XDP so that it leaves with the process`,
          "bans hold in user space only; Linux 5.9 or later has it all",
        );
      }
      return problem("kernel", `Linux ${release} is too old`, "use Linux 5.9 or later");
    },
  };
}

const QUEUE: KernelPart = {
  module: "nfnetlink_queue",
  symbol: "CONFIG_NETFILTER_NETLINK_QUEUE",
  file: "/proc/net/netfilter/nfnetlink_queue",
};
const QUEUE_TARGET: KernelPart = {
  module: "xt_NFQUEUE",
  symbol: "CONFIG_NETFILTER_XT_TARGET_NFQUEUE",
};
const CONNTRACK: KernelPart = {
  module: "nf_conntrack",
  symbol: "CONFIG_NF_CONNTRACK",
  file: "/proc/sys/net/netfilter/nf_conntrack_max",
};
const CONNTRACK_MARK: KernelPart = {
  module: "xt_connmark",
  symbol: "CONFIG_NETFILTER_XT_CONNMARK",
};

/** The parts that one subject needs, as one finding. */
export function partsCheck(
  name: string,
  parts: readonly KernelPart[],
  sources: KernelSources,
): Check {
  return {
    name,
    look() {
      const states = parts.map((part) => ({ part, presence: presenceOf(part, sources) }));
      const absent = states.filter(({ presence }) => presence === "absent");
      if (absent.length > 0) {
        const symbols = absent.map(({ part }) => part.symbol).join(", ");
        const modules = absent.map(({ part }) => part.module).join(", ");
        const advice = "install the distribution's package of extra modules, or another kernel";
        return problem(name, `the kernel lacks ${modules} (${symbols})`, advice);
      }
      const words = { there: "there", loadable: "module, loaded when needed" };
      const told = states.map(({ part, presence }) => {
        const word = presence === "loadable" || presence === "there"
          ? words[presence]
          : "cannot be told here";
        return `${part.module}: ${word}`;
      });
      return ok(name, told.join("; "));
    },
  };
}

export function netfilterChecks(sources: KernelSources): Check[] {
  return [
    partsCheck("nfqueue", [QUEUE, QUEUE_TARGET], sources),
    partsCheck("conntrack", [CONNTRACK, CONNTRACK_MARK], sources),
  ];
}

/** Libraries by name, with their versions where they tell. */
export const LIBRARY_CHECKS: readonly Check[] = [
  {
    name: "libnetfilter_queue",
    look() {
      try {
        loadNetfilterQueue();
      } catch (error) {
        return libraryProblem("libnetfilter_queue", error, "libnetfilter-queue1");
      }
      return ok("libnetfilter_queue", loadedFile("libnetfilter_queue"));
    },
  },
  {
    name: "libbpf",
    look() {
      let version: string;
      try {
        version = libbpfVersion();
      } catch (error) {
        const { detail, advice } = libraryProblem("libbpf", error, "libbpf1");
        return warning("libbpf", `${detail}; bans hold in user space only`, advice);
      }
      return ok("libbpf", `${version}, ${loadedFile("libbpf")}`);
    },
  },
];

function libraryProblem(name: string, error: unknown, debianPackage: string): Diagnosis {
  const [why] = (error as Error).message.split(" (");
  return problem(
    name,
    why.replaceAll("Could not open library: ", ""),
    `install it (Debian: apt install ${debianPackage}), or run deno task setup as root`,
  );
}

/** Path of the file that a library was loaded from, as /proc/self/maps has it. */
function loadedFile(name: string): string {
  const maps = readText("/proc/self/maps") ?? "";
  return new RegExp(`\\S+/${name}\\.so\\S*`).exec(maps)?.[0] ?? "loaded";
}

/** Which rights this process has: run the doctor as the blocker will run. */
export function rightsChecks(held: Set<Capability> = capabilities()): Check[] {
  return [
    { name: "rights", look: () => rights(held) },
    {
      name: "run directory",
      look() {
        if (isWritable(CONTROL_DIRECTORY) || (!exists(CONTROL_DIRECTORY) && isWritable("/run"))) {
          return ok("run directory", `${CONTROL_DIRECTORY} can be used`);
        }
        const advice = `run as root, or give ${CONTROL_DIRECTORY} to the user that runs it, ` +
          "as RuntimeDirectory= of the systemd unit does";
        return problem("run directory", `${CONTROL_DIRECTORY} cannot be written`, advice);
      },
    },
  ];
}

function rights(held: Set<Capability>): Diagnosis {
  if (!held.has("CAP_NET_ADMIN")) {
    return problem(
      "rights",
      "CAP_NET_ADMIN is missing: no queue, no rules",
      "run as root, or see docs/permissions.md",
    );
  }
  if (isInUserNamespace()) {
    return warning(
      "rights",
      "a user namespace of its own (rootless container): its rights do not cover XDP",
      "bans hold in user space only; run the container as root",
    );
  }
  const lacks = (["CAP_BPF", "CAP_PERFMON"] as const)
    .filter((name) => !held.has(name) && !held.has("CAP_SYS_ADMIN"));
  if (lacks.length > 0) {
    const advice = "bans hold in user space only; grant them for XDP";
    return warning("rights", `${lacks.join(" and ")} missing: no XDP`, advice);
  }
  if (!held.has("CAP_NET_RAW")) {
    return warning(
      "rights",
      "CAP_NET_RAW is missing: the legacy back end of iptables needs it, and RESET_OLDER",
      "grant it, or use iptables-nft",
    );
  }
  return ok("rights", `${Deno.uid() === 0 ? "root" : "not root"}, all that is needed`);
}

function isWritable(path: string): boolean {
  const probe = `${path}/btblocker-doctor-${Deno.pid}`; // a bpffs takes no dots
  try {
    Deno.mkdirSync(probe);
    Deno.removeSync(probe);
    return true;
  } catch {
    return false;
  }
}

/** The file system of pinned maps, and the memory that maps may take. */
export function bpfChecks(
  release: string,
  { xdpMode }: Config,
  held: Set<Capability> = capabilities(),
): Check[] {
  if (xdpMode === "off") return [];
  return [
    {
      name: "bpffs",
      look() {
        if (isBpffsMounted()) return pinsFinding();
        const isKnown = /\bbpf$/m.test(readText("/proc/filesystems") ?? "");
        const advice = `mount -t bpf bpf ${BPFFS}`;
        if (isKnown && held.has("CAP_SYS_ADMIN")) {
          return ok("bpffs", `not mounted at ${BPFFS}: the blocker mounts it at its start`);
        }
        return warning("bpffs", "not mounted: bans are not kept over a crash", advice);
      },
    },
    {
      name: "memlock",
      look() {
        const { major, minor } = WITH_SHARED_ACCOUNTING;
        if (isAtLeast(release, major, minor)) {
          return ok("memlock", `no limit for BPF maps since Linux ${major}.${minor}`);
        }
        const limits = readText("/proc/self/limits") ?? "";
        const limit = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1] ?? "unknown";
        if (limit === "unlimited") return ok("memlock", "unlimited");
        return warning(
          "memlock",
          `${limit} bytes of locked memory may be too little for the ban maps`,
          "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited",
        );
      },
    },
  ];
}

/** Whether our directory of pins can be used. */
function pinsFinding(): Diagnosis {
  const directory = `${BPFFS}/btblocker`;
  if (isWritable(exists(directory) ? directory : BPFFS)) {
    return ok("bpffs", `mounted, ${directory} can be used`);
  }
  return warning(
    "bpffs",
    `mounted, but ${directory} cannot be written: bans are not kept over a crash`,
    "run as root, or see docs/permissions.md",
  );
}
