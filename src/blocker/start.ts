/**
 * How the blocker starts, from top to bottom; each part is undone by the failure of a later one and
 * at the stop, in reverse. Queues are bound before rules send packets to them, and rules are gone
 * before queues are.
 */
import { loadNetfilterQueue } from "../../ffi/netfilter_queue.ts";
import { isSecretAddress } from "../config/kinds.ts";
import type { Config } from "../config/options.ts";
import { DEFAULT_FLOWS } from "../engine/engine.ts";
import { EnvironmentError } from "../errors.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { fleetSettings, readSecret } from "../fleet/settings.ts";
import { BanSide } from "../gateway/bans/ban_side.ts";
import { DropMarks } from "../gateway/conntrack/drop_marks.ts";
import { FirstLook } from "../gateway/first_look/first_look.ts";
import { networkNamespaceInode } from "../gateway/network/network_namespace.ts";
import { COUNTER_INDEX, workerCounters } from "../gateway/queue/counters.ts";
import { watchOverload } from "../gateway/queue/overload.ts";
import { QueueWorkers } from "../gateway/queue/queue_workers.ts";
import { maySendRaw, requireNetAdmin } from "../gateway/rights.ts";
import { agreeOnMarks, marksOfInstalled } from "../gateway/rules/agreed_marks.ts";
import { chainOf } from "../gateway/rules/chain.ts";
import { type Backend, Firewall } from "../gateway/rules/firewall.ts";
import { KeptRules } from "../gateway/rules/kept_rules.ts";
import { findObstacles } from "../gateway/rules/obstacles.ts";
import type { GuardedTraffic, Table } from "../gateway/rules/rule_text.ts";
import { Webhook } from "../notify/webhook.ts";
import { DetectionFiles } from "../report/detection_files.ts";
import { log, logLine } from "../report/log.ts";
import { DetectionHistory } from "../status/history.ts";
import { thisMachine } from "../who/machine.ts";
import { describePerson } from "../who/person.ts";
import { Who } from "../who/who.ts";
import { BanDesk } from "./ban_desk.ts";
import { Blocker } from "./blocker.ts";
import { giveBackMemory, useLittleMemory } from "./memory.ts";
import { BlockerStatus } from "./blocker_status.ts";
import { CONTROL_DIRECTORY, ControlServer } from "./control.ts";
import { tellDetection } from "./detections.ts";
import { Front } from "./front.ts";
import { banSideOptions, guardedTraffic, judgeSettings, wantsResets } from "./settings.ts";

/** For tests. */
export interface StartOptions {
  readonly backend?: Backend;
  /** Tables of iptables to choose from, the preferred one first. */
  readonly tables?: readonly Table[];
  /** The module of the workers. */
  readonly workerModule?: URL;
  /** How often it is looked whether the rules still stand. */
  readonly rulesCheckMs?: number;
}

