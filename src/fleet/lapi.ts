/**
 * A client of CrowdSec's Local API, of the few calls that a fleet needs. Spec: CrowdSec's
 * `localapi_swagger.yaml`. Every answer is bounded in time and size.
 */
import { METHODS } from "../protocols/match.ts";
import { printable } from "../text.ts";
import { VERSION } from "../version.ts";
import type { Trouble } from "../backoff.ts";
import {
  type FleetScope,
  type News,
  readDecision,
  readNews,
  SCENARIO_PREFIX,
} from "./decisions.ts";
import { type FleetSettings, readPem, readSecret } from "./settings.ts";

/** The API did not do what it was asked. */
export class FleetError extends Error {
  override readonly name = "FleetError";

  /** @param status of HTTP, 0 where there was no answer */
  constructor(message: string, readonly trouble: Trouble, readonly status = 0) {
    super(message);
  }

  /** Whether it was refused before anything was done: news that it asked for are there still. */
  get isHarmless(): boolean {
    return this.status >= 400 ? this.status < 500 : NO_CONNECTION.test(this.message);
  }
}

const ANSWER_MS = 10_000;
/** The snapshot of 100,000 decisions takes a small API some seconds. */
const SNAPSHOT_MS = 60_000;
/** 128 bytes a decision: half a million of them. */
const LONGEST_ANSWER = 64 << 20;
const LONGEST_ERROR = 200;
/** A token is good for an hour; the API's clock and ours need not agree. */
const TOKEN_MS = 30 * 60_000;

/** What failed before a question was put. */
const NO_CONNECTION = /tcp connect error|dns error/i;
/** What TLS says of a certificate, theirs or ours, that will be no better in a moment. */
const OF_CERTIFICATES = /certificate|UnknownIssuer|HandshakeFailure/i;

interface Request {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export class Lapi implements Disposable {
  readonly #settings: FleetSettings;
  readonly #underWay = new Set<AbortController>();
  #isClosed = false;
  #client: Deno.HttpClient | null = null;
  #token: string | null = null;
  #tokenMs = 0;
  /** How far the API's clock is ahead of ours, by its last answer. */
  #aheadMs = 0;

  /** Throws EnvironmentError where a file of the settings cannot be read. */
  constructor(settings: FleetSettings) {
    this.#settings = settings;
    this.#client = this.#open();
    readSecret("FLEET_PASSWORD", settings.password);
    readSecret("FLEET_KEY", settings.key);
  }

  /** Now by the API's clock, to the second; to be asked after a call. */
  nowMs(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Proves who we are, unless that was done a while ago. */
  async login(): Promise<void> {
    if (this.#token !== null && performance.now() - this.#tokenMs < TOKEN_MS) return;
    const { login, password } = this.#settings;
    const { text } = await this.#ask("v1/watchers/login", {
      method: "POST",
      body: {
        ...password === "" ? {} : {
          machine_id: login,
          password: readSecret("FLEET_PASSWORD", password),
        },
        scenarios: METHODS.map((method) => SCENARIO_PREFIX + method),
      },
    });
    const { token } = parse(text) as { token?: unknown };
    if (typeof token !== "string") throw new FleetError("it gave no token", "away");
    this.#token = token;
    this.#tokenMs = performance.now();
  }

  /** Reports bans; in its database when this returns. @param alerts as `alertOf` makes them */
  async report(alerts: readonly unknown[]): Promise<void> {
    await this.#askAsMachine("v1/alerts", { method: "POST", body: alerts });
  }

