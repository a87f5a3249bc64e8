import { printable } from "../text.ts";

const REDRAW_MS = 100;
/** Short inputs are done before anybody looks. */
const QUIET_MS = 500;

/** One line on standard error that says how far a long capture is; only on a terminal. */
export class Progress implements Disposable {
  readonly #enabled = Deno.stderr.isTerminal();
  readonly #encoder = new TextEncoder();
  #name = "";
  #size = 0;
  #dueMs = 0;
  #isDrawn = false;

  /** @param size bytes of the input, 0 when not known (standard input, compressed) */
  start(name: string, size: number): void {
    this.#name = printable(name);
    this.#size = size;
    this.#dueMs = performance.now() + QUIET_MS;
  }

  update(position: number, packets: number): void {
    if (!this.#enabled || performance.now() < this.#dueMs) return;
    this.#dueMs = performance.now() + REDRAW_MS;
    const share = this.#size > 0
      ? `${Math.floor(Math.min(1, position / this.#size) * 100)} %, `
      : "";
    this.#write(`\r\x1b[K${this.#name}: ${share}${packets.toLocaleString("en-US")} packets`);
    this.#isDrawn = true;
  }

  /** Removes the line, before anything else is printed. */
  clear(): void {
    if (!this.#isDrawn) return;
    this.#write("\r\x1b[K");
    this.#isDrawn = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #write(text: string): void {
    Deno.stderr.writeSync(this.#encoder.encode(text));
  }
}
