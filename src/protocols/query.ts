/** The parameters of a request's query (`a=1&b=2`), one after the other. Spec: RFC 3986, section 3.4. */
import type { HttpHead } from "./http.ts";

const HASH = 0x23;
const AMPERSAND = 0x26;
const EQUALS = 0x3d;

/** Keys of a query that are read: announces have a dozen, of a scrape's hashes one is enough. */
const MAX_QUERY_KEYS = 64;

/**
 * Positions of one parameter. A long-lived object that is filled again for each:
 *
 * ```ts
 * for (query.begin(bytes, head); query.next();) if (KEYS.has(bytes, query.key, query.keyLength)) …
 * ```
 */
export class Query {
  key = 0;
  keyLength = 0;
  /** `[value, valueEnd)`, which is empty where no `=` stands behind the key. */
  value = 0;
  valueEnd = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #keys = 0;

  /** Goes before the first parameter of a request's query; before none where it has no query. */
  begin(bytes: Uint8Array, { queryStart, targetEnd }: HttpHead): void {
    this.#bytes = bytes;
    this.#at = queryStart < 0 ? targetEnd : queryStart;
    this.#end = targetEnd;
    this.#keys = 0;
  }

  /** Goes to the next parameter; false behind the last, or where there are more than anybody sends. */
  next(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    if (at >= end || this.#keys === MAX_QUERY_KEYS) return false;
    this.#keys++;
    this.key = at;
    // Most bytes are above those that end a key or a value, which is one comparison.
    while (at < end && (bytes[at] > EQUALS || !endsKey(bytes[at]))) at++;
    this.keyLength = at - this.key;
    if (at < end && bytes[at] === EQUALS) at++;
    this.value = at;
    while (at < end && (bytes[at] > AMPERSAND || !endsValue(bytes[at]))) at++;
    this.valueEnd = at;
    this.#at = at + 1;
    return true;
  }
}

function endsKey(byte: number): boolean {
  return byte === EQUALS || endsValue(byte);
}

function endsValue(byte: number): boolean {
  return byte === AMPERSAND || byte === HASH;
}
