/**
 * The socket through which other commands (`bans`, `status`) ask the running blocker, and the lock
 * that there is one of it in a network namespace.
 *
 * One JSON object a line each way: `{"command":"bans","argument":…}` is answered by
 * `{"result":…}` or `{"error":"…","kind":"usage"|"environment"}`. Only its owner can reach it: a
 * socket is connected to by those who may write it (unix(7)), and this one is 0600 from its first
 * moment. The directory lets others through without showing them what is in it, for the socket of
 * STATUS_LISTEN, which is its group's too.
 */
import { type BoundedConnection, Connections } from "../status/connections.ts";
import { isPresent, showPresence } from "./presence.ts";
import { TextLines, TextLineStream } from "./text_lines.ts";
import { EnvironmentError, UsageError } from "../errors.ts";
import { removeFile } from "../files.ts";

export const CONTROL_DIRECTORY = "/run/btblocker";

/** Others go through it to a socket they may use, and neither list nor add anything. */
const DIRECTORY_MODE = 0o711;

/** The socket is its owner's alone, and yet a script gone wild must not use up our descriptors. */
const BOUNDS = { most: 64, mostOfOne: 64 };
/** For a request to come. */
const REQUEST_MS = 10_000;
/** `bans add` with a hundred thousand addresses. */
const LONGEST_REQUEST = 8 << 20;

/** What one command does; throws UsageError or EnvironmentError to refuse. */
export type ControlHandler = (argument: unknown) => unknown;

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
  readonly kind?: "usage" | "environment";
}

export class ControlServer implements AsyncDisposable {
  readonly path: string;
  readonly #lock: Deno.FsFile;
  readonly #presence: Disposable;
  readonly #lockPath: string;
  readonly #handlers: Readonly<Record<string, ControlHandler>>;
  readonly #connections: Connections;
  #isClosed = false;

  /**
   * Takes the lock and listens.
   *
   * @param inode of the network namespace; throws EnvironmentError where another blocker runs in it
   * @param warn told when calls cannot be taken for a while
   */
  constructor(
    inode: number,
    handlers: Readonly<Record<string, ControlHandler>>,
    directory: string = CONTROL_DIRECTORY,
    warn: (message: string) => void = () => {},
  ) {
    this.#handlers = handlers;
    this.path = socketPath(inode, directory);
    try {
      Deno.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
      Deno.chmodSync(directory, DIRECTORY_MODE); // whatever the umask took away
    } catch (error) {
      throw new EnvironmentError(
        `Cannot use ${directory}: ${(error as Error).message}`,
        error instanceof Deno.errors.PermissionDenied
          ? "run as root"
          : "its file system must take new files",
      );
    }
    this.#lockPath = `${directory}/control-${inode}.lock`;
    this.#lock = takeLock(this.#lockPath);
    let listener: Deno.Listener;
    try {
      removeFile(this.path); // left by one that was killed: the lock says it is gone
      listener = listenAlone(this.path);
    } catch (error) {
      this.#lock.close();
      throw new EnvironmentError(`Cannot listen at ${this.path}: ${(error as Error).message}`);
    }
    this.#presence = showPresence(inode, directory);
    this.#connections = new Connections({
      ...{ listener, bounds: BOUNDS },
      serve: (connection) => this.#serve(connection),
      warn: (problem) => warn(`Cannot take calls to the control socket now: ${problem}`),
    });
  }

  async #serve(connection: BoundedConnection): Promise<void> {
    const lines = new TextLines(LONGEST_REQUEST);
    const buffer = new Uint8Array(64 << 10);
    for (;;) {
      connection.waitFor(REQUEST_MS);
      const count = await connection.read(buffer);
      if (count === null) return;
      for (const line of lines.push(buffer.subarray(0, count))) {
        connection.serveFor(ANSWER_TIMEOUT_MS);
        const answer = `${JSON.stringify(await this.#answer(line))}\n`;
        if (!await connection.write(new TextEncoder().encode(answer))) return;
      }
    }
  }

  async #answer(line: string): Promise<Answer> {
    try {
      const { command, argument } = JSON.parse(line) as { command?: string; argument?: unknown };
      const handler = Object.hasOwn(this.#handlers, command ?? "")
        ? this.#handlers[command as string]
        : undefined;
      if (handler === undefined) {
        throw new UsageError(`Cannot answer ${command}: the running btblocker is another version`);
      }
      return { result: await handler(argument) };
    } catch (error) {
      const kind = error instanceof UsageError ? "usage" : "environment";
      return { error: error instanceof Error ? error.message : String(error), kind };
    }
  }

  /** Stops listening and gives the lock back; leaves no file. Twice is harmless. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#connections[Symbol.asyncDispose]();
    this.#presence[Symbol.dispose]();
    removeFile(this.path);
    removeFile(this.#lockPath); // while it is held
    this.#lock.close();
  }
}

function listenAlone(path: string): Deno.Listener {
  const mask = Deno.umask(0o177);
  try {
    return Deno.listen({ transport: "unix", path }) as unknown as Deno.Listener;
  } finally {
    Deno.umask(mask);
  }
}

/** The holder writes its process id right after it got the lock; how long that may take at most. */
const HOLDER_NAMED_MS = 1_000;

