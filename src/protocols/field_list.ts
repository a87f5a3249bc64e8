/** Named ranges of a payload, as they are gathered by those who know a protocol. */
import { skipElement, stringLength, stringStart } from "./bencode.ts";

/** A part of the payload that has a name in a specification. */
export interface MatchedField {
  /** Bytes `[start, end)` of the payload. */
  readonly start: number;
  readonly end: number;
  /** The specification's name for it. */
  readonly name: string;
  /** Whether the detector asked about it; false: named only so that the dump can be read. */
  readonly isDecisive: boolean;
  /** What it says, where the bytes do not show it (a masked WebSocket frame); else null. */
  readonly value: string | null;
}

/** Fields shown of one payload; a chain of small messages has more, and says nothing new in them. */
const MAX_FIELDS = 64;

/** Gathers fields; what is out of the payload, empty, or on top of another is left out. */
export class FieldList {
  readonly #length: number;
  #fields: MatchedField[] = [];

  /** @param length bytes of the payload */
  constructor(length: number) {
    this.#length = length;
  }

  /** What the detector asked about. An `end` behind the payload is moved to its end. */
  decisive(start: number, end: number, name: string, value: string | null = null): void {
    this.#add({ start, end, name, isDecisive: true, value });
  }

  /** What stands beside it. */
  named(start: number, end: number, name: string, value: string | null = null): void {
    this.#add({ start, end, name, isDecisive: false, value });
  }

  /** Sorted by start, without overlaps. */
  get fields(): readonly MatchedField[] {
    return this.#fields;
  }

  #add(field: MatchedField): void {
    const start = Math.max(0, field.start);
    const end = Math.min(this.#length, field.end);
    if (!(start < end) || this.#fields.length >= MAX_FIELDS) return; // NaN too
    if (this.#fields.some((one) => start < one.end && one.start < end)) return;
    this.#fields.push({ ...field, start, end });
    this.#fields.sort((a, b) => a.start - b.start);
  }
}

/** One byte per character, so that positions in the text are positions in the bytes. */
export function latin1(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  return Array.from(bytes.subarray(start, end), (byte) => String.fromCharCode(byte)).join("");
}

const DICTIONARY = 0x64;
const END = 0x65;

/** A key of a bencoded dictionary with its value. */
export interface BencodeEntry {
  /** First byte of the key's length, `1:q`. */
  start: number;
  key: string;
  /** First byte of the value. */
  value: number;
  /** End of the value, or of the bytes where they cut it. */
  end: number;
}

/** The entries of the dictionary at `at`, as far as the bytes go; none where there is none. */
export function bencodeEntries(bytes: Uint8Array, at: number): BencodeEntry[] {
  const entries: BencodeEntry[] = [];
  const end = bytes.length;
  if (!(at >= 0) || bytes[at] !== DICTIONARY) return entries;
  at++;
  while (at < end && bytes[at] !== END) {
    const key = stringStart(bytes, at, end);
    if (key < 0) break;
    const value = key + stringLength(bytes, at, end);
    const next = skipElement(bytes, value, end);
    entries.push({
      start: at,
      key: latin1(bytes, key, value),
      value,
      end: next < 0 ? end : next,
    });
    if (next < 0) break;
    at = next;
  }
  return entries;
}
