/** What the operator hears of the fleet. */
import type { LogLine } from "../log_line.ts";
import { Backoff, type Trouble } from "../backoff.ts";
import type { FleetCalls, FleetFailure } from "./fleet_state.ts";
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
  #lastSuccess: string | null = null;
  #lastFailure: FleetFailure | null = null;
  readonly #failures: Record<Trouble, number> = { away: 0, forbidden: 0 };

  /** @param what completes "This machine … the fleet" */
  constructor(log: LogLine, what: string, { url, intervalMs }: FleetSettings) {
    this.#log = log;
    this.#what = what;
    this.#url = url;
    this.#backoff = new Backoff(Math.max(intervalMs, 10_000));
  }

  /** For those who ask. */
  get calls(): FleetCalls {
    return {
      connected: this.isWell,
      lastSuccess: this.#lastSuccess,
      lastFailure: this.#lastFailure,
      failures: { ...this.#failures },
    };
  }

  well(state = ""): void {
    this.#backoff.succeeded();
    if (!this.isWell) {
      const rest = state === "" ? "" : `: ${state}`;
      this.#log("info", `This machine ${this.#what} the fleet at ${this.#url}${rest}`);
    }
    this.isWell = true;
    this.#last = "";
    this.#lastSuccess = new Date().toISOString();
  }

  /** How long to wait. */
  trouble(error: unknown, consequence: string): number {
    this.isWell = false;
    const trouble = error instanceof FleetError ? error.trouble : "away";
    const { message } = error as Error;
    if (message !== this.#last) {
      this.#log(
        "warn",
        `The fleet at ${this.#url} cannot be used: ${message} (blocking goes on, ${consequence}` +
          `${hintOf(error)})`,
      );
    }
    this.#last = message;
    this.#failures[trouble]++;
    this.#lastFailure = { time: new Date().toISOString(), trouble, problem: message };
    return this.#backoff.failed(trouble);
  }
}

/** What to look at where asking again does not help. */
function hintOf(error: unknown): string {
  if (!(error instanceof FleetError) || error.trouble !== "forbidden") return "";
  return error.status === 0 // no answer: the certificates, theirs or ours, are the reason
    ? "; check FLEET_CA, FLEET_CERT, FLEET_CERT_KEY"
    : "; check FLEET_LOGIN, FLEET_PASSWORD, FLEET_KEY, FLEET_CERT";
}
