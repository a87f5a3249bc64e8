import assert from "node:assert/strict";
import { type KernelSources, presenceOf } from "../../src/doctor/kernel_parts.ts";

const PART = {
  module: "nfnetlink_queue",
  symbol: "CONFIG_NETFILTER_NETLINK_QUEUE",
  file: "/proc/net/netfilter/nfnetlink_queue",
};

// Lines as in Debian 12's /boot/config-6.1.0-18-amd64 and its modules.dep
const DEBIAN_CONFIG = "CONFIG_NETFILTER_NETLINK=m\nCONFIG_NETFILTER_NETLINK_QUEUE=m\n";
const DEBIAN_MODULES = "kernel/net/netfilter/nfnetlink_queue.ko: kernel/net/netfilter/nfnetlink.ko";

const CASES: readonly [string, Partial<KernelSources> & { files?: string[] }, string][] = [
  ["a loaded module", { files: ["/sys/module/nfnetlink_queue"] }, "there"],
  ["its file in /proc", { files: ["/proc/net/netfilter/nfnetlink_queue"] }, "there"],
  ["built in", { config: "CONFIG_NETFILTER_NETLINK_QUEUE=y\n" }, "there"],
  ["a module of Debian", { config: DEBIAN_CONFIG, modules: DEBIAN_MODULES }, "loadable"],
  ["its name with a dash", { modules: "kernel/net/nfnetlink-queue.ko.xz:" }, "loadable"],
  ["a module, and no list of modules", { config: DEBIAN_CONFIG }, "loadable"],
  ["a module whose file is missing", { config: DEBIAN_CONFIG, modules: "x.ko:\n" }, "absent"],
  ["not set", { config: "# CONFIG_NETFILTER_NETLINK_QUEUE is not set\n" }, "absent"],
  [
    "another symbol with its name in it",
    { config: "CONFIG_NETFILTER_NETLINK_QUEUE_CT=y\n" },
    "absent",
  ],
  ["a kernel that tells nothing", {}, "unknown"],
];

for (const [name, { files = [], ...sources }, expected] of CASES) {
  Deno.test(`presenceOf() knows ${name}`, () => {
    const exists = (path: string) => files.includes(path);
    assert.equal(presenceOf(PART, { config: null, modules: null, ...sources, exists }), expected);
  });
}
