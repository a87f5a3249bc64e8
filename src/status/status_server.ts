/**
 * The status page, its JSON and the metrics over HTTP.
 *
 * Where only this machine can reach the listener (loopback, unix socket) everything can be read
 * without a token; elsewhere everything but the bare page and /healthz asks for it. Lifting a ban
 * asks for it everywhere. The token comes in the Authorization header, which no other site's page
 * can add; Host and Origin are looked at besides, against DNS rebinding and forged requests.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { isLocalListenAddress, isToken } from "../config/kinds.ts";
import { describeReadError, EnvironmentError, UsageError } from "../errors.ts";
import { log } from "../report/log.ts";
import { HttpServer } from "./http_server.ts";
import { Metrics } from "./metrics.ts";
import { PAGE, PAGE_POLICY } from "../report/page/document.ts";
import type { BanStatus, StatusSource } from "./status.ts";
import { formatEndpoint } from "../packet/address.ts";
import { removeFile } from "../files.ts";

export interface StatusServerOptions {
  /** STATUS_LISTEN, not empty. */
  readonly listen: string;
  /** STATUS_TOKEN: the token, `file:/PATH`, or empty. */
  readonly token: string;
  readonly source: StatusSource;
  /** Until this is true all questions get 503; true from the start unless given. */
  readonly isReady?: () => boolean;
}

/** Bans in one answer; the page says how many more there are. */
const MOST_BANS = 500;
/** Listing a hundred thousand bans takes a while: at most this part of the time is spent on it. */
const BANS_PART = 0.1;
const BANS_AGE_MS = 1_000;

const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

type Handler = (request: Request, url: URL) => Response | Promise<Response>;

interface Route {
  readonly method: "GET" | "POST";
  /** `free`: tells nothing; `read`: for this machine or with the token; `write`: with the token. */
  readonly access: "free" | "read" | "write";
  readonly handle: Handler;
}

