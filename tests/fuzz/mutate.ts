/**
 * Mutations that know a little of what protocols look like: besides bits and bytes they change
 * numbers that are the length of what follows, decimal numbers in text, and put two inputs together.
 */
import type { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Mutation = (input: Bytes, random: Random, others: readonly Bytes[]) => Bytes;

/** No input grows beyond a GSO packet. */
const LONGEST = 65_535;
const INTERESTING = [0, 1, 2, 3, 0x7f, 0x80, 0xff, 0xfe, 0x41, 0x64, 0x65, 0x69, 0x6c, 0x13, 0x0a];

function flipBit(input: Bytes, random: Random): Bytes {
  const copy = input.slice();
  copy[random.below(copy.length)] ^= 1 << random.below(8);
  return copy;
}

function setByte(input: Bytes, random: Random): Bytes {
  const copy = input.slice();
  copy[random.below(copy.length)] = random.chance(3) ? random.word() : random.pick(INTERESTING);
  return copy;
}

function cut(input: Bytes, random: Random): Bytes {
  return input.slice(0, random.below(input.length + 1));
}

function cutFront(input: Bytes, random: Random): Bytes {
  return input.slice(random.below(Math.min(input.length, 64) + 1));
}

function insert(input: Bytes, random: Random): Bytes {
  const at = random.below(input.length + 1);
  return join(input.slice(0, at), random.bytes(1 + random.below(16)), input.slice(at));
}

/** The same bytes many times over: nesting, chains, lists. */
function repeat(input: Bytes, random: Random): Bytes {
  const at = random.below(input.length);
  const piece = input.slice(at, at + 1 + random.below(24));
  const times = 1 << random.below(11);
  const pieces = Array.from({ length: times }, () => piece);
  return join(input.slice(0, at), ...pieces, input.slice(at));
}

function splice(input: Bytes, random: Random, others: readonly Bytes[]): Bytes {
  const other = random.pick(others);
  return join(
    input.slice(0, random.below(input.length + 1)),
    other.slice(random.below(other.length + 1)),
  );
}

/** Overwrites part of the input with part of another, in the same place. */
function graft(input: Bytes, random: Random, others: readonly Bytes[]): Bytes {
  const other = random.pick(others);
  const copy = input.slice();
  const at = random.below(Math.min(copy.length, other.length));
  copy.set(other.subarray(at, Math.min(copy.length, at + 1 + random.below(64))), at);
  return copy;
}

/**
 * A field of two or four bytes, in either byte order, whose value is near the number of bytes behind
 * it (a length, most likely) gets another; where none is found, any place.
 */
function editLength(input: Bytes, random: Random): Bytes {
  const copy = input.slice();
  if (copy.length < 4) return copy;
  const view = new DataView(copy.buffer);
  const start = random.below(copy.length - 3);
  for (let tried = 0; tried < copy.length - 3; tried++) {
    const at = (start + tried) % (copy.length - 3);
    for (const little of [false, true]) {
      const rest = copy.length - at;
      if (Math.abs(view.getUint16(at, little) - rest) < 24) {
        view.setUint16(at, otherLength(rest, random), little);
        return copy;
      }
      if (Math.abs(view.getUint32(at, little) - rest) < 24) {
        view.setUint32(at, otherLength(rest, random), little);
        return copy;
      }
    }
  }
  view.setUint16(start, otherLength(copy.length - start, random), random.chance(2));
  return copy;
}

function otherLength(rest: number, random: Random): number {
  const others = [0, 1, rest - 1, rest + 1, rest - 4, rest * 2, 0xffff, 0x7fff, 0xffff_ffff];
  return Math.max(0, random.pick(others));
}

/** A decimal number (the length of a bencoded string, Content-Length) becomes another. */
function editDecimal(input: Bytes, random: Random): Bytes {
  const start = random.below(input.length);
  for (let tried = 0; tried < input.length; tried++) {
    const at = (start + tried) % input.length;
    if (!isDigit(input[at])) continue;
    let end = at;
    while (isDigit(input[end])) end++;
    const value = Number(new TextDecoder().decode(input.subarray(at, end)));
    const others = [0, value + 1, value - 1, value * 10, 99999999999, 2 ** 31, 2 ** 32, -1];
    const text = new TextEncoder().encode(String(random.pick(others)));
    return join(input.slice(0, at), text, input.slice(end));
  }
  return input.slice();
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

const MUTATIONS: readonly Mutation[] = [
  ...[flipBit, flipBit, setByte, setByte, cut, cutFront, insert, repeat, splice, graft],
  ...[editLength, editLength, editDecimal, editDecimal],
];

/** One to four mutations of a seed. */
export function mutate(seed: Bytes, random: Random, others: readonly Bytes[]): Bytes {
  let result = seed;
  for (let left = 1 + random.below(4); left > 0; left--) {
    if (result.length === 0) return result;
    result = random.pick(MUTATIONS)(result, random, others).slice(0, LONGEST);
  }
  return result;
}

function join(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(Math.min(length, LONGEST));
  let at = 0;
  for (const part of parts) {
    const piece = part.subarray(0, bytes.length - at);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