/** The kernel gives the lock back when its holder dies; the file then still names that one. */
function takeLock(path: string): Deno.FsFile {
  for (;;) {
    const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    if (!file.tryLockSync(true)) {
      file.close();
      throw new EnvironmentError(
        `Cannot start: btblocker is running here already (process ${holderOf(path)})`,
        "btblocker status shows it",
      );
    }
    // One that stopped just now may have removed the file that we had opened: that locks nothing.
    if (inodeOf(path) === file.statSync().ino) {
      file.truncateSync();
      file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
      return file;
    }
    file.close();
  }
}

/** Of two started at once the second may look before the first has written its process id. */
function holderOf(path: string): string {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + HOLDER_NAMED_MS;
  for (;;) {
    const pid = readOrEmpty(path).trim();
    if (pid !== "" || performance.now() > deadline) return pid || "unknown";
    Atomics.wait(pause, 0, 0, 10);
  }
}

function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // its holder has stopped meanwhile
  }
}

function inodeOf(path: string): number | null {
  try {
    return Deno.statSync(path).ino;
  } catch {
    return null;
  }
}

/** On a slow machine a list of all bans takes its time, and so does a flood of detections before. */
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Asks the blocker running in the namespace. Null when none runs; throws what the handler threw, and
 * EnvironmentError where one runs that cannot be reached from here.
 */
export async function askControl(
  inode: number,
  command: string,
  argument: unknown,
  directory: string = CONTROL_DIRECTORY,
): Promise<{ readonly result: unknown } | null> {
  const connection = await connect(socketPath(inode, directory));
  if (connection === null) {
    if (!isPresent(inode, directory)) return null;
    throw new EnvironmentError(
      `Cannot ask btblocker: it runs in this network namespace, but not with this ${directory}`,
      "in a container? Then ask there: docker exec CONTAINER btblocker …",
    );
  }
  const timer = setTimeout(() => closeQuietly(connection), ANSWER_TIMEOUT_MS);
  try {
    const request = new TextEncoder().encode(`${JSON.stringify({ command, argument })}\n`);
    for (let sent = 0; sent < request.length;) {
      sent += await connection.write(request.subarray(sent));
    }
    for await (const line of connection.readable.pipeThrough(new TextLineStream())) {
      const answer = JSON.parse(line) as Answer;
      if (answer.error === undefined) return { result: answer.result };
      throw answer.kind === "usage"
        ? new UsageError(answer.error)
        : new EnvironmentError(answer.error);
    }
    throw new EnvironmentError("Cannot ask the running btblocker: it has stopped meanwhile");
  } catch (error) {
    if (error instanceof UsageError || error instanceof EnvironmentError) throw error;
    throw new EnvironmentError(
      `Cannot ask the running btblocker: ${(error as Error).message}`,
      "is it hanging? btblocker doctor tells more",
    );
  } finally {
    clearTimeout(timer);
    closeQuietly(connection);
  }
}

async function connect(path: string): Promise<Deno.UnixConn | null> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (error instanceof Deno.errors.ConnectionRefused) return null; // left by one that was killed
    throw new EnvironmentError(`Cannot reach ${path}: ${(error as Error).message}`, "run as root");
  }
}

function socketPath(inode: number, directory: string): string {
  return `${directory}/control-${inode}.sock`;
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // closed already, by the other side or by us
  }
}
