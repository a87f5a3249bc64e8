/** The rules while the blocker runs: in step with the mode, and back when another flushed them. */
import type { LogLine } from "../../log_line.ts";
import type { Firewall } from "./firewall.ts";
import type { GuardedTraffic } from "./rule_text.ts";

/** How often it is looked whether the rules still stand. */
const CHECK_MS = 8_000;

export class KeptRules implements AsyncDisposable {
  #traffic: GuardedTraffic;
  readonly #firewall: Firewall;
  readonly #installed: AsyncDisposable;
  readonly #log: LogLine;
  readonly #timer: ReturnType<typeof setInterval>;
  /** One change of the rules after the other. */
  #changing: Promise<void> = Promise.resolve();
  #isLooking = false;
  #isFailing = false;
  /** A change failed half way: they may be anything. */
  #isTorn = false;

  private constructor(
    firewall: Firewall,
    installed: AsyncDisposable,
    traffic: GuardedTraffic,
    log: LogLine,
  ) {
    this.#firewall = firewall;
    this.#installed = installed;
    this.#traffic = traffic;
    this.#log = log;
    this.#timer = setInterval(() => {
      if (this.#isLooking) return;
      this.#isLooking = true;
      this.#changing = this.#changing.then(() => this.#look());
    }, CHECK_MS);
  }

  /** Installs the rules of all families, or none. Disposing of the result removes them. */
  static async install(
    firewall: Firewall,
    traffic: GuardedTraffic,
    log: LogLine,
  ): Promise<KeptRules> {
    for (const rule of await firewall.conflicts(traffic.marks)) {
      log(
        "warn",
        `A rule uses the bits of MARK_MASK, so flows may be judged again and again: ${rule}`,
      );
    }
    return new KeptRules(firewall, await firewall.install(traffic), traffic, log);
  }

  /**
   * Lets flows that are known as BitTorrent pass, or drops them from now on. Throws where that cannot
   * be done in every family; then all are as they were.
   */
  async setMonitorOnly(monitorOnly: boolean): Promise<void> {
    if (monitorOnly === this.#traffic.monitorOnly) return;
    const change = this.#changing.then(() => this.#change({ ...this.#traffic, monitorOnly }));
    this.#changing = change.catch(() => {});
    await change;
  }

  async #change(traffic: GuardedTraffic): Promise<void> {
    try {
      await this.#firewall.restore(traffic);
      this.#traffic = traffic;
    } catch (error) {
      this.#isTorn = true; // one family may have changed
      await this.#firewall.restore(this.#traffic).then(() => this.#isTorn = false, () => {});
      throw error;
    }
  }

  async #look(): Promise<void> {
    try {
      const wasTorn = this.#isTorn;
      if (wasTorn || !await this.#firewall.isInstalled(this.#traffic)) {
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
    this.#isLooking = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#changing; // else it would restore what is being removed
    await this.#installed[Symbol.asyncDispose]();
  }
}
