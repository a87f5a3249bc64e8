/**
 * This machine's part in a fleet: it reports its bans to a CrowdSec Local API and takes over those of
 * others. All of it on the main thread and beside the packets: a verdict waits for none of this, and
 * blocking goes on whatever the API does.
 */
import { bootTimeMs } from "../../ffi/libc.ts";
import { EnvironmentError } from "../errors.ts";
import type { Bans } from "../gateway/bans/bans.ts";
import {
  formatNetwork,
  isPrivate,
  type Networks,
  parseNetwork,
} from "../gateway/network/networks.ts";
import type { LogLine } from "../log_line.ts";
import type { DetectionReport } from "../gateway/queue/worker_protocol.ts";
import { formatCount } from "../text.ts";
import { ageMs, alertOf, type SharedBan, sharedBan } from "./alerts.ts";
import { jittered } from "../backoff.ts";
import type { FleetState } from "./fleet_state.ts";
import { FleetError, Lapi } from "./lapi.ts";
import { OwnBans } from "./own_bans.ts";
import { type FleetSettings, reports, takesOver } from "./settings.ts";
import { Spool } from "./spool.ts";
import { Takeover } from "./takeover.ts";
import { Voice } from "./voice.ts";

/** Bans are gathered so long, then told together and saved; lost at most where the process is killed. */
const GATHER_MS = 500;
/** Bans told at once. */
const BATCH = 100;
/** A ban that ends at most this part of its duration later than one told of is not told again. */
const RENEWAL = 0.1;
/** Decisions may slip through the deltas (the API's clock is set, its database restored). */
const SNAPSHOT_MS = 3_600_000;
/** For the last report at a stop. */
const LAST_WORDS_MS = 1_000;
/** Of BAN_LIMIT, for the fleet; the rest is for this machine's own bans. */
const SHARE = 0.75;

export interface FleetOptions {
  readonly settings: FleetSettings;
  readonly bans: Bans;
  /** BAN_LIMIT */
  readonly limit: number;
  /** Never banned here: `LocalAddresses.never`. */
  readonly never: Networks;
  readonly log: LogLine;
}

