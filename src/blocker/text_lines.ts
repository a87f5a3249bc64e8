/** Longest line accepted: a list of all bans fits, an endless line does not fill the memory. */
const LONGEST_LINE = 1 << 30;

/** Bytes in, lines out (without their newline); an unfinished last line is dropped. */
export class TextLineStream extends TransformStream<Uint8Array, string> {
  constructor() {
    const decoder = new TextDecoder();
    let parts: string[] = [];
    let length = 0;
    super({
      transform(chunk, controller) {
        const pieces = decoder.decode(chunk, { stream: true }).split("\n");
        for (const [index, piece] of pieces.entries()) {
          parts.push(piece);
          length += piece.length;
          if (index === pieces.length - 1) break;
          controller.enqueue(parts.join(""));
          parts = [];
          length = 0;
        }
        if (length > LONGEST_LINE) controller.error(new RangeError("The line is too long"));
      },
    });
  }
}
