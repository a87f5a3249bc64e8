/**
 * As much of HTTP/1.1 (RFC 9112) as the status page needs, and no more: GET, HEAD and small POSTs,
 * one after the other. A head that is late, long or odd ends its connection. Ours, because Deno's own
 * server bounds neither connections nor the time that a head may take, and ends the process where
 * accept fails.
 */
import {
  type BoundedConnection,
  type ConnectionBounds,
  Connections,
  type ConnectionsOptions,
} from "./connections.ts";

const BOUNDS: ConnectionBounds = { most: 128, mostOfOne: 16 };
/** For a request to come, from its connection's beginning or the last answer on. */
const REQUEST_MS = 10_000;
/** For an answer, and for the other side to take it. */
const ANSWER_MS = 30_000;
const LONGEST_HEAD = 8_192;
const LARGEST_BODY = 1_024;

export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** What was asked before any body; or with which status it is refused. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly bodyLength: number;
  /** Whether another request may follow on the connection. */
  readonly keepsAlive: boolean;
}

export class HttpServer implements AsyncDisposable {
  readonly #connections: Connections;
  readonly #handle: HttpHandler;

  constructor(
    listener: Deno.Listener,
    handle: HttpHandler,
    warn: ConnectionsOptions["warn"],
  ) {
    this.#handle = handle;
    const serve = (connection: BoundedConnection) => this.#serve(connection);
    this.#connections = new Connections({ listener, bounds: BOUNDS, serve, warn });
  }

  async #serve(connection: BoundedConnection): Promise<void> {
    const reader = new RequestReader(connection);
    for (;;) {
      connection.waitFor(REQUEST_MS);
      const request = await reader.next();
      connection.serveFor(ANSWER_MS);
      if (request === null) return;
      if (typeof request === "number") {
        await connection.write(await writeResponse(plain(request), false, false));
        return;
      }
      const { head, body } = request;
      const made = makeRequest(head, body);
      const response = made === null ? plain(400) : await this.#handle(made);
      const keepsAlive = head.keepsAlive && made !== null;
      const isHead = head.method === "HEAD";
      if (!await connection.write(await writeResponse(response, isHead, keepsAlive))) return;
      if (!keepsAlive) return;
    }
  }

  /** Stops at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }
}

/** Requests out of a connection's bytes. */
class RequestReader {
  readonly #connection: BoundedConnection;
  readonly #bytes = new Uint8Array(LONGEST_HEAD + LARGEST_BODY);
  #length = 0;

  constructor(connection: BoundedConnection) {
    this.#connection = connection;
  }

  /** Null at the end; a status where the request is refused. */
  async next(): Promise<{ head: RequestHead; body: Uint8Array<ArrayBuffer> } | number | null> {
    let end: number;
    while ((end = headEnd(this.#bytes, this.#length)) < 0) {
      if (this.#length >= LONGEST_HEAD) return 431;
      if (!await this.#more()) return null;
    }
    const head = readRequest(this.#bytes.subarray(0, end));
    if (typeof head === "number") return head;
    const whole = end + head.bodyLength;
    while (this.#length < whole) if (!await this.#more()) return null;
    const body = this.#bytes.slice(end, whole);
    this.#bytes.copyWithin(0, whole, this.#length); // what follows is the next one's
    this.#length -= whole;
    return { head, body };
  }

  async #more(): Promise<boolean> {
    const count = await this.#connection.read(this.#bytes.subarray(this.#length));
    if (count === null || count === 0) return false;
    this.#length += count;
    return true;
  }
}

/** Where the body begins, -1 where the head is not whole. */
function headEnd(bytes: Uint8Array, length: number): number {
  for (let at = 3; at < length; at++) {
    if (
      bytes[at] === 10 && bytes[at - 1] === 13 && bytes[at - 2] === 10 && bytes[at - 3] === 13
    ) return at + 1;
  }
  return -1;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Given twice, two readers may see two requests. */
const ONCE = ["host", "content-length", "transfer-encoding", "authorization"];

/**
 * Reads a whole head with its empty line. Strict: whoever stands in front of us must not read it in
 * another way than we do. A status where it is refused.
 */
export function readRequest(bytes: Uint8Array): RequestHead | number {
  const lines = new TextDecoder("latin1").decode(bytes).split("\r\n").slice(0, -2);
  const request = /^([A-Z]+) (\/[\x21-\x7e]*) HTTP\/1\.([01])$/.exec(lines[0] ?? "");
  if (request === null) return 400;
  const [, method, target, minor] = request;
  const headers = new Headers();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    // deno-lint-ignore no-control-regex -- no control character but the tab (RFC 9110, 5.5)
    if (!TOKEN.test(name) || /[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return 400;
    if (ONCE.includes(name) && headers.has(name)) return 400;
    headers.append(name, value);
  }
  if (minor === "1" && !headers.has("host")) return 400;
  if (headers.has("transfer-encoding")) return 501;
  const length = headers.get("content-length") ?? "0";
  if (!/^\d{1,15}$/.test(length)) return 400;
  const bodyLength = Number(length);
  if (bodyLength > LARGEST_BODY) return 413;
  const connection = (headers.get("connection") ?? "").toLowerCase().split(/[ ,\t]+/);
  const keepsAlive = minor === "1" ? !connection.includes("close") : false;
  return { method, target, headers, bodyLength, keepsAlive };
}

/** Null for what is no address. */
function makeRequest(
  { method, target, headers }: RequestHead,
  body: Uint8Array<ArrayBuffer>,
): Request | null {
  try {
    const hasBody = method !== "GET" && method !== "HEAD";
    // Whom it was sent to is in the Host header; the address is ours to choose.
    return new Request(`http://status.invalid${target}`, {
      method,
      headers,
      ...hasBody ? { body } : {},
    });
  } catch {
    return null;
  }
}

const WORDS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

function plain(status: number): Response {
  const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
  return new Response(`${WORDS[status]}\n`, { status, headers });
}

async function writeResponse(
  response: Response,
  isHead: boolean,
  keepsAlive: boolean,
): Promise<Uint8Array> {
  const body = new Uint8Array(await response.arrayBuffer());
  const lines = [`HTTP/1.1 ${response.status} ${WORDS[response.status] ?? "Unknown"}`];
  for (const [name, value] of response.headers) lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${body.length}`, `date: ${new Date().toUTCString()}`);
  lines.push(`connection: ${keepsAlive ? "keep-alive" : "close"}`, "", "");
  const head = new TextEncoder().encode(lines.join("\r\n"));
  if (isHead) return head;
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}
