/**
 * Tells one web address of detections: JSON that Slack (`text`), Discord (`content`), Matrix bridges
 * (`text`) and ntfy (the whole body) take, with the detections as data beside the words. Batched,
 * tried again with growing pauses, and bounded: what finds no room is counted and said in the next
 * message, never waited for.
 */
import { Backoff } from "../backoff.ts";
import type { LogLine } from "../log_line.ts";
import { formatCount } from "../text.ts";
import { VERSION } from "../version.ts";

/** A batch waits so long for more. */
const GATHER_MS = 5_000;
/** Detections in one message. */
const BATCH = 50;
/** Lines of words in one message; the rest is a number. Discord takes 2,000 characters. */
const SHOWN = 10;
const LONGEST_TEXT = 1_900;
/** Detections that wait; a flood of more is counted. */
const MOST_WAITING = 1_000;
const ANSWER_MS = 10_000;
/** A stop does not wait for a service that is away. */
const LAST_MS = 2_000;
/** An answer to wait, in seconds (RFC 9110, 10.2.3), is believed up to this. */
const LONGEST_RETRY_AFTER_S = 600;

/** One detection for the message: a line for people, and the record as the logs have it. */
export interface Notice {
  readonly line: string;
  readonly record: Readonly<Record<string, unknown>>;
}

export interface WebhookOptions {
  readonly url: string;
  /** This machine's name, so that several can share a channel. */
  readonly host: string;
  readonly log: LogLine;
  /** For tests. */
  readonly gatherMs?: number;
  readonly fetch?: typeof fetch;
  readonly backoff?: Backoff;
}

export class Webhook implements AsyncDisposable {
  readonly #options: WebhookOptions;
  readonly #backoff: Backoff;
  readonly #waiting: Notice[] = [];
  readonly #stopped = new AbortController();
  /** The stop waits no longer. */
  readonly #late = new AbortController();
  #leftOut = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | null = null;
  #problem = "";
  /** Messages that arrived, attempts that did not, detections that found no room. */
  readonly counts = { sent: 0, failed: 0, leftOut: 0 };

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? new Backoff();
  }

  /** Never waits and never throws. */
  add(notice: Notice): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#leftOut++;
      this.counts.leftOut++;
      return;
    }
    this.#waiting.push(notice);
    this.#sendIn(this.#options.gatherMs ?? GATHER_MS);
  }

  #sendIn(ms: number): void {
    if (this.#timer !== undefined || this.#sending !== null || this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#send(ANSWER_MS).then((waitMs) => {
        this.#sending = null;
        if (waitMs !== null) this.#sendIn(waitMs);
      });
    }, ms);
  }

  /** Sends one batch; gives how long to wait for the next attempt, null where nothing waits. */
  async #send(timeoutMs: number): Promise<number | null> {
    const batch = this.#waiting.slice(0, BATCH);
    const leftOut = this.#leftOut;
    const refusal = await this.#post(messageOf(this.#options.host, batch, leftOut), timeoutMs);
    if (refusal === null) {
      this.#waiting.splice(0, batch.length);
      this.#leftOut -= leftOut;
      this.counts.sent++;
      if (this.#problem !== "") this.#options.log("info", "The webhook takes messages again");
      this.#problem = "";
      this.#backoff.succeeded();
      return this.#waiting.length > 0 ? this.#options.gatherMs ?? GATHER_MS : null;
    }
    this.counts.failed++;
    if (refusal.problem !== this.#problem) {
      this.#options.log(
        "warn",
        `Cannot tell the webhook: ${refusal.problem} (blocking goes on, messages wait)`,
      );
    }
    this.#problem = refusal.problem;
    return Math.max(this.#backoff.failed(refusal.trouble), refusal.retryAfterMs);
  }

  async #post(message: unknown, timeoutMs: number): Promise<Refusal | null> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await (this.#options.fetch ?? fetch)(this.#options.url, {
        method: "POST",
        redirect: "error", // the address is a secret of the operator's
        signal: AbortSignal.any([timeout, this.#late.signal]),
        headers: { "Content-Type": "application/json", "User-Agent": `btblocker/${VERSION}` },
        body: JSON.stringify(message),
      });
      await response.body?.cancel(); // whatever it says, nobody reads it
      return response.ok ? null : refusalOf(response);
    } catch (error) {
      const problem = timeout.aborted
        ? `no answer within ${timeoutMs / 1000} seconds`
        : this.#late.signal.aborted
        ? "no answer before the stop"
        : causeOf(error);
      return { problem, trouble: "away", retryAfterMs: 0 };
    }
  }

  /** Sends what waits, once and briefly; not where it does not answer as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    const late = setTimeout(() => this.#late.abort(), LAST_MS);
    await this.#sending;
    const isLate = this.#late.signal.aborted;
    if (this.#waiting.length > 0 && !isLate) await this.#send(LAST_MS);
    clearTimeout(late);
    if (this.#waiting.length > 0) {
      this.#options.log(
        "warn",
        `The webhook was not told of ${formatCount(this.#waiting.length, "detection")}`,
      );
    }
  }
}

interface Refusal {
  readonly problem: string;
  readonly trouble: "away" | "forbidden";
  readonly retryAfterMs: number;
}

function refusalOf({ status, headers }: Response): Refusal {
  const seconds = Number(headers.get("Retry-After") ?? 0);
  const isBusy = status === 429 || status >= 500 || status === 408;
  return {
    problem: `it answers ${status}`,
    trouble: isBusy ? "away" : "forbidden",
    retryAfterMs: Number.isFinite(seconds) ? Math.min(seconds, LONGEST_RETRY_AFTER_S) * 1000 : 0,
  };
}

/** The innermost reason, without the address: it may hold a secret. */
function causeOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/\bhttps?:\/\/\S+/g, "its address").slice(0, 200);
}

/** Slack's own escapes: a client's name is its own choice, and must not call everybody. */
const ESCAPED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function messageOf(host: string, batch: readonly Notice[], leftOut: number): unknown {
  const lines = batch.slice(0, SHOWN).map(({ line }) => line);
  const more = batch.length - lines.length + leftOut;
  if (more > 0) lines.push(`and ${more} more`);
  const text = `btblocker on ${host}:\n${lines.join("\n")}`.slice(0, LONGEST_TEXT);
  return {
    text: text.replace(/[&<>]/g, (one) => ESCAPED[one]),
    content: text,
    allowed_mentions: { parse: [] },
    host,
    left_out: leftOut,
    detections: batch.map(({ record }) => record),
  };
}
