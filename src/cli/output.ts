/** Standard output in large writes: a line at a time would cost more than judging the packets. */
import { EnvironmentError } from "../errors.ts";

const FLUSH_LENGTH = 64 << 10;

/** Standard output takes no more: its disk is full, say. No input is to blame. */
export class OutputError extends EnvironmentError {
  override readonly name = "OutputError";

  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`Cannot write standard output: ${why}`, undefined, { cause });
  }
}

export class Output {
  /** Nobody reads any more (`| head`): there is no use in going on. */
  isClosed = false;
  #pending = "";
  readonly #encoder = new TextEncoder();
  readonly #write: (bytes: Uint8Array) => number;

  constructor(write: (bytes: Uint8Array) => number = (bytes) => Deno.stdout.writeSync(bytes)) {
    this.#write = write;
  }

  line(text: string): void {
    this.#pending += text + "\n";
    if (this.#pending.length >= FLUSH_LENGTH) this.flush();
  }

  flush(): void {
    let bytes = this.#encoder.encode(this.#pending);
    this.#pending = "";
    try {
      while (bytes.length > 0 && !this.isClosed) bytes = bytes.subarray(this.#write(bytes));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw new OutputError(error);
      this.isClosed = true;
    }
  }
}
