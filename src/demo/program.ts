/** Child processes: bounded commands, and programs that run until they are stopped. */

import { EnvironmentError } from "../errors.ts";

/** For what must happen, on a slow machine that does much else; then something hangs. */
const PATIENCE_MS = 60_000;

/**
 * Runs a command and gives its standard output. Throws an `EnvironmentError` that holds its
 * standard error when it fails, is missing, or takes longer than `timeoutMs`.
 */
export async function output(
  command: readonly string[],
  timeoutMs: number = PATIENCE_MS,
): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const line = command.join(" ");
  let result: Deno.CommandOutput;
  try {
    result = await new Deno.Command(command[0], {
      args: command.slice(1),
      stdin: "null",
      signal,
    }).output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new EnvironmentError(`Cannot run ${command[0]}: not found`, "install it");
  }
  const decoder = new TextDecoder();
  if (!result.success) {
    const why = signal.aborted ? `no end within ${timeoutMs} ms` : `exit status ${result.code}`;
    const stderr = decoder.decode(result.stderr).trim();
    throw new EnvironmentError(`Cannot run ${line}: ${why}: ${stderr}`, "");
  }
  return decoder.decode(result.stdout);
}

export interface ProgramOptions {
  /** File for standard output and error; without it they are kept and given by `text()`. */
  log?: string;
  env?: Record<string, string>;
  /** Whether `env` is all of its environment; else it is added to that of this process. */
  clearEnv?: boolean;
  cwd?: string;
}

/** What is printed comes through a pipe, after the end of the program or before. */
const LAST_WORDS_MS = 2_000;

/** A running child process with everything it has printed. */
export class Program {
  readonly pid: number;
  /** When it has ended and everything it printed is in `text()`. */
  readonly status: Promise<Deno.CommandStatus>;
  /** Null while it runs. */
  exit: Deno.CommandStatus | null = null;
  private printed = "";
  private isRead = false;
  private readonly readers: Promise<void>[] = [];

  constructor(readonly command: readonly string[], private readonly options: ProgramOptions = {}) {
    const { log } = options;
    // A group of its own: some programs (dante) signal their whole group when they end, and those
    // that start others end with them.
    const actual = log === undefined
      ? ["setsid", ...command]
      : ["setsid", "sh", "-c", `exec "$@" >>"$0" 2>&1`, log, ...command];
    const stdio = log === undefined ? "piped" : "null";
    const child = new Deno.Command(actual[0], {
      args: actual.slice(1),
      stdin: "null",
      stdout: stdio,
      stderr: stdio,
      env: options.env,
      clearEnv: options.clearEnv,
      cwd: options.cwd,
    }).spawn();
    this.pid = child.pid;
    if (log === undefined) {
      this.readers.push(this.read(child.stdout), this.read(child.stderr));
    }
    this.status = child.status.then(async (status) => {
      this.exit = status;
      await this.lastWords();
      return status;
    });
  }

  /** Everything printed so far. */
  text(): string {
    if (this.options.log === undefined) return this.printed;
    try {
      return Deno.readTextFileSync(this.options.log);
    } catch {
      return "";
    }
  }

  /** Waits until the output matches; throws when the program ends or the time is up before. */
  async printedMatch(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<RegExpMatchArray> {
    const deadline = performance.now() + timeoutMs;
    while (true) {
      const ended = this.isRead;
      const found = this.text().match(pattern);
      if (found !== null) return found;
      if (ended || performance.now() > deadline) {
        const why = ended ? "it ended" : `${timeoutMs} ms are over`;
        throw new Error(
          `${this.command.join(" ")} has not printed ${pattern}: ${why}\n${this.text()}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Sends a signal to it and what it has started; harmless when it has ended. */
  kill(signal: Deno.Signal): void {
    if (this.exit !== null) return;
    // It may not have made its group yet.
    for (const target of [-this.pid, this.pid]) {
      try {
        return Deno.kill(target, signal);
      } catch {
        // It ended in between.
      }
    }
  }

  /** Asks it to end, and ends it when it has not within `graceMs`. */
  async stop(
    signal: Deno.Signal = "SIGTERM",
    graceMs: number = PATIENCE_MS / 2,
  ): Promise<Deno.CommandStatus> {
    this.kill(signal);
    const timer = setTimeout(() => this.kill("SIGKILL"), graceMs);
    const status = await this.status;
    clearTimeout(timer);
    return status;
  }

  /** Reads to the end; a child that it has left behind may hold the pipe open for ever. */
  private async lastWords(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, LAST_WORDS_MS));
    await Promise.race([Promise.all(this.readers), late]);
    clearTimeout(timer);
    this.isRead = true;
  }

  private async read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.printed += text;
  }
}
