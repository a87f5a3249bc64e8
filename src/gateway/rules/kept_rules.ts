/**
 * The rules while the blocker runs: in step with the settings, back when another program flushed
 * them, and aware of who else uses marks.
 */
import { NetlinkEvents } from "../../../ffi/libc_net.ts";
import type { LogLine } from "../../log_line.ts";
import {
  copiesOurs,
  describeAskers,
  describeForeignMark,
  isOwnVerdict,
  stateSetters,
  wholeAskers,
} from "./agreed_marks.ts";
import { EnvironmentError } from "../../errors.ts";
import type { Firewall } from "./firewall.ts";
import type { MarkUser } from "./mark_users.ts";
import { hex } from "./marks.ts";
import { findQueueUsers } from "./queue_users.ts";
import { readRuleEvent } from "./rule_events.ts";
import type { GuardedTraffic } from "./rule_text.ts";

/**
 * How often it is looked whether the rules still stand, where no event tells: of the legacy back end
 * there are none…
 */
const CHECK_MS = 8_000;
/** …how often events are read: so long torrents may pass after a flush… */
const EVENTS_MS = 100;
/** …so many at a time; a look takes a tenth of the time at most… */
const MOST_EVENTS = 1024;
const EVENTS_SHARE = 10;
/** …and who uses marks: as often as the rules, but a hundredth of the time at most: they may be many. */
const USERS_SHARE = 100;

/** What of the rules can change while they stand. */
export type LiveTraffic = Pick<GuardedTraffic, "monitorOnly" | "whitelistPorts">;
/** A service manager ends a stop that takes too long (TimeoutStopSec= of our unit: 15 s). */
const REMOVAL_MS = 7_000;

export interface KeptOptions {
  readonly log: LogLine;
  /** Told now and then how many connections the rules for whitelisted services released. */
  readonly onServices?: (packets: number) => void;
  /** Told when clean connections' marks are left alone from now on: those that have ours lose it. */
  readonly onMarksLeft?: () => void;
  /** For tests. */
  readonly checkMs?: number;
}

export class KeptRules implements AsyncDisposable {
  #traffic: GuardedTraffic;
  readonly #firewall: Firewall;
  readonly #installed: AsyncDisposable;
  readonly #log: LogLine;
  readonly #onServices: (packets: number) => void;
  readonly #onMarksLeft: () => void;
  /** Opened before the rules are installed, to miss nothing. */
  readonly #events: NetlinkEvents;
  readonly #timers: readonly ReturnType<typeof setInterval>[];
  /** One change of the rules after the other. */
  #changing: Promise<void> = Promise.resolve();
  #isLooking = false;
  #eventsNotBeforeMs = 0;
  #isStopped = false;
  #isFailing = false;
  /** A change failed half way: they may be anything. */
  #isTorn = false;
  /** Connections to whitelisted services by rules that were replaced meanwhile. */
  #servicesBefore = 0;
  /** Foreign marks that were reported and are not told yet. */
  readonly #foreign = new Set<number>();
  readonly #told = new Set<number>();
  #usersTimer: ReturnType<typeof setTimeout> | undefined;
  /** Before that moment nobody looks who uses marks, not even for a foreign one. */
  #usersNotBeforeMs = 0;

