/**
 * Searches the detection log, text and JSON, for what a complaint names: an info-hash, a port, an
 * address, a time. Files of any length are read in blocks; a JSON line is parsed only where it holds
 * the rarest thing that was asked for.
 */
import { Buffer } from "node:buffer";
import { formatAddress, formatEndpoint, parseAddress } from "../packet/address.ts";
import { KINDS, type Method } from "../protocols/match.ts";
import { METHOD_ROWS } from "../protocols/methods.ts";

export interface Complaint {
  /** The first 40 hexadecimal digits, lower case: so long are they on the wire, of v2 too. */
  readonly infoHash: string | null;
  /** Of either end. */
  readonly port: number | null;
  /** Of either end, as the log writes it. */
  readonly address: string | null;
  /** Unix time in milliseconds, both inclusive. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** An entry that answers it. */
export interface FoundEntry {
  readonly timeMs: number;
  /** `ip:port`, `[v6]:port`. */
  readonly source: string;
  readonly destination: string;
  readonly transport: string;
  /** `dht: get_peers query, libtorrent 2.0`. */
  readonly what: string;
  readonly infoHash: string | null;
  /** As the JSON log has it; null in text logs, which do not say. */
  readonly who: string | null;
  readonly banned: readonly string[];
}

/** Reads a log block by block: fills `target`, gives the number of bytes, null at the end. */
export type ReadBlock = (target: Uint8Array) => number | null;

const BLOCK = 8 << 20;
const LINE_END = 0x0a;
const JSON_BEGIN = 0x7b;

/** Yields the entries of one log that answer the complaint, in its order. */
export function* searchLog(read: ReadBlock, complaint: Complaint): Generator<FoundEntry> {
  let block = new Uint8Array(BLOCK);
  let kept = 0;
  for (;;) {
    const length = read(block.subarray(kept));
    const end = kept + (length ?? 0);
    const search = block[0] === JSON_BEGIN ? searchJson : searchText;
    const done = yield* search(Buffer.from(block.buffer, 0, end), length === null, complaint);
    if (length === null) return;
    kept = end - done;
    block.copyWithin(0, done, end);
    if (kept === block.length) { // an entry longer than the block: none of ours
      const larger = new Uint8Array(block.length * 2);
      larger.set(block);
      block = larger;
    }
  }
}

/** Searches whole lines; returns where the first one begins that is not whole. */
function* searchJson(
  block: Buffer,
  isLast: boolean,
  complaint: Complaint,
): Generator<FoundEntry, number> {
  const end = isLast ? block.length : block.lastIndexOf(LINE_END) + 1;
  const needle = needleOf(complaint);
  for (let at = 0; at < end;) {
    const hit = needle === null ? at : block.indexOf(needle, at, "latin1");
    if (hit < 0 || hit >= end) break;
    const begin = needle === null ? at : block.lastIndexOf(LINE_END, hit) + 1;
    const lineEnd = block.indexOf(LINE_END, hit);
    const stop = lineEnd < 0 ? end : lineEnd;
    at = stop + 1;
    if (needle === null && !isInTime(timeOf(block, begin), complaint)) continue;
    const entry = entryOfJson(block.toString("utf8", begin, stop));
    if (entry !== null && answers(entry, complaint)) yield entry;
  }
  return end;
}

/** The rarest thing asked for, as it stands in a JSON line; null where only the time is known. */
function needleOf({ infoHash, address, port }: Complaint): string | null {
  if (infoHash !== null) return `"info_hash":"${infoHash}`;
  if (address !== null) return `_ip":"${address}"`;
  return port === null ? null : `_port":${port},`;
}

const TIMESTAMP = '{"timestamp":"';
const TIME_LENGTH = "2024-01-15T18:46:57.123".length;

/** Our own lines begin with the time: it is read without the rest. */
function timeOf(buffer: Buffer, begin: number): number {
  const at = begin + TIMESTAMP.length;
  return Date.parse(`${buffer.toString("latin1", at, at + TIME_LENGTH)}Z`);
}

function isInTime(timeMs: number, { fromMs, untilMs }: Complaint): boolean {
  return !(timeMs < fromMs || timeMs > untilMs); // a time that cannot be read is looked at
}

/** What an entry of the JSON log says; null for a line that is none. */
function entryOfJson(line: string): FoundEntry | null {
  let json;
  try {
    json = JSON.parse(line);
  } catch {
    return null; // torn by a full disk or a crash
  }
  if (json?.event_type !== "detection") return null;
  if (typeof json.src_ip !== "string" || typeof json.dest_ip !== "string") return null;
  const { who, client } = json;
  return {
    timeMs: Date.parse(json.timestamp),
    source: formatEndpoint(json.src_ip, json.src_port),
    destination: formatEndpoint(json.dest_ip, json.dest_port),
    transport: json.proto,
    what: `${json.method}: ${json.reason}${client === null ? "" : `, ${client}`}`,
    infoHash: json.info_hash ?? null,
    who: who === null || who === undefined ? null : `${who.name ?? who.id} (${who.source})`,
    banned: (Array.isArray(json.bans) ? json.bans : []).map(({ target }: { target: string }) =>
      target
    ),
  };
}

const RULE = bytesOf(`${"=".repeat(80)}\n`);
const DUMP = bytesOf("\nHex Dump:\n");
const PRINTABLE = bytesOf("\nASCII (printable only):\n");
const NO_BYTES = "(empty)".length;
const ROW_BYTES = 16;
/** `00000000  xx … xx  xx … xx  |` before the printable characters of a row, and `|` and its end behind. */
const ROW_HEAD = 61;
const ROW_TAIL = 2;
const ROW_LENGTH = ROW_HEAD + ROW_BYTES + ROW_TAIL;
/** Where the first byte's digits stand in a row. */
const FIRST_DIGIT = 10;
/** `Timestamp:    ` and its like. */
const LABEL = 14;
/** Header lines behind the rule, in their order. */
const [TIME, , TRANSPORT, SOURCE, DESTINATION, DETECTION, SIZE, LINES] = [0, 1, 2, 3, 4, 5, 6, 7];
/** An entry takes at most so much: 512 bytes shown, a name of 255 characters in words. */
const LONGEST_ENTRY = 16 << 10;

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * Searches whole entries of the text log; returns where the first one begins that is not whole. The
 * printable characters at an entry's end are a stranger's and may look like another entry, so an
 * entry's length is computed from what it shows, and nothing is searched for within it.
 */
function* searchText(
  block: Buffer,
  isLast: boolean,
  complaint: Complaint,
): Generator<FoundEntry, number> {
  const entry = new TextEntry(block);
  for (let at = 0;;) {
    if (!startsAt(block, at, RULE)) {
      at = block.indexOf(RULE, at);
      if (at < 0) return isLast ? block.length : Math.max(0, block.length - RULE.length);
    }
    const isWhole = entry.read(at);
    if (!isWhole && !isLast && block.length - at < LONGEST_ENTRY) return at;
    if (!isWhole) { // torn, or an entry that tells of others that were left out
      at++;
      continue;
    }
    const found = entry.found(complaint);
    if (found !== null && answers(found, complaint)) yield found;
    at = entry.end;
  }
}

function startsAt(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  if (at + text.length > bytes.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** One entry of the text log, read in place. */
class TextEntry {
  readonly #block: Buffer;
  /** Beginnings of the header's lines; the last one is where they end. */
  readonly #lines = new Int32Array(LINES + 1);
  #dump = 0;
  #shown = 0;
  /** Where the entry ends, its empty line left out. */
  end = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  /** False where no whole entry begins at `at`. */
  read(at: number): boolean {
    const block = this.#block;
    let line = at + RULE.length;
    for (let number = 0; number < LINES; number++) {
      this.#lines[number] = line;
      const end = block.indexOf(LINE_END, line);
      if (end < 0 || end - at > LONGEST_ENTRY) return false;
      line = end + 1;
    }
    this.#lines[LINES] = line;
    const size = /^Payload Size: (\d+) bytes(?: \(showing first (\d+) bytes\))?$/.exec(
      block.toString("latin1", this.#lines[SIZE], line - 1),
    );
    if (size === null || !startsAt(block, line, DUMP)) return false;
    this.#shown = Number(size[2] ?? size[1]);
    this.#dump = line + DUMP.length;
    const rest = this.#shown % ROW_BYTES;
    const dumped = this.#shown === 0
      ? NO_BYTES + 1
      : Math.floor(this.#shown / ROW_BYTES) * ROW_LENGTH +
        (rest === 0 ? 0 : ROW_HEAD + rest + ROW_TAIL);
    if (!startsAt(block, this.#dump + dumped, PRINTABLE)) return false;
    this.end = this.#dump + dumped + PRINTABLE.length + (this.#shown || NO_BYTES) + 1;
    return this.end <= block.length;
  }

  /** What it says, null where it cannot be what is looked for; the cheapest question comes first. */
  found(complaint: Complaint): FoundEntry | null {
    const timeMs = new Date(this.#text(TIME).replace(" ", "T")).getTime(); // local, as written
    if (!isInTime(timeMs, complaint)) return null;
    const [source, destination] = [this.#text(SOURCE), this.#text(DESTINATION)];
    const what = this.#text(DETECTION, "utf8");
    const infoHash = this.#infoHash(what, complaint);
    if (complaint.infoHash !== null && infoHash === null) return null;
    const transport = this.#text(TRANSPORT);
    return { timeMs, source, destination, transport, what, infoHash, who: null, banned: [] };
  }

  #text(line: number, encoding: "latin1" | "utf8" = "latin1"): string {
    return this.#block.toString(encoding, this.#lines[line] + LABEL, this.#lines[line + 1] - 1);
  }

  /** The info-hash in the bytes of the entry: the text log has no field for it. */
  #infoHash(what: string, { infoHash: wanted }: Complaint): string | null {
    const method = what.slice(0, what.indexOf(":")) as Method;
    const read = Object.hasOwn(METHOD_ROWS, method) ? METHOD_ROWS[method].infoHash : null;
    if (read === null) return null;
    if (wanted !== null && IN_BYTES.has(method) && !this.#holds(wanted)) return null;
    const bytes = this.#bytes();
    for (const kind of KINDS[method]) {
      const hash = read(bytes, 0, bytes.length, kind);
      if (hash !== null) return hash;
    }
    return null;
  }

  /** Whether the bytes shown hold these, written in hexadecimal. */
  #holds(hex: string): boolean {
    const block = this.#block;
    const [high, low] = [hex.charCodeAt(0), hex.charCodeAt(1)];
    for (let first = 0; first <= this.#shown - hex.length / 2; first++) {
      const at = this.#digits(first);
      if (block[at] !== high || block[at + 1] !== low) continue;
      let same = 1;
      while (same < hex.length / 2) {
        const digits = this.#digits(first + same);
        if (block[digits] !== hex.charCodeAt(same * 2)) break;
        if (block[digits + 1] !== hex.charCodeAt(same * 2 + 1)) break;
        same++;
      }
      if (same === hex.length / 2) return true;
    }
    return false;
  }

  /** Where the two digits of a byte stand. */
  #digits(index: number): number {
    const column = index % ROW_BYTES;
    return this.#dump + (index - column) / ROW_BYTES * ROW_LENGTH + FIRST_DIGIT + column * 3 +
      (column >> 3);
  }

  #bytes(): Uint8Array {
    const block = this.#block;
    const bytes = new Uint8Array(this.#shown);
    for (let index = 0; index < bytes.length; index++) {
      const at = this.#digits(index);
      bytes[index] = digit(block[at]) << 4 | digit(block[at + 1]);
    }
    return bytes;
  }
}

/** Methods whose messages hold an info-hash as its bytes, and not as text. */
const IN_BYTES: ReadonlySet<Method> = new Set([
  "peer-wire",
  "dht",
  "udp-tracker",
  "utp",
  "mse",
]);

function digit(code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x61 + 10;
}

function answers(entry: FoundEntry, complaint: Complaint): boolean {
  const { infoHash, port, address } = complaint;
  if (!isInTime(entry.timeMs, complaint)) return false;
  if (infoHash !== null && entry.infoHash?.startsWith(infoHash) !== true) return false;
  const ends = [entry.source, entry.destination];
  if (port !== null && !ends.some((end) => end.endsWith(`:${port}`))) return false;
  return address === null ||
    ends.some((end) => end.slice(0, end.lastIndexOf(":")).replace(/[[\]]/g, "") === address);
}

/** An info-hash as people write it: 40 or 64 hexadecimal digits, or 32 of base 32; null for no such. */
export function readInfoHash(text: string): string | null {
  const plain = text.replace(/^urn:bt(ih|mh):(1220)?/i, "");
  if (/^([\da-f]{40}|[\da-f]{64})$/i.test(plain)) return plain.slice(0, 40).toLowerCase();
  if (!/^[a-z2-7]{32}$/i.test(plain)) return null;
  let bits = "";
  for (const letter of plain.toUpperCase()) {
    bits += BASE_32.indexOf(letter).toString(2).padStart(5, "0");
  }
  return bits.match(/.{4}/g)!.map((four) => parseInt(four, 2).toString(16)).join("");
}

const BASE_32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** An address as the log writes it, or null. */
export function readAddress(text: string): string | null {
  const words = parseAddress(text);
  return words === null ? null : formatAddress(words, 0);
}