export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #lapi: Lapi;
  readonly #spool: Spool | null;
  readonly #own = new OwnBans((address) => this.#spool?.has(address) ?? false);
  readonly #takeover: Takeover;
  readonly #reporting: Voice;
  readonly #following: Voice;
  readonly #end = new AbortController();
  readonly #boot = readBoot();
  readonly #loops: Promise<void>[] = [];
  /** Ends the reporter's sleep. */
  #wake: () => void = () => {};
  /** The bans added since the last one are saved then, whatever the reporter waits for. */
  #saveTimer: ReturnType<typeof setTimeout> | undefined;
  /** The batch under way; never rejects. */
  #telling: Promise<void> = Promise.resolve();
  #hasToldOfEndpoints = false;

  private constructor(options: FleetOptions) {
    const { settings, bans, limit, never, log } = options;
    this.#options = options;
    this.#lapi = new Lapi(settings);
    const warn = (message: string) => log("warn", message);
    this.#reporting = new Voice(log, "reports its bans to", settings);
    this.#following = new Voice(log, "takes over bans of", settings);
    this.#spool = reports(settings) ? new Spool(spoolPath(settings), warn) : null;
    this.#takeover = new Takeover({
      ...{ bans, never, log, own: this.#own },
      most: Math.max(1, Math.floor(limit * SHARE)),
      sharesPrivate: settings.sharesPrivate,
      wasMember: this.#spool?.isOld ?? false,
    });
  }

  /** Begins; throws EnvironmentError where a file of the settings cannot be read. */
  static start(options: FleetOptions): Fleet {
    const fleet = new Fleet(options);
    const { settings, log } = options;
    if (!isPrivateWay(settings.url)) {
      log("warn", `The fleet at ${settings.url} is told secrets unencrypted; use https`);
    }
    if (reports(settings)) fleet.#loops.push(fleet.#report());
    if (takesOver(settings)) fleet.#loops.push(fleet.#follow());
    return fleet;
  }

  /** Bans not reported yet. */
  get waiting(): number {
    return this.#spool?.length ?? 0;
  }

  /** Addresses and networks that the fleet has decisions about. */
  get held(): number {
    return this.#takeover.size;
  }

  /** What it tells of itself. */
  get state(): FleetState {
    const spool = this.#spool;
    const { waiting, held } = this;
    return {
      reports: spool === null ? null : { ...this.#reporting.calls, waiting, lost: spool.lost },
      takesOver: takesOver(this.#options.settings) ? { ...this.#following.calls, held } : null,
    };
  }

  /** Tells the fleet of a detection's bans, later. Microseconds; call it for each detection. */
  add(report: DetectionReport): void {
    if (this.#spool === null || report.banned.length === 0) return;
    if (this.#options.bans.handles.scope === "endpoint") return this.#tellOfEndpoints();
    const now = this.#now();
    for (const { target: address, seconds } of report.banned) {
      if (!this.#isToShare(address)) continue;
      const durationMs = seconds * 1000;
      const endMs = now.bootMs + durationMs;
      if (this.#own.endOf(address) >= endMs - durationMs * RENEWAL) continue;
      this.#own.add(address, endMs);
      this.#spool.add(sharedBan(report, address, durationMs, now));
    }
    this.#saveSoon();
    this.#wake();
  }

  #saveSoon(): void {
    if (this.#end.signal.aborted) return; // saved there
    this.#saveTimer ??= setTimeout(() => {
      this.#saveTimer = undefined;
      this.#spool!.save();
    }, GATHER_MS);
  }

  /**
   * Bans that were lifted here: those that wait are not told any more, on disk neither.
   *
   * @param addresses null for all bans
   */
  forget(addresses: readonly string[] | null): void {
    if (addresses === null) {
      this.#own.forgetAll();
      this.#spool?.clear();
      return;
    }
    for (const key of addresses.map(keyOf)) {
      this.#own.forget(key);
      this.#spool?.forget(key);
    }
  }

  /**
   * Takes the fleet's decisions of addresses back, and gives how many there were of each. Those that
   * wait are not told any more, also where the API is away. The ban here is the caller's to lift.
   */
  async lift(addresses: readonly string[]): Promise<number[]> {
    if (this.#spool === null) {
      throw new EnvironmentError(
        "Cannot lift bans of the fleet: this machine only takes them over",
        "set FLEET_LOGIN and FLEET_PASSWORD",
      );
    }
    this.forget(addresses);
    await this.#telling; // their bans may be on the way
    const lifted: number[] = [];
    for (const address of addresses) {
      const key = keyOf(address);
      try {
        lifted.push(await this.#lapi.lift(key));
      } catch (error) {
        throw new EnvironmentError(
          `Cannot lift the fleet's bans of ${address}: ${(error as Error).message}`,
        );
      }
      this.#own.forget(key);
    }
    return lifted;
  }

  #now() {
    return { wallMs: Date.now(), bootMs: bootTimeMs(), boot: this.#boot };
  }

  /** Whether the address means the same at another gateway. */
  #isToShare(address: string): boolean {
    const network = parseNetwork(address);
    if (this.#options.settings.sharesPrivate || network === null) return true;
    return !isPrivate(network);
  }

  #tellOfEndpoints(): void {
    if (this.#hasToldOfEndpoints) return;
    this.#hasToldOfEndpoints = true;
    const what = "bans of single ports (BAN_SCOPE=endpoint) are not shared";
    this.#options.log("warn", `The fleet knows whole addresses: ${what}`);
  }

  /** The machine's half: reports what waits, until the end. */
  async #report(): Promise<void> {
    const spool = this.#spool!;
    const voice = this.#reporting;
    while (!this.#end.signal.aborted) {
      if (spool.length === 0 && voice.isWell) await this.#sleep(Infinity);
      await this.#sleep(GATHER_MS);
      spool.save();
      try {
        await this.#lapi.login(); // also with nothing to tell: a wrong password is to be known now
        while (spool.length > 0) await this.#reportBatch();
        voice.well();
      } catch (error) {
        if (this.#end.signal.aborted) break;
        await this.#sleep(voice.trouble(error, `${formatCount(spool.length, "ban")} wait`));
      }
    }
    spool.save();
  }

  #reportBatch(): Promise<void> {
    const batch = this.#tellBatch();
    this.#telling = batch.catch(() => {}); // the caller's to see
    return batch;
  }

  async #tellBatch(): Promise<void> {
    const spool = this.#spool!;
    const batch = spool.first(BATCH);
    const now = this.#now();
    // A run before may have spooled what is not shared now.
    const alive = batch.filter((ban) =>
      ageMs(ban, now) < ban.durationMs && this.#isToShare(ban.address)
    );
    if (alive.length > 0) {
      await this.#lapi.login(); // whose answer tells the API's time
      const machine = this.#options.settings.login || Deno.hostname();
      const apiMs = this.#lapi.nowMs();
      await this.#lapi.report(
        alive.map((ban: SharedBan) => alertOf(ban, apiMs - ageMs(ban, now), machine)),
      );
    }
    for (const ban of alive) {
      this.#own.told(ban.address, now.bootMs + ban.durationMs - ageMs(ban, now));
    }
    spool.done(batch);
    this.#own.prune(now.bootMs);
  }

  /** The bouncer's half: takes over what others decide, until the end. */
  async #follow(): Promise<void> {
    const { settings } = this.#options;
    const voice = this.#following;
    let snapshotMs = -Infinity;
    let isComplete = true;
    while (!this.#end.signal.aborted) {
      try {
        // An answer that did not arrive took its news along: ask for everything then.
        const isSnapshot = !isComplete || performance.now() - snapshotMs > SNAPSHOT_MS;
        const beganMs = bootTimeMs();
        const news = await this.#lapi.news(isSnapshot);
        this.#own.newsBegan(beganMs);
        if (isSnapshot) {
          await this.#takeover.snapshot(news);
          snapshotMs = performance.now();
          isComplete = true;
        } else await this.#takeover.news(news);
        this.#takeover.refresh();
        this.#own.prune(bootTimeMs());
        voice.well(`${formatCount(this.#takeover.size, "ban")} of it held`);
        await this.#sleep(jittered(settings.intervalMs, 0.1));
      } catch (error) {
        if (this.#end.signal.aborted) return;
        isComplete &&= error instanceof FleetError && error.isHarmless;
        this.#takeover.refresh();
        const wait = voice.trouble(error, "those taken over hold until their end");
        await this.#sleep(Math.max(wait, Math.min(settings.intervalMs, 1_000)));
      }
    }
  }

  /** Until the time is over or the end has come; without a time, until there is something to tell. */
  #sleep(ms: number): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = ms === Infinity ? undefined : setTimeout(done, ms);
      if (ms === Infinity) this.#wake = done;
      signal.addEventListener("abort", done);
    });
  }

  /** Tells what it can within a second; the rest waits on disk for the next run. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    clearTimeout(this.#saveTimer);
    this.#spool?.save();
    const late = setTimeout(() => this.#lapi[Symbol.dispose](), LAST_WORDS_MS);
    await Promise.all(this.#loops);
    try {
      while (this.waiting > 0) await this.#reportBatch();
    } catch {
      // it is in the spool
    }
    clearTimeout(late);
    this.#lapi[Symbol.dispose]();
  }
}

/** Encrypted, or inside this machine. */
function isPrivateWay(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}

/** An address or network as decisions have it. */
function keyOf(text: string): string {
  const network = parseNetwork(text);
  return network === null ? text : formatNetwork(network);
}

/** One a login: gateways of one machine have each their own. Null: in memory only. */
function spoolPath({ spoolDirectory, login }: FleetSettings): string | null {
  if (spoolDirectory === "") return null;
  const name = login.replace(/[^\w.-]/g, "_");
  return `${spoolDirectory}/fleet${name === "" ? "" : `-${name}`}.spool`;
}

function readBoot(): string {
  try {
    return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
  } catch {
    return "";
  }
}
