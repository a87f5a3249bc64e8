/** What the parts of the blocker get of the configuration. */
import type { Config } from "../config/options.ts";
import type { BanScope } from "../gateway/bans/ban_policy.ts";
import type { BanSide, BanSideOptions } from "../gateway/bans/ban_side.ts";
import { maySendRaw } from "../gateway/rights.ts";
import type { JudgeSettings } from "../gateway/queue/worker_protocol.ts";
import type { AgreedMarks } from "../gateway/rules/agreed_marks.ts";
import type { GuardedTraffic } from "../gateway/rules/rule_text.ts";

/** What is to be guarded. */
export function guardedTraffic(config: Config, marks: AgreedMarks): GuardedTraffic {
  return {
    chains: config.chains,
    queueNumber: config.queueNum,
    queueCount: config.queueCount,
    ...marks,
    recheck: config.recheck,
    monitorOnly: config.monitorOnly,
    whitelistPorts: config.whitelistPorts,
  };
}

/**
 * BAN_SCOPE. In OUTPUT the other end is somebody's home, who may be a customer here: without a word of
 * the operator only the port that he torrents at is banned.
 */
export function banScope({ banScope, chains }: Config): BanScope {
  if (banScope !== "auto") return banScope;
  return chains.includes("OUTPUT") ? "endpoint" : "ip";
}

/** How bans are kept. */
export function banSideOptions(
  config: Config,
): Omit<BanSideOptions, "log"> {
  return {
    interfaces: config.interfaces,
    judgesForwarded: config.chains.includes("FORWARD"),
    xdpMode: config.xdpMode,
    scope: banScope(config),
    limit: config.banLimit,
    ipv6Bits: config.banPrefix,
    persist: config.persistBans,
    whitelistIps: config.whitelistIps,
    openPorts: config.whitelistPorts,
    monitorOnly: config.monitorOnly,
  };
}

/** RESET_OLDER */
export function wantsResets({ resetOlder, policy }: Config): boolean {
  return resetOlder === "auto" ? policy === "strict" : resetOlder === "true";
}

/** How the queue workers judge, and whom they ban. */
export function judgeSettings(config: Config, bans: BanSide): JudgeSettings {
  return {
    policy: {
      strict: config.policy === "strict",
      // Their packets would be dropped, and nobody told.
      resetOlder: wantsResets(config) && maySendRaw(),
      holds: !config.monitorOnly,
      blockSocks: config.blockSocks,
      blockMentions: config.blockMentions,
      whitelistPorts: config.whitelistPorts,
    },
    monitorOnly: config.monitorOnly,
    copiesPackets: config.detectionPcap !== "",
    bans: bans.workerSetup({
      target: config.banTarget,
      durationSeconds: config.banDuration,
      factor: config.banFactor,
      mostSeconds: config.banDurationMax,
      requiresReply: config.banRequiresReply,
    }),
  };
}
