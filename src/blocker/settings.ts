/** What the parts of the blocker get of the configuration. */
import type { Config } from "../config/options.ts";
import type { BanSide, BanSideOptions } from "../gateway/bans/ban_side.ts";
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

/** How bans are kept. @param networks whether networks are banned too: a fleet does */
export function banSideOptions(
  config: Config,
  networks: boolean,
): Omit<BanSideOptions, "log"> {
  return {
    interfaces: config.interfaces,
    judgesForwarded: config.chains.includes("FORWARD"),
    xdpMode: config.xdpMode,
    scope: config.banScope,
    limit: config.banLimit,
    networks,
    persist: config.persistBans,
    whitelistIps: config.whitelistIps,
    openPorts: config.whitelistPorts,
    monitorOnly: config.monitorOnly,
  };
}

/** How the queue workers judge, and whom they ban. */
export function judgeSettings(config: Config, bans: BanSide): JudgeSettings {
  return {
    policy: {
      strict: config.policy === "strict",
      resetOlder: config.resetOlder === "auto"
        ? config.policy === "strict"
        : config.resetOlder === "true",
      blockSocks: config.blockSocks,
      blockMentions: config.blockMentions,
      whitelistPorts: config.whitelistPorts,
    },
    monitorOnly: config.monitorOnly,
    copiesPackets: config.detectionPcap !== "",
    bans: bans.workerSetup({
      target: config.banTarget,
      durationSeconds: config.banDuration,
      requiresReply: config.banRequiresReply,
    }),
  };
}
