/** Whether the kernel can settle by itself what opens as no BitTorrent does. */
import type { Config } from "../config/options.ts";
import { type Check, ok, warning } from "./diagnosis.ts";
import { type KernelPart, type KernelSources, presenceOf } from "./kernel_parts.ts";

const MATCH: KernelPart = { module: "xt_bpf", symbol: "CONFIG_NETFILTER_XT_MATCH_BPF" };
const WITHOUT = "the first packets of every connection come to user space";

export function firstLookCheck(
  { manageRules, xdpMode }: Pick<Config, "manageRules" | "xdpMode">,
  sources: KernelSources,
): Check {
  const name = "first look";
  return {
    name,
    look() {
      if (!manageRules) return ok(name, `none, the rules are others' (MANAGE_RULES): ${WITHOUT}`);
      if (xdpMode === "off") return ok(name, `none with XDP_MODE=off: ${WITHOUT}`);
      switch (presenceOf(MATCH, sources)) {
        case "absent":
          return warning(name, `the kernel has no xt_bpf: ${WITHOUT}`, "it costs speed alone");
        case "unknown":
          return ok(name, "the kernel does not tell whether it has xt_bpf; the start does");
        default:
          return ok(name, "xt_bpf: TLS, SSH, QUIC, DNS and their like are settled in the kernel");
      }
    },
  };
}