  private constructor(
    firewall: Firewall,
    installed: AsyncDisposable,
    events: NetlinkEvents,
    traffic: GuardedTraffic,
    { log, onServices, onMarksLeft, checkMs }: Required<KeptOptions>,
  ) {
    this.#firewall = firewall;
    this.#installed = installed;
    this.#events = events;
    this.#traffic = traffic;
    this.#log = log;
    this.#onServices = onServices;
    this.#onMarksLeft = onMarksLeft;
    if (traffic.leavesMarks) onMarksLeft(); // an earlier run's
    this.#timers = [
      setInterval(() => this.#lookSoon(), checkMs),
      setInterval(() => this.#readEvents(), EVENTS_MS),
    ];
    this.#lookAtUsers(CHECK_MS);
  }

  /** Installs the rules of all families, or none. Disposing of the result removes them. */
  static async install(
    firewall: Firewall,
    traffic: GuardedTraffic,
    options: KeptOptions,
  ): Promise<KeptRules> {
    using undo = new DisposableStack();
    const events = undo.use(NetlinkEvents.ofNftRules());
    const installed = await firewall.install(traffic);
    undo.move();
    const { log, onServices = () => {}, onMarksLeft = () => {}, checkMs = CHECK_MS } = options;
    const all = { log, onServices, onMarksLeft, checkMs };
    return new KeptRules(firewall, installed, events, traffic, all);
  }

  /** Puts the rules for changed settings in place; where that fails in a family, all are as they were. */
  async change({ monitorOnly, whitelistPorts }: LiveTraffic): Promise<void> {
    const old = this.#traffic;
    const isSame = monitorOnly === old.monitorOnly &&
      whitelistPorts.join() === old.whitelistPorts.join();
    if (!isSame) await this.#replace({ monitorOnly, whitelistPorts });
  }

  /** Packets came with bits of ours in their mark: tells who sets them, and mends what can be. */
  reportForeignMark(mark: number): void {
    if (this.#told.has(mark)) return; // by another worker
    this.#told.add(mark);
    this.#foreign.add(mark);
    this.#lookAtUsersSoon();
  }

  async #replace(changes: Partial<GuardedTraffic>): Promise<void> {
    const change = this.#changing.then(() => this.#change({ ...this.#traffic, ...changes }));
    this.#changing = change.catch(() => {});
    await change;
  }

  async #change(traffic: GuardedTraffic): Promise<void> {
    const { serviceConnections } = await this.#firewall.look(this.#traffic);
    try {
      await this.#firewall.restore(traffic);
      this.#servicesBefore += serviceConnections; // the new rules count from 0
      this.#traffic = traffic;
    } catch (error) {
      this.#isTorn = true; // one family may have changed
      await this.#firewall.restore(this.#traffic).then(() => this.#isTorn = false, () => {});
      throw error;
    }
  }

