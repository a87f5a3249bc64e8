/**
 * Peer wire messages: `u32 length`, `u8 id`, body. Spec: BEP 3 "peer messages", BEP 5, 6, 10, 52.
 * One row an id; {@link judgeMessage} says how much one message proves. A single message proves
 * nothing: chains of them are followed in `engine/message_chain.ts`.
 */

import { u32be } from "../../packet/bytes.ts";

export const REQUEST = 6;
export const PIECE = 7;
export const CANCEL = 8;
export const REJECT = 16;
export const EXTENDED = 20;
export const HASH_REQUEST = 21;
export const HASHES = 22;
export const HASH_REJECT = 23;

/** Bytes of the length prefix, which does not count itself. */
export const LENGTH_PREFIX = 4;
/** Length prefix and id. */
export const HEADER_LENGTH = 5;

/** The usual block, and a multiple of every larger one (BEP 3; clients close on other sizes). */
export const BLOCK = 0x4000;
/** Largest block any client serves, and bound of every variable-length message. */
const MAX_BLOCK = 0x2_0000;
/** No torrent has more pieces: with 16 KiB pieces this is 64 GiB. */
const MAX_INDEX = 1 << 22;
/** Different bytes in a hash: fewer come once in 10^9. */
const MIN_DIFFERENT = 20;
/** Largest piece in use. */
const MAX_PIECE = 1 << 27;

/** What the body holds. */
export type Body = "empty" | "index" | "block" | "piece" | "bytes" | "port" | "extended" | "hashes";

export interface MessageForm {
  readonly id: number;
  readonly name: string;
  /** Values the length prefix may have: id and body. */
  readonly minLength: number;
  readonly maxLength: number;
  readonly body: Body;
  /** BitTorrent Enhancement Proposal. */
  readonly bep: number;
}

function form(
  bep: number,
  id: number,
  name: string,
  body: Body,
  minLength: number,
  maxLength = minLength,
): MessageForm {
  return Object.freeze({ id, name, minLength, maxLength, body, bep });
}

/** Every message of the peer wire. */
export const MESSAGE_FORMS: readonly MessageForm[] = Object.freeze([
  form(3, 0, "choke", "empty", 1),
  form(3, 1, "unchoke", "empty", 1),
  form(3, 2, "interested", "empty", 1),
  form(3, 3, "not interested", "empty", 1),
  form(3, 4, "have", "index", 5),
  form(3, 5, "bitfield", "bytes", 2, 1 + MAX_INDEX / 8),
  form(3, REQUEST, "request", "block", 13),
  form(3, PIECE, "piece", "piece", 10, 9 + MAX_BLOCK),
  form(3, CANCEL, "cancel", "block", 13),
  form(5, 9, "port", "port", 3),
  form(6, 13, "suggest piece", "index", 5),
  form(6, 14, "have all", "empty", 1),
  form(6, 15, "have none", "empty", 1),
  form(6, REJECT, "reject request", "block", 13),
  form(6, 17, "allowed fast", "index", 5),
  form(10, EXTENDED, "extended", "extended", 3, MAX_BLOCK),
  form(52, HASH_REQUEST, "hash request", "hashes", 49),
  form(52, HASHES, "hashes", "hashes", 49 + 32, 49 + 32 * 1024),
  form(52, HASH_REJECT, "hash reject", "hashes", 49),
]);

const FORM_BY_ID: (MessageForm | null)[] = Array.from({ length: 256 }, () => null);
for (const row of MESSAGE_FORMS) FORM_BY_ID[row.id] = row;

/** The row of a message id, or null. */
export function messageForm(id: number): MessageForm | null {
  return FORM_BY_ID[id];
}

/** {@link judgeMessage}: no message of the peer wire. */
export const IMPOSSIBLE = -1;
/** Framing is right, which proves little: a part of a chain at most. */
export const FRAMED = 0;
/** Framing and a piece index that a torrent can have. */
export const INDEXED = 1;
/** Framing and block (or hash) fields that agree with each other. */
export const CONSISTENT = 2;
/** The same and the block is the usual 16 KiB: over 90 bits of constraint, and no other protocol's. */
export const GRID = 3;

/**
 * Judges the message whose length prefix is at `at`. At least {@link HEADER_LENGTH} bytes must be
 * before `end`; fields that `end` cuts do not count for the message, nor against it.
 */
export function judgeMessage(bytes: Uint8Array, at: number, end: number): number {
  const row = FORM_BY_ID[bytes[at + 4]];
  if (row === null) return IMPOSSIBLE;
  const length = u32be(bytes, at);
  if (length < row.minLength || length > row.maxLength) return IMPOSSIBLE;
  const body = at + HEADER_LENGTH;
  switch (row.body) {
    case "empty":
    case "bytes":
    case "extended":
      return FRAMED;
    case "port":
      return end - body < 2 || bytes[body] !== 0 || bytes[body + 1] !== 0 ? FRAMED : IMPOSSIBLE;
    case "index":
      if (end - body < 4) return FRAMED;
      return u32be(bytes, body) < MAX_INDEX ? INDEXED : IMPOSSIBLE;
    case "block":
      if (end - body < 12) return FRAMED;
      return judgeBlock(u32be(bytes, body), u32be(bytes, body + 4), u32be(bytes, body + 8));
    case "piece":
      if (end - body < 8) return FRAMED;
      return judgeBlock(u32be(bytes, body), u32be(bytes, body + 4), length - 9);
    case "hashes":
      if (end - body < 48) return FRAMED;
      return judgeHashes(bytes, body, length);
  }
}

/** Index, begin and length of a block: whole blocks begin at multiples of their usual size. */
function judgeBlock(index: number, begin: number, length: number): number {
  if (index >= MAX_INDEX || begin >= MAX_PIECE || length === 0 || length > MAX_BLOCK) {
    return IMPOSSIBLE;
  }
  if (begin % BLOCK !== 0) return FRAMED;
  return length === BLOCK ? GRID : CONSISTENT;
}

/**
 * BEP 52: pieces root 32, base layer, index, length, proof layers (4 each), then hashes of 32.
 * Layers are those of a binary tree over 16 KiB blocks; `length` is a power of two, 2 to 512.
 */
function judgeHashes(bytes: Uint8Array, body: number, length: number): number {
  const baseLayer = u32be(bytes, body + 32);
  const index = u32be(bytes, body + 36);
  const count = u32be(bytes, body + 40);
  const proofLayers = u32be(bytes, body + 44);
  if (baseLayer > 40 || proofLayers > 40) return IMPOSSIBLE;
  if (count < 2 || count > 512 || (count & (count - 1)) !== 0) return IMPOSSIBLE;
  if (index % count !== 0 || (length - 49) % 32 !== 0) return IMPOSSIBLE;
  return looksHashed(bytes, body) ? CONSISTENT : FRAMED;
}

/** A hash of 32 bytes has 30 different ones on average; records with a name or counters have few. */
function looksHashed(bytes: Uint8Array, at: number): boolean {
  let different = 0;
  for (let i = 0; i < 32; i++) {
    let j = 0;
    while (j < i && bytes[at + j] !== bytes[at + i]) j++;
    if (j === i) different++;
  }
  return different >= MIN_DIFFERENT;
}
