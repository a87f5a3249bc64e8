/** A headless Chromium for the tests of pages, with nothing of its own going out. */
import {
  type Browser as Connection,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { PATIENCE_MS } from "../until.ts";

const START_MS = 120_000;

/** Why there is no browser here, or null. */
export function browserMissing(): string | null {
  const command = new Deno.Command("sh", { args: ["-c", "command -v chromium"], stdout: "null" });
  return command.outputSync().success ? null : "chromium is missing (apt: chromium)";
}

/** A page that was opened, and what it did meanwhile. */
export interface Visit {
  readonly page: Page;
  /** Console messages and errors that came so far. */
  readonly complaints: string[];
  /** Addresses of everything asked for so far, the page's own first. */
  readonly requests: string[];
}

export class Browser implements AsyncDisposable {
  private constructor(
    readonly connection: Connection,
    private readonly child: Deno.ChildProcess,
    private readonly profile: string,
  ) {}

  static async start(): Promise<Browser> {
    const profile = await Deno.makeTempDir({ prefix: "btblocker-chromium-" });
    const child = new Deno.Command("chromium", {
      args: [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
        ...["--hide-scrollbars"],
        ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    try {
      const connection = await chromium.connectOverCDP(await debuggingAddress(child), {
        timeout: START_MS,
      });
      return new Browser(connection, child, profile);
    } catch (error) {
      await end(child, profile);
      throw error;
    }
  }

  /** Opens a page in a context of its own, which has no other page's cookies. */
  async visit(address: string, options: BrowserContextOptions = {}): Promise<Visit> {
    const context = await this.connection.newContext(options);
    context.setDefaultTimeout(PATIENCE_MS); // of a machine that does much else
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(error.stack ?? error.message));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(address);
    return { page, complaints, requests };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
    await end(this.child, this.profile);
  }
}

async function end(child: Deno.ChildProcess, profile: string): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // ended by itself
  }
  await child.status;
  for (let attempt = 0; attempt < 100; attempt++) { // its other processes go a moment later
    try {
      return await Deno.remove(profile, { recursive: true });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Chromium prints where it can be reached; the rest of what it prints is read and left. */
function debuggingAddress(child: Deno.ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = () => reject(new Error(`chromium does not start:\n${text}`));
    const timer = setTimeout(late, START_MS);
    const read = async () => {
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
        if (text.length < 10_000) text += part;
        const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
        if (address === undefined) continue;
        clearTimeout(timer);
        resolve(address);
      }
      clearTimeout(timer);
      late();
    };
    read();
  });
}