  /**
   * Decisions that came and went since this key asked last.
   *
   * @param snapshot all that hold instead; `deleted` is of no use then
   */
  async news(snapshot: boolean): Promise<News> {
    const { key, scope } = this.#settings;
    const query = new URLSearchParams({ startup: `${snapshot}`, scopes: "ip,range" });
    if (scope === "btblocker") query.set("scenarios_containing", SCENARIO_PREFIX);
    const { text } = await this.#ask(`v1/decisions/stream?${query}`, {
      headers: key === "" ? {} : { "X-Api-Key": readSecret("FLEET_KEY", key) },
      timeoutMs: snapshot ? SNAPSHOT_MS : ANSWER_MS,
    });
    try {
      return readNews(parse(text), scope);
    } catch (error) {
      if (error instanceof FleetError) throw error;
      throw new FleetError(`its answer is ${(error as Error).message}`, "away");
    }
  }

  /** Takes the decisions of an address or network back; returns how many there were. */
  async lift(key: string): Promise<number> {
    const { scope } = this.#settings;
    const query = new URLSearchParams({ scope: key.includes("/") ? "Range" : "Ip", value: key });
    if (scope === "all") {
      const { text } = await this.#askAsMachine(`v1/decisions?${query}`, { method: "DELETE" });
      return Number((parse(text) as { nbDeleted?: unknown }).nbDeleted) || 0;
    }
    query.set("has_active_decision", "true");
    query.set("limit", "0"); // no limit
    const { text } = await this.#askAsMachine(`v1/alerts?${query}`, {});
    let lifted = 0;
    for (const id of decisionsOf(parse(text), key, scope)) {
      await this.#askAsMachine(`v1/decisions/${id}`, { method: "DELETE" });
      lifted++;
    }
    return lifted;
  }

  async #askAsMachine(path: string, request: Request): Promise<Answer> {
    await this.login();
    try {
      return await this.#ask(path, this.#withToken(request));
    } catch (error) {
      if (!(error instanceof FleetError) || error.status !== 401) throw error;
      this.#token = null; // ended early: its clock was set, or it has forgotten its key
      await this.login();
      return await this.#ask(path, this.#withToken(request));
    }
  }

  #withToken(request: Request): Request {
    return {
      ...request,
      headers: { ...request.headers, "Authorization": `Bearer ${this.#token}` },
    };
  }

  /** Throws FleetError for every answer but a good one. */
  async #ask(path: string, request: Request): Promise<Answer> {
    const { method = "GET", headers = {}, body, timeoutMs = ANSWER_MS } = request;
    if (this.#isClosed) throw new FleetError("this machine leaves the fleet", "away");
    const cancel = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      cancel.abort();
    }, timeoutMs);
    this.#underWay.add(cancel);
    let answer: Answer;
    try {
      this.#client ??= this.#open();
      const response = await fetch(this.#settings.url + path, {
        method,
        client: this.#client,
        redirect: "error", // a secret is not for whom it is redirected to
        signal: cancel.signal,
        headers: {
          "User-Agent": `btblocker/${VERSION}`,
          ...body === undefined ? {} : { "Content-Type": "application/json" },
          ...headers,
        },
        ...body === undefined ? {} : { body: JSON.stringify(body) },
      });
      this.#setClock(response.headers.get("Date"));
      answer = { status: response.status, text: await readBounded(response) };
    } catch (error) {
      this.#forgetClient(); // a certificate may be another by the next attempt
      if (error instanceof FleetError) throw error;
      const problem = describe(error, isLate, timeoutMs);
      throw new FleetError(problem, OF_CERTIFICATES.test(problem) ? "forbidden" : "away");
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(cancel);
    }
    const { status, text } = answer;
    if (status >= 200 && status < 300) return answer;
    const trouble = status === 401 || status === 403 ? "forbidden" : "away";
    throw new FleetError(`it answers ${status}, ${messageOf(text)}`, trouble, status);
  }

  #setClock(date: string | null): void {
    const timeMs = date === null ? NaN : Date.parse(date);
    // The header has whole seconds, cut: half of one more is right on average.
    if (!Number.isNaN(timeMs)) this.#aheadMs = timeMs + 500 - Date.now();
  }

  #open(): Deno.HttpClient {
    const { ca, cert, certKey } = this.#settings;
    return Deno.createHttpClient({
      ...ca === "" ? {} : { caCerts: [readPem("FLEET_CA", ca)] },
      ...cert === "" ? {} : {
        cert: readPem("FLEET_CERT", cert),
        key: readPem("FLEET_CERT_KEY", certKey),
      },
    });
  }

  #forgetClient(): void {
    this.#client?.close();
    this.#client = null;
  }

  /** Ends what is under way. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const cancel of this.#underWay) cancel.abort();
    this.#forgetClient();
  }
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let length = 0;
  let text = "";
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) {
      throw new FleetError(`its answer is longer than ${LONGEST_ANSWER >> 20} MiB`, "away");
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // told below
  }
  throw new FleetError("its answer is no JSON: is that CrowdSec's Local API?", "away");
}

/** Ids of the decisions in alerts that are for the address or network and of the scope. */
function decisionsOf(alerts: unknown, key: string, scope: FleetScope): number[] {
  if (!Array.isArray(alerts)) return [];
  return alerts.flatMap(({ decisions }: { decisions?: unknown }) =>
    (Array.isArray(decisions) ? decisions : [])
      .map((decision) => readDecision(decision, scope))
      .filter((decision) => decision?.key === key && decision.durationMs > 0)
      .map((decision) => decision!.id)
  );
}

function messageOf(text: string): string {
  let message: unknown;
  try {
    message = (JSON.parse(text) as { message?: unknown }).message;
  } catch {
    // a proxy's page
  }
  return printable(typeof message === "string" ? message : text.split("\n", 1)[0])
    .slice(0, LONGEST_ERROR);
}

function describe(error: unknown, isLate: boolean, timeoutMs: number): string {
  if (isLate) return `no answer within ${timeoutMs / 1000} seconds`;
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  // Where it was going to is told anyway; what kept it from there stands at the end.
  const reason = message.replace(/^error sending request for url \([^)]*\): /, "")
    .replace(/^(client error )?\(Connect\): /, "");
  return printable(reason).slice(0, LONGEST_ERROR);
}
