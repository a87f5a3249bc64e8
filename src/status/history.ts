/**
 * What happened in the last hour, in memory of a fixed size: traffic by the second and by ten
 * seconds, detections by the minute. Times are of a clock that does not jump
 * (`performance.now()`), in milliseconds; amounts are spread over the steps they fell into, so that
 * a late timer makes neither gaps nor peaks.
 */
import { type Method, METHODS } from "../protocols/match.ts";
import { describeAction, describeWho } from "../report/console.ts";
import { type DetectionJson, detectionJson } from "../report/detection_json.ts";
import type { DetectionRecord } from "../report/detection_record.ts";

/** What is counted of the traffic. */
const TRAFFIC_SERIES = ["packets", "bytes", "dropped", "detections", "unjudged"] as const;
export type TrafficSeries = typeof TRAFFIC_SERIES[number];
/** Counts since the start. */
export type TrafficTotals = Readonly<Record<TrafficSeries, number>>;

/** Amounts of several series in steps of equal length, the last `length` steps of them. */
class Ring {
  readonly #values: Float64Array;
  readonly #slots: number;
  /** Number of the step that is being filled. */
  #current = 0;

  constructor(readonly stepMs: number, readonly length: number, readonly series: number) {
    this.#slots = length + 1; // the unfinished one besides
    this.#values = new Float64Array(this.#slots * series);
  }

