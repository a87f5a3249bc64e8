/** A stand-in for the Local API that can be made to answer anything. */
import type { FleetSettings } from "../../src/fleet/settings.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

type Handler = (asked: Asked) => Response | Promise<Response>;

export class FakeLapi implements AsyncDisposable {
  /** Everything it was asked. */
  readonly asked: Asked[] = [];
  /** What it says to anything but a login; null: as a well API with nothing to tell. */
  answer: Handler | null = null;
  /** What it says to a login; null: a token. */
  loginAnswer: Handler | null = null;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(tls: { cert: string; key: string } | null = null) {
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    const handler = (request: Request) => this.#handle(request);
    this.#server = tls === null
      ? Deno.serve(options, handler)
      : Deno.serve({ ...options, ...tls }, handler);
    this.url = `${tls === null ? "http" : "https"}://localhost:${this.#server.addr.port}/`;
  }

  readonly url: string;

  async #handle(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const text = await request.text();
    const asked = {
      method: request.method,
      path: pathname + search,
      headers: request.headers,
      body: text === "" ? null : JSON.parse(text),
    };
    this.asked.push(asked);
    if (pathname === "/v1/watchers/login") {
      return await this.loginAnswer?.(asked) ?? Response.json({ code: 200, token: "token-1" });
    }
    if (this.answer !== null) return await this.answer(asked);
    if (pathname === "/v1/decisions/stream") return Response.json({ new: null, deleted: null });
    if (pathname === "/v1/alerts") return Response.json(["1"], { status: 201 });
    return Response.json({ nbDeleted: "0" });
  }

  /** Paths asked for, without queries. */
  paths(): string[] {
    return this.asked.map(({ method, path }) => `${method} ${path.split("?")[0]}`);
  }

  /** Alerts it was told. */
  alerts(): { source: { value: string }; stop_at: string; decisions: { duration: string }[] }[] {
    return this.asked.filter(({ path, method }) => path === "/v1/alerts" && method === "POST")
      .flatMap(({ body }) => body as []);
  }

  settings(values: Partial<FleetSettings> = {}): FleetSettings {
    return {
      url: this.url,
      login: "gw-1",
      password: "password",
      key: "key",
      intervalMs: 100,
      scope: "btblocker",
      sharesPrivate: false,
      ...{ ca: "", cert: "", certKey: "" },
      spoolDirectory: "/nonexistent",
      ...values,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