export class StatusServer implements AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:9090/`, `unix:/run/btblocker/status.sock`. */
  readonly address: string;
  readonly #source: StatusSource;
  readonly #isReady: () => boolean;
  readonly #metrics = new Metrics();
  readonly #isLocal: boolean;
  readonly #isUnix: boolean;
  /** Hash of the token: of one length, for a comparison that takes one time. */
  readonly #token: Uint8Array | null;
  readonly #listener: Deno.Listener;
  readonly #server: HttpServer;
  #bans: readonly BanStatus[] = [];
  #bansUntilMs = -Infinity;

  readonly #routes: Readonly<Record<string, Route>> = {
    "/": { method: "GET", access: "free", handle: () => page() },
    "/healthz": { method: "GET", access: "free", handle: () => this.#health() },
    "/metrics": { method: "GET", access: "read", handle: () => this.#exposition() },
    "/api/status": { method: "GET", access: "read", handle: () => json(this.#source.status()) },
    "/api/history": {
      method: "GET",
      access: "read",
      handle: (_, url) => this.#history(url.searchParams.get("span") ?? "hour"),
    },
    "/api/detections": { method: "GET", access: "read", handle: () => this.#detections() },
    "/api/bans": { method: "GET", access: "read", handle: () => this.#listBans() },
    "/api/bans/remove": {
      method: "POST",
      access: "write",
      handle: (request) => this.#removeBan(request),
    },
  };

  /** Listens when this is done; throws EnvironmentError where it cannot. */
  static async start(options: StatusServerOptions): Promise<StatusServer> {
    const path = socketPath(options.listen);
    if (path !== null) await removeStaleSocket(path);
    return new StatusServer(options);
  }

  /** Whether one could listen there, tried; throws EnvironmentError where not. */
  static async try(listen: string): Promise<void> {
    const path = socketPath(listen);
    try {
      if (path !== null) await removeStaleSocket(path);
      const listener = path === null
        ? Deno.listen(hostAndPort(listen))
        : Deno.listen({ transport: "unix", path });
      listener.close();
      if (path !== null) removeFile(path);
    } catch (error) {
      throw error instanceof EnvironmentError ? error : cannotListen(listen, error);
    }
  }

  private constructor({ listen, token, source, isReady }: StatusServerOptions) {
    this.#source = source;
    this.#isReady = isReady ?? (() => true);
    this.#token = token === "" ? null : hash(readToken(token));
    this.#isLocal = isLocalListenAddress(listen);
    this.#isUnix = socketPath(listen) !== null;
    if (!this.#isLocal && this.#token === null) {
      throw new UsageError(`Cannot serve the status page at ${listen}: set STATUS_TOKEN`);
    }
    try {
      this.#listener = openListener(listen);
    } catch (error) {
      throw cannotListen(listen, error);
    }
    this.#server = new HttpServer(
      this.#listener,
      (request) => this.#handle(request),
      (problem) => log.error("Cannot take calls to the status page now: {problem}", { problem }),
    );
    this.address = addressOf(this.#listener.addr, listen);
    if (this.#isLocal) return;
    log.warn("The status page at {address} is not encrypted: put it behind TLS or a VPN", {
      address: this.address,
    });
  }

  async #handle(request: Request): Promise<Response> {
    let response: Response;
    try {
      response = await this.#answer(request);
    } catch (error) {
      response = fail(error);
    }
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  #answer(request: Request): Response | Promise<Response> {
    const url = new URL(request.url);
    const route = Object.hasOwn(this.#routes, url.pathname) ? this.#routes[url.pathname] : null;
    if (route === null) return refuse(404, "There is nothing here");
    const { method } = request;
    if (method !== route.method && !(method === "HEAD" && route.method === "GET")) {
      return refuse(405, `Only ${route.method} is answered here`, { allow: route.method });
    }
    const refusal = this.#refusal(request, route);
    if (refusal !== null) return refusal;
    if (!this.#isReady()) return refuse(503, "btblocker is starting", { "retry-after": "1" });
    return route.handle(request, url);
  }

  #refusal(request: Request, { access }: Route): Response | null {
    if (this.#isLocal && !this.#isUnix && !namesThisMachine(request.headers.get("host"))) {
      return refuse(421, "This server answers to localhost and loopback addresses only");
    }
    if (access === "free" || (access === "read" && this.#isLocal)) return null;
    if (this.#token === null) {
      return refuse(403, "Bans are lifted here only where STATUS_TOKEN is set");
    }
    if (!isSameOrigin(request)) return refuse(403, "The request comes from another site");
    const given = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    if (given === undefined) {
      return refuse(401, "The token is missing", { "www-authenticate": "Bearer" });
    }
    if (!timingSafeEqual(hash(given), this.#token)) {
      log.warn("A wrong token was given to the status page");
      return refuse(401, "The token is wrong", { "www-authenticate": "Bearer" });
    }
    return null;
  }

  #health(): Response {
    const { healthy, workers } = this.#source.status();
    const down = workers.filter(({ running }) => !running).map(({ queue }) => queue);
    return healthy
      ? text(200, "ok\n")
      : text(503, `not served, packets pass unjudged: queue ${down.join(", ")}\n`);
  }

  async #exposition(): Promise<Response> {
    const body = await this.#metrics.text(this.#source.status());
    return new Response(body, { headers: { "content-type": this.#metrics.contentType } });
  }

  #history(span: string): Response {
    if (span !== "minute" && span !== "hour") return refuse(400, "span: minute or hour");
    const nowMs = this.#source.nowMs();
    const { traffic, detections } = this.#source;
    return json({
      traffic: traffic.read(span, nowMs),
      methods: detections.byMethod(nowMs),
      clients: detections.byClient(nowMs),
    });
  }

  #detections(): Response {
    const { count, recent } = this.#source.detections;
    return json({ count, recent });
  }

  #listBans(): Response {
    const startMs = performance.now();
    if (startMs >= this.#bansUntilMs) {
      this.#bans = this.#source.bans();
      const tookMs = performance.now() - startMs;
      this.#bansUntilMs = startMs + Math.max(BANS_AGE_MS, tookMs / BANS_PART);
    }
    return json({
      nowMs: Date.now(), // of this machine, whose clock the times are of
      count: this.#bans.length,
      mayLift: this.#token !== null,
      bans: this.#bans.slice(0, MOST_BANS),
    });
  }

  async #removeBan(request: Request): Promise<Response> {
    const address = await readAddress(request);
    if (address === null) return refuse(400, 'Expected {"address":"…"} as application/json');
    try {
      const removed = this.#source.liftBan(address);
      this.#bansUntilMs = -Infinity;
      log.info("Lifted on the status page: the ban of {address} ({result})", {
        address,
        result: removed ? "was banned" : "was not banned",
      });
      return json({ address, removed });
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return refuse(400, error.message);
    }
  }

  /** Stops at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { addr } = this.#listener;
    await this.#server[Symbol.asyncDispose]();
    if (addr.transport === "unix") removeFile(addr.path);
  }
}

function cannotListen(listen: string, error: unknown): EnvironmentError {
  const why = (error as Error).message;
  return new EnvironmentError(
    `Cannot serve the status page at ${listen}: ${why}`,
    "set STATUS_LISTEN",
  );
}

function openListener(listen: string): Deno.Listener {
  const path = socketPath(listen);
  if (path === null) return Deno.listen(hostAndPort(listen));
  const mask = Deno.umask(0o117); // for us and our group, from the first moment
  try {
    const listener = Deno.listen({ transport: "unix", path });
    giveToGroupOfDirectory(path);
    return listener as unknown as Deno.Listener;
  } finally {
    Deno.umask(mask);
  }
}

/** Path of `unix:/PATH`, null for the address of an interface. */
function socketPath(listen: string): string | null {
  return listen.startsWith("unix:") ? listen.slice("unix:".length) : null;
}

/** A socket that nobody listens at was left by one that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!Deno.statSync(path).isSocket) return; // listening will say that it is in the way
  } catch {
    return;
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch {
    return removeFile(path);
  }
  throw new EnvironmentError(
    `Cannot serve the status page at unix:${path}: another program listens there`,
    "set STATUS_LISTEN",
  );
}

/** A web server in front gets to the socket by the group of its directory. */
function giveToGroupOfDirectory(path: string): void {
  const { gid } = Deno.statSync(path.slice(0, path.lastIndexOf("/")) || "/");
  try {
    if (gid !== null) Deno.chownSync(path, null, gid);
  } catch (error) {
    // Not a member of it, and not root: the socket stays with our own group.
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
  }
}

function hostAndPort(listen: string): { hostname: string; port: number } {
  const colon = listen.lastIndexOf(":");
  const hostname = listen.slice(0, colon).replace(/^\[|\]$/g, "");
  return { hostname, port: Number(listen.slice(colon + 1)) };
}

function addressOf(addr: Deno.Addr, listen: string): string {
  return addr.transport === "tcp" ? `http://${formatEndpoint(addr.hostname, addr.port)}/` : listen;
}