/** Starts it; throws where the machine does not allow it, and then nothing is left. */
export async function start(config: Config, options: StartOptions = {}): Promise<Blocker> {
  const settings = { config }; // a reload replaces it
  const joins = fleetSettings(config);
  requireNetAdmin();
  warnOfDirections(config);
  if (wantsResets(config) && !maySendRaw()) {
    log.warn("Connections that are older are not reset (RESET_OLDER): CAP_NET_RAW is missing");
  }
  await using undo = new AsyncDisposableStack();

  // The lock: a second blocker must not touch the first one's rules and maps.
  const front = new Front();
  const complain = (message: string) => logLine("error", message);
  const inode = networkNamespaceInode();
  undo.use(new ControlServer(inode, front.handlers, CONTROL_DIRECTORY, complain));

  // What can be refused is refused before the kernel is touched: a service manager that starts us
  // again and again is not to flap the rules.
  if (joins !== null) (await import("../fleet/files.ts")).checkFleetFiles(joins);
  const detectionFiles = undo.use(new DetectionFiles((message) => logLine("warn", message)));
  detectionFiles.open(config);

  // The maps.
  const bans = undo.use(
    BanSide.open({ ...banSideOptions(config), log: logLine }),
  );
  if (joins !== null) await bans.protect([new URL(joins.url).hostname]);
  let fleet: Fleet | null = null;
  let dropMarks: DropMarks | null = null;
  const who = new Who(thisMachine());
  const desk = front.desk = new BanDesk(
    bans.bans,
    bans.local,
    {
      fleet: () => fleet,
      flows: () => dropMarks,
      who: (address) => {
        const person = settings.config.who ? who.of(address) : null;
        return person === null ? null : describePerson(person);
      },
    },
  );

  // The status page.
  const history = new DetectionHistory();
  const status = front.status = undo.use(
    await BlockerStatus.start({ settings, bans, desk, detections: history, detectionFiles }),
  );

  // The queues.
  const pages = useLittleMemory();
  loadNetfilterQueue();
  const firewall = await openFirewall(config, options);
  const marks = config.manageRules && firewall !== null
    ? await agreeOnMarks(firewall, config.markMask, logLine)
    : await marksOfInstalled(firewall, config.markMask);
  const look = firewall === null ? null : openFirstLook(config, firewall, bans);
  if (look !== null) undo.use(look);
  const traffic = { ...guardedTraffic(config, marks), firstLook: look?.rules ?? null };
  if (config.manageRules && firewall !== null) await warnOfRules(firewall, traffic);
  const chain = await chainOf(firewall, traffic, config.manageRules);
  let rules: KeptRules | null = null;
  const webhook = config.webhookUrl === "" ? null : undo.use(openWebhook(config.webhookUrl));
  const readers = { files: detectionFiles, history, fleet: () => fleet, who, webhook };
  const workers = undo.use(
    await QueueWorkers.start({
      queueNumber: config.queueNum,
      queueCount: config.queueCount,
      chain,
      settings: judgeSettings(config, bans),
      notes: look?.notes ?? -1,
      flows: DEFAULT_FLOWS,
      onDetection: (report) => {
        const { banned, inputInterface, outputInterface } = report;
        if (banned.length > 0) bans.enforce([inputInterface, outputInterface]);
        tellDetection(report, settings.config, readers);
      },
      onForeignMark: (mark) => rules?.reportForeignMark(mark),
      log: logLine,
      ...options.workerModule === undefined ? {} : { module: options.workerModule },
    }),
  );

  if (chain.savesMarks) {
    dropMarks = new DropMarks({
      marks: marks.marks,
      isBanned: ({ words, port }, protocol) => bans.bans.isBanned(words, protocol, port),
      isSpared: ({ ends: [, called, answering] }) =>
        [called.port, answering.port].some((port) => settings.config.whitelistPorts.includes(port)),
      onForgotten: (addresses, pardons) => workers.forget(addresses, pardons),
      onPardoned: (network) => workers.pardon(network),
    });
    undo.use(dropMarks);
  }

  // The filter.
  bans.attach();

  // The rules.
  if (config.manageRules && firewall !== null) {
    const counters = workerCounters(workers.counters, 0);
    const onServices = (count: number) => counters[COUNTER_INDEX.serviceConnections] = count;
    const { rulesCheckMs: checkMs } = options;
    const onMarksLeft = () => dropMarks?.forgetClean();
    const kept = {
      log: logLine,
      onServices,
      onMarksLeft,
      ...checkMs === undefined ? {} : { checkMs },
    };
    rules = undo.use(await KeptRules.install(firewall, traffic, kept));
  }
  undo.use(watchOverload(workers.counters, config.queueCount, logLine));

  // The fleet.
  if (joins !== null) {
    const { Fleet } = await import("../fleet/fleet.ts");
    const { bans: held, local: { never } } = bans;
    fleet = undo.use(
      Fleet.start({ settings: joins, bans: held, limit: config.banLimit, never, log: logLine }),
    );
  }

  const how = rules !== null
    ? firewall!.describe()
    : `rules of others${chain.savesMarks ? "" : ", every packet they queue is judged"}`;
  if (look !== null && firewall!.hasFirstLook) {
    logLine("info", "TLS, SSH, QUIC, DNS and their like are settled in the kernel");
  }
  logLine("info", `${describeTraffic(traffic, how)}; ${bans.describe()}`);
  undo.use(giveBackMemory(pages));
  status.ready({ workers, fleet, look: firewall?.hasFirstLook ? look : null });
  return new Blocker(
    { settings, detectionFiles, bans, status, workers, rules, dropMarks },
    undo.move(),
  );
}

