/**
 * Sets of byte strings, asked without creating a string: the form in which detectors use the rows
 * of the signature table.
 */

import { ascii } from "../packet/bytes.ts";

const CASE_BIT = 0x20;

/** The ASCII letter `byte` in lower case; every other byte unchanged. */
export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | CASE_BIT : byte;
}

/** Exact words, grouped by length. */
export class WordSet {
  readonly #byLength: { word: Uint8Array; index: number }[][] = [];

  constructor(words: readonly string[]) {
    words.forEach((text, index) => {
      const word = ascii(text);
      for (let n = this.#byLength.length; n <= word.length; n++) this.#byLength[n] = [];
      this.#byLength[word.length].push({ word, index });
    });
  }

  /** Index of the word that is `length` bytes at `at` (all inside the payload), or -1. */
  indexOf(bytes: Uint8Array, at: number, length: number): number {
    if (length < 0 || length >= this.#byLength.length) return -1;
    const row = this.#byLength[length];
    for (let n = 0; n < row.length; n++) {
      const word = row[n].word;
      let i = 0;
      while (i < length && bytes[at + i] === word[i]) i++;
      if (i === length) return row[n].index;
    }
    return -1;
  }

  /** Whether the `length` bytes at `at` are one of the words. */
  has(bytes: Uint8Array, at: number, length: number): boolean {
    return this.indexOf(bytes, at, length) >= 0;
  }
}

const NO_WORDS: { word: Uint8Array; index: number }[] = [];

/** Prefixes compared without regard to ASCII case, grouped by first letter; the longest wins. */
export class PrefixSet {
  readonly #byFirst: { word: Uint8Array; index: number }[][] = new Array(256).fill(NO_WORDS);

  constructor(words: readonly string[]) {
    words.forEach((text, index) => {
      const word = ascii(text).map(lowerCase);
      const row = [...this.#byFirst[word[0]], { word, index }];
      this.#byFirst[word[0]] = row.sort((a, b) => b.word.length - a.word.length);
    });
  }

  /** Index of the longest prefix that stands at `at` and ends at or before `end`, or -1. */
  indexOf(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) return -1;
    const row = this.#byFirst[lowerCase(bytes[at])];
    for (let n = 0; n < row.length; n++) {
      const word = row[n].word;
      const last = word.length - 1;
      // Names of headers end with a colon, which few others have in the same place.
      if (end - at <= last || lowerCase(bytes[at + last]) !== word[last]) continue;
      let i = 1;
      while (i < last && lowerCase(bytes[at + i]) === word[i]) i++;
      if (i >= last) return row[n].index;
    }
    return -1;
  }
}
