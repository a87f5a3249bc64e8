/** Bencoding of the values a torrent file and a tracker answer are made of (BEP 3). */

export type Bencodable =
  | number
  | string
  | Uint8Array
  | readonly Bencodable[]
  | { readonly [key: string]: Bencodable | undefined };

/** Bencoded bytes; keys are sorted, a key with the value `undefined` is left out. */
export function bencode(value: Bencodable): Uint8Array {
  const parts: Uint8Array[] = [];
  append(parts, value);
  return concat(parts);
}

/** One array of all bytes. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function append(parts: Uint8Array[], value: Bencodable): void {
  if (typeof value === "number") {
    parts.push(text(`i${value}e`));
  } else if (typeof value === "string") {
    append(parts, text(value));
  } else if (value instanceof Uint8Array) {
    parts.push(text(`${value.length}:`), value);
  } else if (isList(value)) {
    parts.push(text("l"));
    for (const item of value) append(parts, item);
    parts.push(text("e"));
  } else {
    parts.push(text("d"));
    for (const key of Object.keys(value).sort()) {
      const item = value[key];
      if (item === undefined) continue;
      append(parts, key);
      append(parts, item);
    }
    parts.push(text("e"));
  }
}

function isList(value: Bencodable): value is readonly Bencodable[] {
  return Array.isArray(value);
}

const encoder = new TextEncoder();

function text(value: string): Uint8Array {
  return encoder.encode(value);
}
