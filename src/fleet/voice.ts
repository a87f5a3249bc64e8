/** What the operator hears of the fleet. */
import type { LogLine } from "../report/log_line.ts";
import { Backoff } from "./backoff.ts";
import { FleetError } from "./lapi.ts";
import type { FleetSettings } from "./settings.ts";

/** Tells the operator when things go wrong and when they are well again, once each. */
export class Voice {
  readonly #log: LogLine;
  readonly #what: string;
  readonly #url: string;
  readonly #backoff: Backoff;
  /** Of the last call. */
  isWell = false;
  #last = "";

  /** @param what completes "This machine … the fleet" */
  constructor(log: LogLine, what: string, { url, intervalMs }: FleetSettings) {
    this.#log = log;
    this.#what = what;
    this.#url = url;
    this.#backoff = new Backoff(Math.max(intervalMs, 10_000));
  }

  well(state = ""): void {
    this.#backoff.succeeded();
    if (!this.isWell) {
      const rest = state === "" ? "" : `: ${state}`;
      this.#log("info", `This machine ${this.#what} the fleet at ${this.#url}${rest}`);
    }
    this.isWell = true;
    this.#last = "";
  }

  /** How long to wait. */
  trouble(error: unknown, consequence: string): number {
    this.isWell = false;
    const trouble = error instanceof FleetError ? error.trouble : "away";
    const { message } = error as Error;
    if (message !== this.#last) {
      const hint = trouble === "forbidden"
        ? "; check FLEET_LOGIN, FLEET_PASSWORD, FLEET_KEY, FLEET_CERT"
        : "";
      this.#log(
        "warn",
        `The fleet at ${this.#url} cannot be used: ${message} (blocking goes on, ${consequence}` +
          `${hint})`,
      );
    }
    this.#last = message;
    return this.#backoff.failed(trouble);
  }
}