  #lookSoon(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#changing = this.#changing.then(() => this.#look());
  }

  /** What comes while it is looked is read after the look. */
  #readEvents(): void {
    if (this.#isLooking || performance.now() < this.#eventsNotBeforeMs) return;
    let isRemoval = false;
    let isChange = false;
    for (let count = 0; count < MOST_EVENTS; count++) {
      const datagram = this.#events.next();
      if (datagram === null) break;
      const event = readRuleEvent(datagram, this.#firewall.tableNames);
      isRemoval ||= event === "removal";
      isChange ||= event === "change";
    }
    if (isRemoval) this.#lookSoon();
    if (isChange) this.#lookAtUsersSoon();
  }

  async #look(): Promise<void> {
    const beganMs = performance.now();
    try {
      const wasTorn = this.#isTorn;
      const { isInstalled, serviceConnections } = await this.#firewall.look(this.#traffic);
      if (isInstalled && !wasTorn) {
        this.#onServices(this.#servicesBefore + serviceConnections);
      } else {
        await this.#firewall.restore(this.#traffic);
        this.#isTorn = false;
        const why = wasTorn
          ? "The firewall rules could not be changed before"
          : "Another program removed the firewall rules";
        this.#log("warn", `${why}; they are installed again`);
      }
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#log("error", (error as Error).message);
      this.#isFailing = true;
    }
    const endedMs = performance.now();
    this.#eventsNotBeforeMs = endedMs + (endedMs - beganMs) * EVENTS_SHARE;
    this.#isLooking = false;
  }

  #lookAtUsersSoon(): void {
    const waitMs = this.#usersNotBeforeMs - performance.now();
    if (waitMs !== Infinity) this.#lookAtUsers(Math.max(0, waitMs));
  }

  #lookAtUsers(inMs: number): void {
    clearTimeout(this.#usersTimer);
    this.#usersTimer = setTimeout(async () => {
      const beganMs = performance.now();
      this.#usersNotBeforeMs = Infinity; // this look tells what comes meanwhile, or the next one
      try {
        await this.#mendMarks();
      } catch (error) {
        this.#log("error", (error as Error).message);
      }
      const restMs = (performance.now() - beganMs) * USERS_SHARE;
      this.#usersNotBeforeMs = performance.now() + restMs;
      if (!this.#isStopped) this.#lookAtUsers(Math.max(CHECK_MS, restMs));
    }, inMs);
  }

  /** Copies of our bits are taken out from now on; what another program sets itself is told. */
  async #mendMarks(): Promise<void> {
    const reported = [...this.#foreign];
    this.#foreign.clear();
    const users = await this.#firewall.markUsers();
    const { marks, stripsCopies, queueNumber, queueCount } = this.#traffic;
    await this.#mendStates(stateSetters(users, marks));
    await this.#leaveMarks(wholeAskers(users, marks));
    const areCopied = copiesOurs(users, marks);
    if (areCopied !== stripsCopies) {
      await this.#replace({ stripsCopies: areCopied });
      this.#log(
        "info",
        areCopied
          ? "A rule copies connections' marks into packets': our bits are taken out of them"
          : "No rule copies connections' marks into packets' any more",
      );
    }
    const queueUsers = reported.some((mark) => isOwnVerdict(mark, marks))
      ? findQueueUsers(await this.#firewall.rules(), queueNumber, queueCount)
      : [];
    for (const mark of reported) {
      const isCopy = areCopied && (mark & marks.mask) === marks.clear;
      if (!isCopy) this.#log("error", describeForeignMark(mark, marks, users, queueUsers));
    }
  }

  /** Where others write what would be our states, connections' marks are believed no more. */
  async #mendStates(setters: readonly MarkUser[]): Promise<void> {
    const { marks: { mask }, distrustsStates = false } = this.#traffic;
    const isSo = setters.length > 0;
    if (isSo === distrustsStates) return;
    await this.#replace({ distrustsStates: isSo });
    if (!isSo) {
      return this.#log("info", "Connections' marks are believed again: no rule sets our bits");
    }
    this.#log(
      "error",
      `A rule sets bits of ours (${hex(mask)}) in connections' marks: ` +
        `${
          setters.map(({ who }) => who).join("; ")
        }: what they say of connections is not believed, ` +
        "and every packet is judged, which is slow (a restart with MARK_MASK=auto takes other bits)",
    );
  }

  /** Where others ask for connections' marks as a whole, clean ones get none of ours. */
  async #leaveMarks(asking: readonly MarkUser[]): Promise<void> {
    const leavesMarks = asking.length > 0;
    if (leavesMarks === (this.#traffic.leavesMarks ?? false)) return;
    await this.#replace({ leavesMarks });
    if (!leavesMarks) {
      return this.#log("info", "No rule asks for connections' whole marks: clean ones are marked");
    }
    this.#onMarksLeft();
    this.#log("warn", describeAskers(asking));
  }

  /**
   * Removes the rules. Another program may hold the lock of iptables: then they stay, which harms
   * nobody, since packets pass where no queue is served, and that is an error.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#events[Symbol.dispose]();
    this.#isStopped = true;
    clearTimeout(this.#usersTimer);
    const removal = this.#changing // else it would restore what is being removed
      .then(() => this.#installed[Symbol.asyncDispose]());
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(tooLate()), REMOVAL_MS);
    });
    try {
      await Promise.race([removal, late]);
    } finally {
      clearTimeout(timer);
      removal.catch(() => {}); // told, or too late to be told
    }
  }
}

function tooLate(): EnvironmentError {
  return new EnvironmentError(
    `Cannot remove the firewall rules in ${REMOVAL_MS / 1000} seconds: does another program hold ` +
      "the lock of iptables? They stay, and let all packets pass",
    "btblocker rules remove",
  );
}