  /** Begins new steps up to this time. */
  advance(nowMs: number): void {
    const step = Math.floor(nowMs / this.stepMs);
    const first = Math.max(this.#current + 1, step - this.length);
    for (let fresh = first; fresh <= step; fresh++) {
      const at = this.#at(fresh);
      this.#values.fill(0, at, at + this.series);
    }
    this.#current = Math.max(this.#current, step);
  }

  /** Adds an amount that came evenly between two times, the later one of which is now. */
  spread(fromMs: number, toMs: number, series: number, amount: number): void {
    const { stepMs, length } = this;
    const first = Math.max(Math.floor(fromMs / stepMs), this.#current - length);
    for (let step = first; step <= this.#current; step++) {
      const begin = Math.max(fromMs, step * stepMs);
      const end = Math.min(toMs, (step + 1) * stepMs);
      const part = toMs > fromMs ? (end - begin) / (toMs - fromMs) : 1;
      if (part > 0) this.#values[this.#at(step) + series] += amount * part;
    }
  }

  /** Adds to the present step. */
  add(series: number, amount: number): void {
    this.#values[this.#at(this.#current) + series] += amount;
  }

  /** Adds one series to another and empties it. */
  merge(from: number, into: number): void {
    for (let slot = 0; slot < this.#slots; slot++) {
      const at = slot * this.series;
      this.#values[at + into] += this.#values[at + from];
      this.#values[at + from] = 0;
    }
  }

  /** The finished steps, the oldest first; or with the present one and without the oldest. */
  read(series: number, withPresent = false): number[] {
    const last = withPresent ? this.#current : this.#current - 1;
    return Array.from({ length: this.length }, (_, index) => {
      const step = last - this.length + 1 + index;
      return step < 0 ? 0 : this.#values[this.#at(step) + series];
    });
  }

  /** Over all steps. */
  sum(series: number): number {
    let sum = 0;
    for (let at = series; at < this.#values.length; at += this.series) sum += this.#values[at];
    return sum;
  }

  #at(step: number): number {
    return (step % this.#slots) * this.series;
  }
}

/** Values a step, the oldest first. */
export interface Row {
  readonly name: string;
  readonly values: readonly number[];
}

export interface Steps {
  readonly stepMs: number;
  /** How long ago the newest step ended; negative for one that has not. */
  readonly ageMs: number;
  readonly rows: readonly Row[];
}

const SPANS = {
  minute: { stepMs: 1_000, length: 60 },
  hour: { stepMs: 10_000, length: 360 },
} as const;

export type Span = keyof typeof SPANS;

/** Rates are means over so many seconds: one alone jumps too much to be read. */
const RATE_SECONDS = 5;

/** Traffic of the last minute and the last hour. */
export class TrafficHistory {
  readonly #rings = {
    minute: new Ring(SPANS.minute.stepMs, SPANS.minute.length, TRAFFIC_SERIES.length),
    hour: new Ring(SPANS.hour.stepMs, SPANS.hour.length, TRAFFIC_SERIES.length),
  };
  readonly #known = new Float64Array(TRAFFIC_SERIES.length);
  #knownMs: number;

  constructor(nowMs: number) {
    this.#knownMs = nowMs;
  }

  /** Takes the counts as they are now; about every second. */
  sample(nowMs: number, totals: TrafficTotals): void {
    for (const ring of Object.values(this.#rings)) ring.advance(nowMs);
    for (const [index, name] of TRAFFIC_SERIES.entries()) {
      const amount = Math.max(0, totals[name] - this.#known[index]);
      this.#known[index] = totals[name];
      if (amount === 0) continue;
      for (const ring of Object.values(this.#rings)) {
        ring.spread(this.#knownMs, nowMs, index, amount);
      }
    }
    this.#knownMs = nowMs;
  }

  /** Amounts a second. */
  read(span: Span, nowMs: number): Steps {
    const ring = this.#rings[span];
    const perSecond = 1000 / ring.stepMs;
    const rows = TRAFFIC_SERIES.map((name, index) => {
      const values = ring.read(index).map((amount) => Math.round(amount * perSecond * 100) / 100);
      return { name, values };
    });
    const endMs = Math.floor(this.#knownMs / ring.stepMs) * ring.stepMs;
    return { stepMs: ring.stepMs, ageMs: nowMs - endMs, rows };
  }

  /** What comes a second now. */
  rate(series: TrafficSeries): number {
    const seconds = this.#rings.minute.read(TRAFFIC_SERIES.indexOf(series)).slice(-RATE_SECONDS);
    return seconds.reduce((sum, amount) => sum + amount, 0) / RATE_SECONDS;
  }
}

/** A detection as the page and `/api/detections` show it. */
export interface ShownDetection extends DetectionJson {
  /** Counts up from 1. */
  readonly number: number;
  /** "banned 192.0.2.7 for 5h", as in the log. */
  readonly done: string;
}

const RECENT_DETECTIONS = 50;
const MINUTE_MS = 60_000;
const MINUTES = 60;
/** Clients counted apart. Peers choose the names, so there may be any number of them. */
const CLIENTS = 24;
const OTHER_CLIENTS = 0;
const NO_CLIENT = 1;
const LONGEST_NAME = 40;

/** Detections since the start and in the last hour. */
export class DetectionHistory {
  readonly #totals = new Float64Array(METHODS.length);
  readonly #methods = new Ring(MINUTE_MS, MINUTES, METHODS.length);
  readonly #clients = new Ring(MINUTE_MS, MINUTES, CLIENTS);
  readonly #names: string[] = ["other clients", "client unknown"];
  readonly #recent: ShownDetection[] = [];
  /** Detections so far. */
  count = 0;

  add(nowMs: number, record: DetectionRecord): void {
    const { detection } = record;
    const { method } = detection.match;
    const index = METHODS.indexOf(method);
    this.count++;
    this.#totals[index]++;
    this.#methods.advance(nowMs);
    this.#methods.add(index, 1);
    this.#clients.advance(nowMs);
    this.#clients.add(this.#clientIndex(detection.client), 1);
    this.#recent.unshift({
      number: this.count,
      ...detectionJson(record),
      done: describeAction(record) + describeWho(record),
    });
    if (this.#recent.length > RECENT_DETECTIONS) this.#recent.pop();
  }

  #clientIndex(client: string | null): number {
    if (client === null) return NO_CLIENT;
    const name = nameWithoutVersion(client);
    const known = this.#names.indexOf(name, NO_CLIENT + 1);
    if (known >= 0) return known;
    if (this.#names.length < CLIENTS) return this.#names.push(name) - 1;
    const rarest = this.#rarestClient();
    this.#clients.merge(rarest, OTHER_CLIENTS);
    this.#names[rarest] = name;
    return rarest;
  }

  #rarestClient(): number {
    let rarest = NO_CLIENT + 1;
    for (let index = rarest + 1; index < CLIENTS; index++) {
      if (this.#clients.sum(index) < this.#clients.sum(rarest)) rarest = index;
    }
    return rarest;
  }

  /** Since the start, by each method that has any. */
  get methods(): Partial<Record<Method, number>> {
    return Object.fromEntries(
      METHODS.map((method, index) => [method, this.#totals[index]] as const)
        .filter(([, count]) => count > 0),
    );
  }

  /** The last hour by the minute, the present minute included, of each method that has any. */
  byMethod(nowMs: number): Steps {
    return presentSteps(this.#methods, METHODS, nowMs);
  }

  /** The same by the client's name without its version. */
  byClient(nowMs: number): Steps {
    return presentSteps(this.#clients, this.#names, nowMs);
  }

  /** The newest first. */
  get recent(): readonly ShownDetection[] {
    return this.#recent;
  }
}

function presentSteps(ring: Ring, names: readonly string[], nowMs: number): Steps {
  ring.advance(nowMs);
  const rows = names
    .map((name, index) => ({ name, values: ring.read(index, true) }))
    .filter(({ values }) => values.some((value) => value > 0));
  return { stepMs: ring.stepMs, ageMs: nowMs % ring.stepMs - ring.stepMs, rows };
}

/** `qBittorrent 4.5.2` → `qBittorrent`. */
function nameWithoutVersion(client: string): string {
  return client.replace(/ (v|build )?\d\S*$/, "").slice(0, LONGEST_NAME);
}
