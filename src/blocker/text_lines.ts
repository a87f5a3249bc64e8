/** Longest line accepted: a list of all bans fits, an endless line does not fill the memory. */
const LONGEST_LINE = 1 << 30;

/** Puts lines together out of chunks of bytes. */
export class TextLines {
  readonly #decoder = new TextDecoder();
  readonly #longest: number;
  #parts: string[] = [];
  #length = 0;

  /** @param longest characters; a longer line is a RangeError */
  constructor(longest: number = LONGEST_LINE) {
    this.#longest = longest;
  }

  /** The lines that the chunk completes, without their newline. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    const pieces = this.#decoder.decode(chunk, { stream: true }).split("\n");
    for (const [index, piece] of pieces.entries()) {
      this.#parts.push(piece);
      this.#length += piece.length;
      if (this.#length > this.#longest) throw new RangeError("The line is too long");
      if (index === pieces.length - 1) break;
      lines.push(this.#parts.join(""));
      this.#parts = [];
      this.#length = 0;
    }
    return lines;
  }
}

/** Bytes in, lines out (without their newline); an unfinished last line is dropped. */
export class TextLineStream extends TransformStream<Uint8Array, string> {
  constructor() {
    const lines = new TextLines();
    super({
      transform(chunk, controller) {
        for (const line of lines.push(chunk)) controller.enqueue(line);
      },
    });
  }
}