/** The token of STATUS_TOKEN; throws EnvironmentError or UsageError where its file has none. */
export function readToken(setting: string): string {
  if (!setting.startsWith("file:")) return setting;
  const path = setting.slice("file:".length);
  let content: string;
  try {
    content = Deno.readTextFileSync(path).trim();
  } catch (error) {
    throw new EnvironmentError(`Cannot read the status token: ${describeReadError(error)}`);
  }
  if (isToken(content)) return content;
  throw new UsageError(
    `Cannot use the status token in ${path}: expected 16 or more printable characters`,
  );
}

function hash(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** A name that a foreign site may have pointed at us (DNS rebinding) is none of these. */
function namesThisMachine(host: string | null): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host ?? "");
}

/** Browsers say where a request comes from; other programs say nothing and are no danger here. */
function isSameOrigin({ headers }: Request): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = headers.get("origin");
  return origin === null || origin.replace(/^https?:\/\//, "") === headers.get("host");
}

async function readAddress(request: Request): Promise<string | null> {
  if (request.headers.get("content-type")?.split(";")[0].trim() !== "application/json") return null;
  try {
    const { address } = await request.json() as { address?: unknown };
    return typeof address === "string" ? address : null;
  } catch {
    return null;
  }
}

function page(): Response {
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": PAGE_POLICY,
  };
  return new Response(PAGE, { headers });
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });
}

function text(status: number, body: string): Response {
  return new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

function refuse(status: number, error: string, headers: Record<string, string> = {}): Response {
  const response = json({ error });
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return new Response(response.body, { status, headers: response.headers });
}

function fail(error: unknown): Response {
  log.error("The status page failed: {problem}", { problem: (error as Error).message });
  return refuse(500, "This failed; the log has more");
}
