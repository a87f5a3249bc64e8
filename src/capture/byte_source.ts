/**
 * Where a capture's bytes come from: a file, standard input, or a gzip-compressed file held in
 * memory. Reads are synchronous: the reader asks for megabytes at a time.
 */

/** Fills `target` from its start; the number of bytes read, or null at the end. */
export interface ByteSource extends Disposable {
  read(target: Uint8Array): number | null;
  /** Why the bytes end before the input does, or null. */
  readonly problem: string | null;
  /** The problem is no more than that the input's end is missing, as of a recording broken off. */
  readonly isCut: boolean;
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
  readonly isCut = false;
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

/**
 * A gzip file (RFC 1952), unpacked; what stands before a damaged place is kept. Closes the file.
 * zlib and not DecompressionStream, which cannot tell a missing end from damage and takes no file of
 * several members.
 */
async function unpack(file: Deno.FsFile): Promise<ByteSource> {
  // Loaded for those who need them.
  const [{ Readable }, { createGunzip }] = await Promise.all([
    import("node:stream"),
    import("node:zlib"),
  ]);
  const chunks: Uint8Array[] = [];
  let total = 0;
  const gunzip = createGunzip();
  const input = Readable.from(pieces(file));
  const failure = await new Promise<Error & { code?: string } | null>((resolve) => {
    input.on("error", resolve);
    gunzip.on("error", resolve);
    gunzip.on("end", () => resolve(null));
    gunzip.on("data", (chunk: Uint8Array) => {
      if (total > MAX_UNPACKED_BYTES) return;
      chunks.push(chunk);
      total += chunk.length;
      if (total > MAX_UNPACKED_BYTES) {
        input.destroy();
        gunzip.destroy();
        resolve(new Error(`more than ${MAX_UNPACKED_BYTES >> 20} MiB when unpacked`));
      }
    });
    input.pipe(gunzip);
  });
  input.destroy();
  gunzip.destroy();
  if (failure === null) return new MemorySource(chunks);
  const { code, message } = failure;
  if (code === "Z_BUF_ERROR") {
    return new MemorySource(chunks, "cut short in the middle of the gzip data", true);
  }
  const isDamage = code?.startsWith("Z_") === true;
  return new MemorySource(chunks, isDamage ? `damaged gzip data (${message})` : message);
}

const PIECE_BYTES = 64 << 10;

/** The file's bytes; closes it in the end. */
function* pieces(file: Deno.FsFile): Generator<Uint8Array> {
  using open = file;
  for (;;) {
    const piece = new Uint8Array(PIECE_BYTES);
    const length = open.readSync(piece);
    if (length === null) return;
    yield piece.subarray(0, length);
  }
}

/** Bytes in memory, in chunks. */
export class MemorySource implements ByteSource {
  readonly problem: string | null;
  readonly isCut: boolean;
  readonly #chunks: readonly Uint8Array[];
  #chunk = 0;
  #at = 0;

  constructor(chunks: readonly Uint8Array[], problem: string | null = null, isCut = false) {
    this.#chunks = chunks;
    this.problem = problem;
    this.isCut = isCut;
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
