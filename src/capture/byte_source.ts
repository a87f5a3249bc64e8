/**
 * Where a capture's bytes come from: a file or standard input, or what was packed there with gzip, held
 * in memory. Reads are synchronous: the reader asks for megabytes at a time.
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

interface Stream {
  readSync(target: Uint8Array): number | null;
}

/** Opens `path`, or standard input for `-`. Throws Deno's error when it cannot be opened. */
export async function openSource(path: string): Promise<ByteSource> {
  if (path === STANDARD_INPUT) return await openStream(Deno.stdin, null);
  const file = Deno.openSync(path);
  try {
    return await openStream(file, file);
  } catch (error) {
    try {
      file.close();
    } catch {
      // The stream that failed has closed it.
    }
    throw error;
  }
}

/**
 * The stream's bytes, unpacked where they are packed with gzip: its first two bytes tell, and are kept,
 * since a pipe cannot be read again from its start.
 *
 * @param owned closed in the end
 */
export async function openStream(stream: Stream, owned: Disposable | null): Promise<ByteSource> {
  const start = new Uint8Array(GZIP_MAGIC.length);
  let length = 0;
  while (length < start.length) {
    const read = stream.readSync(start.subarray(length));
    if (read === null) break;
    length += read;
  }
  const source = new StreamSource(start.subarray(0, length), stream, owned);
  const isPacked = length === start.length && start.every((byte, i) => byte === GZIP_MAGIC[i]);
  return isPacked ? await unpack(source) : source;
}

const GZIP_MAGIC = [0x1f, 0x8b]; // RFC 1952, section 2.3.1

class StreamSource implements ByteSource {
  readonly problem = null;
  readonly isCut = false;
  /** Bytes that were read already. */
  #start: Uint8Array;
  readonly #stream: Stream;
  #owned: Disposable | null;

  constructor(start: Uint8Array, stream: Stream, owned: Disposable | null) {
    this.#start = start;
    this.#stream = stream;
    this.#owned = owned;
  }

  read(target: Uint8Array): number | null {
    if (this.#start.length === 0) return this.#stream.readSync(target);
    const length = Math.min(target.length, this.#start.length);
    target.set(this.#start.subarray(0, length));
    this.#start = this.#start.subarray(length);
    return length;
  }

  [Symbol.dispose](): void {
    this.#owned?.[Symbol.dispose]();
    this.#owned = null;
  }
}

/**
 * gzip data (RFC 1952), unpacked; what stands before a damaged place is kept. Closes the source.
 * zlib and not DecompressionStream, which cannot tell a missing end from damage and takes no file of
 * several members.
 */
async function unpack(packed: ByteSource): Promise<ByteSource> {
  // Loaded for those who need them.
  const [{ Readable }, { createGunzip }] = await Promise.all([
    import("node:stream"),
    import("node:zlib"),
  ]);
  const chunks: Uint8Array[] = [];
  let total = 0;
  const gunzip = createGunzip();
  const input = Readable.from(pieces(packed));
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

/** The source's bytes; closes it in the end. */
function* pieces(source: ByteSource): Generator<Uint8Array> {
  using open = source;
  for (;;) {
    const piece = new Uint8Array(PIECE_BYTES);
    const length = open.read(piece);
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
