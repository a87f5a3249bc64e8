/** What a user does through a proxy: latency tests of a list, pages, downloads and uploads. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { Host } from "../../../src/demo/network.ts";
import { randomBytes } from "../../../src/demo/torrent.ts";
import { listening } from "../../lab/programs/conversation.ts";

export const WEB_PORT = 8_000;
const SERVER = fileURLToPath(new URL("./web_server.ts", import.meta.url));
const CURL = ["curl", "-sf", "-m", "60"];
const CURL_MS = 70_000;

/** One of the ways that a user has to the web: through which proxy or tunnel. */
export interface Way {
  name: string;
  /** Arguments of curl. */
  curl: readonly string[];
}

/** The way through a SOCKS proxy on the own machine. */
export function socks(name: string, port: number): Way {
  return { name, curl: ["--socks5-hostname", `127.0.0.1:${port}`] };
}

/** A web server with a file of random bytes. */
export class Web {
  private constructor(readonly origin: string, readonly file: string, readonly sha256: string) {}

  /** Starts it on a host; `address` is how visitors name that. */
  static async start(host: Host, address: string, directory: string, length: number): Promise<Web> {
    const file = `${directory}/file`;
    const content = randomBytes(length);
    await Deno.writeFile(file, content);
    host.spawn([Deno.execPath(), "run", "--quiet", "-A", SERVER, String(WEB_PORT), file], {
      log: `${directory}/web.log`,
    });
    await listening(host, "tcp", WEB_PORT);
    return new Web(`http://${address}:${WEB_PORT}`, file, sha256(content));
  }
}

/** One who visits `web`, each time by one of several ways. */
export class Visitor {
  private received = 0;

  constructor(readonly user: Host, readonly web: Web, readonly directory: string) {}

  /** As proxy programs test their lists: through all at once, some requests on a connection of each. */
  async latencyTests(ways: readonly Way[], requests: number): Promise<void> {
    await Promise.all(ways.map((way) => this.pages(way, requests)));
  }

  /** Requests one page several times on one connection. */
  async pages(way: Way, requests: number): Promise<void> {
    const url = `${this.web.origin}/page?[1-${requests}]`;
    const format = ["-o", "/dev/null", "-w", "%{http_code} "];
    const codes = await this.curl(way, [...format, url]);
    assert.equal(codes, "200 ".repeat(requests), `pages through ${way.name}`);
  }

  /** Downloads the file and holds it against the original. */
  async download(way: Way): Promise<void> {
    const path = `${this.directory}/received-${this.received++}`;
    await this.curl(way, ["-o", path, `${this.web.origin}/file`]);
    const content = await Deno.readFile(path);
    await Deno.remove(path);
    assert.equal(sha256(content), this.web.sha256, `a download through ${way.name}`);
  }

  /** Uploads the file and holds what the server has got against it. */
  async upload(way: Way): Promise<void> {
    const arguments_ = ["-H", "Expect:", "--data-binary", `@${this.web.file}`, this.web.origin];
    const got = await this.curl(way, arguments_);
    assert.equal(got, this.web.sha256, `an upload through ${way.name}`);
  }

  private curl(way: Way, rest: readonly string[]): Promise<string> {
    return this.user.run([...CURL, ...way.curl, ...rest], CURL_MS);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
