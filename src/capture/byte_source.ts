/**
 * Where a capture's bytes come from: a file, standard input, or a gzip-compressed file held in
 * memory. Reads are synchronous: the reader asks for megabytes at a time.
 */

/** Fills `target` from its start; the number of bytes read, or null at the end. */
export interface ByteSource extends Disposable {
  read(target: Uint8Array): number | null;
  /** Why the bytes end before the input does, or null. */
  readonly problem: string | null;
}

/** A compressed capture is unpacked in memory, so that a small hostile file cannot exhaust it. */
const MAX_UNPACKED_BYTES = 1 << 30;

const STANDARD_INPUT = "-";

/** Opens `path`, or standard input for `-`. Throws Deno's error when it cannot be opened. */
export async function openSource(path: string): Promise<ByteSource> {
  if (path === STANDARD_INPUT) return new StreamSource(Deno.stdin, null);
  const file = Deno.openSync(path);
  try {
    const magic = new Uint8Array(2);
    // A pipe or a socket cannot be read again from its start, so only files are looked into.
    if (!file.statSync().isFile) return new StreamSource(file, file);
    if (file.readSync(magic) === 2 && magic[0] === 0x1f && magic[1] === 0x8b) {
      file.seekSync(0, Deno.SeekMode.Start);
      return await unpack(file);
    }
    file.seekSync(0, Deno.SeekMode.Start);
  } catch (error) {
    try {
      file.close();
    } catch {
      // The stream that failed has closed it.
    }
    throw error;
  }
  return new StreamSource(file, file);
}

class StreamSource implements ByteSource {
  readonly problem = null;
  readonly #stream: { readSync(target: Uint8Array): number | null };
  #owned: Disposable | null;

  constructor(stream: { readSync(target: Uint8Array): number | null }, owned: Disposable | null) {
    this.#stream = stream;
    this.#owned = owned;
  }

  read(target: Uint8Array): number | null {
    return this.#stream.readSync(target);
  }

  [Symbol.dispose](): void {
    this.#owned?.[Symbol.dispose]();
    this.#owned = null;
  }
}

/** A gzip file (RFC 1952), unpacked; what stands before a damaged place is kept. */
async function unpack(file: Deno.FsFile): Promise<ByteSource> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  let problem: string | null = null;
  const reader = file.readable.pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      total += value.length;
      if (total > MAX_UNPACKED_BYTES) {
        problem = `more than ${MAX_UNPACKED_BYTES >> 20} MiB when unpacked`;
        await reader.cancel();
        break;
      }
    }
  } catch (error) {
    problem = `damaged gzip data (${error instanceof Error ? error.message : error})`;
  }
  return new MemorySource(chunks, problem);
}

/** Bytes in memory, in chunks. */
export class MemorySource implements ByteSource {
  readonly problem: string | null;
  readonly #chunks: readonly Uint8Array[];
  #chunk = 0;
  #at = 0;

  constructor(chunks: readonly Uint8Array[], problem: string | null = null) {
    this.#chunks = chunks;
    this.problem = problem;
  }

  read(target: Uint8Array): number | null {
    while (this.#chunk < this.#chunks.length) {
      const chunk = this.#chunks[this.#chunk];
      const length = Math.min(target.length, chunk.length - this.#at);
      if (length > 0) {
        target.set(chunk.subarray(this.#at, this.#at + length));
        this.#at += length;
        return length;
      }
      this.#chunk++;
      this.#at = 0;
    }
    return null;
  }

  [Symbol.dispose](): void {}
}