/** Throws EnvironmentError where the address stands in a file that cannot be used. */
function openWebhook(setting: string): Webhook {
  const url = readSecret("WEBHOOK_URL", setting);
  if (!isSecretAddress(url)) {
    const path = setting.slice("file:".length);
    throw new EnvironmentError(`Cannot use ${path} of WEBHOOK_URL: expected http://… or https://…`);
  }
  return new Webhook({ url, host: Deno.hostname(), log: logLine });
}

/**
 * The kernel's first look where there can be one; else why not is said, and each flow's first packets
 * are judged in user space.
 */
function openFirstLook(
  { manageRules, xdpMode }: Config,
  firewall: Firewall,
  { xdp }: BanSide,
): FirstLook | null {
  const none = (reason: string) => {
    logLine("info", `No first look in the kernel, every connection's packets come here: ${reason}`);
    return null;
  };
  if (!manageRules) return none("the rules are others' (MANAGE_RULES)");
  if (!firewall.hasMatches) return none("nft has no match for BPF programs");
  if (xdp === null) return none(xdpMode === "off" ? "XDP_MODE is off" : "there is no BPF");
  try {
    return FirstLook.open(xdp);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    return none(error.message);
  }
}

/** Without rules to manage, a missing tool is no obstacle. */
async function openFirewall(
  { manageRules }: Config,
  { backend, tables }: StartOptions,
): Promise<Firewall | null> {
  try {
    const firewall = await Firewall.open(backend, tables, (message) => logLine("warn", message));
    for (const warning of firewall.warnings) logLine("warn", warning);
    return firewall;
  } catch (error) {
    if (manageRules || !(error instanceof EnvironmentError)) throw error;
    return null;
  }
}

/** "Guarding FORWARD (IPv4 and IPv6, …) by NFQUEUE 0 to 3". */
function describeTraffic(
  { chains, queueNumber, queueCount, monitorOnly }: GuardedTraffic,
  how: string,
): string {
  const queues = queueCount === 1
    ? `NFQUEUE ${queueNumber}`
    : `NFQUEUE ${queueNumber} to ${queueNumber + queueCount - 1}`;
  return `${monitorOnly ? "Watching" : "Guarding"} ${chains.join(", ")} (${how}) by ${queues}`;
}

/** Rules of others that stand in our way. Whoever has written ours by hand (MANAGE_RULES) means us. */
async function warnOfRules(firewall: Firewall, traffic: GuardedTraffic): Promise<void> {
  for (const { detail, remedy } of findObstacles(await firewall.rules(), traffic)) {
    logLine("warn", `${detail} (${remedy})`);
  }
}

/** One direction alone shows no answer, so no sender is known to be real. */
function warnOfDirections({ chains }: Config): void {
  const [has, lacks] = chains.includes("INPUT") ? ["INPUT", "OUTPUT"] : ["OUTPUT", "INPUT"];
  if (chains.includes(has as "INPUT") === chains.includes(lacks as "INPUT")) return;
  log.warn(
    "CHAINS has {has} without {lacks}: only one direction of this machine's own traffic is seen, " +
      "so less is recognised and less is banned",
    { has, lacks },
  );
}
