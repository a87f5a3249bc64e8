/**
 * Extension protocol messages. Spec: BEP 10; PEX BEP 11, metadata BEP 9, holepunch BEP 55,
 * lt_donthave BEP 54, upload_only BEP 21.
 *
 *     u32 length, u8 20, u8 extended id, payload
 *
 * Extended id 0 is the handshake; the other ids are agreed in it, so that a message without its
 * handshake is recognised by its payload alone.
 */

import { u16be, u32be } from "../../packet/bytes.ts";
import { integerAt, skipElement, stringLength, stringStart } from "../bencode.ts";
import { match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { EXTENDED, messageForm } from "../peer_wire/message.ts";
import { wordsAt } from "../signatures.ts";
import { PrefixSet, WordSet } from "../word_set.ts";

const HANDSHAKE_KNOWN = match("extension", "handshake", "proof", "extension handshake");
/** Every key known and the dictionary ends with its message, but no extension is named. */
const HANDSHAKE_BARE = match(
  "extension",
  "bare-handshake",
  "strong",
  "extension handshake without extensions",
);
const PEX = match("extension", "pex", "proof", "peer exchange (ut_pex)");
const METADATA = match("extension", "metadata", "proof", "metadata exchange (ut_metadata)");
const COMMENT = match("extension", "comment", "strong", "comment exchange (ut_comment)");
const TRACKERS = match("extension", "trackers", "strong", "tracker exchange (lt_tex)");
/** A few fixed bytes each: other length-prefixed protocols have the like. */
const HOLEPUNCH = match("extension", "holepunch", "hint", "ut_holepunch");
const DONT_HAVE = match("extension", "dont-have", "hint", "lt_donthave");
const STATUS = match("extension", "status", "hint", "upload_only or share_mode");

const NAMES = new WordSet(wordsAt("extension name"));
const HANDSHAKE_KEYS = new WordSet(wordsAt("extension handshake key"));
const MESSAGE_KEYS = new WordSet(wordsAt("extension message key"));
const KEY_INDEX = new Map(wordsAt("extension message key").map((word, index) => [word, index]));
const ADDED = KEY_INDEX.get("added")!;
const ADDED_FLAGS = KEY_INDEX.get("added.f")!;
const ADDED6 = KEY_INDEX.get("added6")!;
const ADDED6_FLAGS = KEY_INDEX.get("added6.f")!;
const DROPPED = KEY_INDEX.get("dropped")!;
const DROPPED6 = KEY_INDEX.get("dropped6")!;
const MESSAGE_TYPE = KEY_INDEX.get("msg_type")!;
const PIECE = KEY_INDEX.get("piece")!;
const TOTAL_SIZE = KEY_INDEX.get("total_size")!;
const M = new WordSet(["m"]);
const URL_SCHEMES = new PrefixSet(["http://", "https://", "udp://", "wss://"]);

/** Bytes before the payload. */
const PAYLOAD = 6;
const ENDPOINT = 6; // compact IPv4 address and port
const ENDPOINT6 = 18;
const METADATA_BLOCK = 0x4000;
const METADATA_DATA = 1; // msg_type of the message that carries a block
/** Ids are handed out from 1; where the payload says little, a large one says no. */
const MAX_BINARY_ID = 32;
const FORM = messageForm(EXTENDED)!;
const DICTIONARY = 0x64;
const LIST = 0x6c;
const END = 0x65;

/**
 * Looks for an extension message at `start`, which must be a message boundary (the byte after a
 * peer wire handshake or another message, or the beginning of a segment).
 */
export function detectExtension(bytes: Uint8Array, start: number, end: number): StreamAnswer {
  // Cheap gate: the two high bytes of the length, and the id where it is there already.
  if (start >= end || bytes[start] !== 0) return null;
  const available = end - start;
  if (available > 1 && bytes[start + 1] > FORM.maxLength >>> 16) return null;
  if (available <= 4) return NEED_MORE;
  if (bytes[start + 4] !== EXTENDED) return null;
  const length = u32be(bytes, start);
  if (length < FORM.minLength || length > FORM.maxLength) return null;
  if (available < PAYLOAD) return NEED_MORE;
  const id = bytes[start + 5];
  const at = start + PAYLOAD;
  const messageEnd = start + 4 + length;
  if (id === 0) return detectHandshake(bytes, at, end, messageEnd);
  if (at >= end) return NEED_MORE;
  if (bytes[at] === DICTIONARY) return detectDictionary(bytes, at, end, messageEnd);
  return id > MAX_BINARY_ID ? null : detectBinary(bytes, at, end, messageEnd);
}

/** A dictionary with `m`; matches before its end once a name in `m` is a known one. */
function detectHandshake(
  bytes: Uint8Array,
  dictAt: number,
  end: number,
  messageEnd: number,
): StreamAnswer {
  const limit = Math.min(end, messageEnd);
  const unfinished = messageEnd > end ? NEED_MORE : null;
  if (dictAt >= limit) return unfinished;
  if (bytes[dictAt] !== DICTIONARY) return null;
  let known = 0;
  let hasM = false;
  let at = dictAt + 1;
  while (at < limit && bytes[at] !== END) {
    const key = stringStart(bytes, at, limit);
    if (key < 0) return unfinished;
    const keyLength = stringLength(bytes, at, limit);
    const value = key + keyLength;
    if (HANDSHAKE_KEYS.has(bytes, key, keyLength)) known++;
    if (M.has(bytes, key, keyLength) && value < limit) {
      if (bytes[value] !== DICTIONARY) return null;
      if (hasKnownName(bytes, value, limit)) return HANDSHAKE_KNOWN;
      hasM = true;
    }
    at = skipElement(bytes, value, limit);
    if (at < 0) return unfinished;
  }
  if (at >= limit) return unfinished;
  // `m` may be empty (uTorrent 1.6 sends that): then everything else has to fit.
  return hasM && known >= 3 && at + 1 === messageEnd ? HANDSHAKE_BARE : null;
}

/** Whether the dictionary at `dictAt` maps a known extension name to a one-byte id. */
function hasKnownName(bytes: Uint8Array, dictAt: number, limit: number): boolean {
  let at = dictAt + 1;
  while (at < limit && bytes[at] !== END) {
    const key = stringStart(bytes, at, limit);
    if (key < 0) return false;
    const keyLength = stringLength(bytes, at, limit);
    const id = integerAt(bytes, key + keyLength, limit);
    if (id >= 0 && id <= 255 && NAMES.has(bytes, key, keyLength)) return true;
    at = skipElement(bytes, key + keyLength, limit);
    if (at < 0) return false;
  }
  return false;
}

/** PEX, metadata, comments and tracker exchange: told apart by their keys. */
function detectDictionary(
  bytes: Uint8Array,
  dictAt: number,
  end: number,
  messageEnd: number,
): StreamAnswer {
  const limit = Math.min(end, messageEnd);
  const unfinished = messageEnd > end ? NEED_MORE : null;
  let seen = 0; // bit set of MESSAGE_KEYS
  let messageType = -1;
  let addedCount = -1; // peers named by the last added or added6
  let flagsAgree = false;
  let urls = false;
  let at = dictAt + 1;
  while (at < limit && bytes[at] !== END) {
    const key = stringStart(bytes, at, limit);
    if (key < 0) return unfinished;
    const keyLength = stringLength(bytes, at, limit);
    const value = key + keyLength;
    const index = MESSAGE_KEYS.indexOf(bytes, key, keyLength);
    if (index < 0) return null; // no message of these has other keys
    const next = skipElement(bytes, value, limit);
    if (next < 0) return unfinished;
    seen |= 1 << index;
    switch (index) {
      case ADDED:
        if (bytes[value] === LIST) {
          if (!isUrlList(bytes, value, limit)) return null;
          urls = true;
          break;
        } // falls through
      case DROPPED:
        addedCount = stringLength(bytes, value, limit) / ENDPOINT;
        if (!isCount(addedCount)) return null;
        break;
      case ADDED6:
      case DROPPED6:
        addedCount = stringLength(bytes, value, limit) / ENDPOINT6;
        if (!isCount(addedCount)) return null;
        break;
      case ADDED_FLAGS:
      case ADDED6_FLAGS:
        if (stringLength(bytes, value, limit) !== addedCount) return null;
        if (addedCount > 0) flagsAgree = true;
        break;
      case MESSAGE_TYPE:
        messageType = integerAt(bytes, value, limit);
        if (!(messageType >= 0 && messageType <= 2)) return null;
        break;
      case PIECE:
      case TOTAL_SIZE:
        if (!(integerAt(bytes, value, limit) >= 0)) return null;
        break;
    }
    at = next;
    // 48 bits and more already: two names of the protocol with values that agree.
    if (flagsAgree) return PEX;
    if (messageType >= 0 && (seen & (1 << PIECE)) !== 0) {
      return metadataEnds(bytes, at, limit, messageEnd, messageType) ? METADATA : unfinished;
    }
  }
  if (at >= limit) return unfinished;
  const ends = at + 1 === messageEnd;
  if (!ends || seen === 0) return null;
  if (urls) return TRACKERS;
  if (messageType >= 0) return (seen & ~(1 << MESSAGE_TYPE)) !== 0 ? COMMENT : null;
  return addedCount >= 0 ? PEX : null;
}

/** The rest of a metadata message: `total_size` and the block for data, nothing otherwise. */
function metadataEnds(
  bytes: Uint8Array,
  at: number,
  limit: number,
  messageEnd: number,
  messageType: number,
): boolean {
  if (messageType === METADATA_DATA) return messageEnd - at <= METADATA_BLOCK + 64;
  // A request or a reject; some clients send `total_size` along.
  while (at < limit && bytes[at] !== END) {
    const key = stringStart(bytes, at, limit);
    if (key < 0) return false;
    at = skipElement(bytes, key + stringLength(bytes, at, limit), limit);
    if (at < 0) return false;
  }
  return at < limit && at + 1 === messageEnd;
}

/** holepunch, lt_donthave, upload_only, share_mode: fixed layouts that fill their message. */
function detectBinary(
  bytes: Uint8Array,
  at: number,
  end: number,
  messageEnd: number,
): StreamAnswer {
  const length = messageEnd - at;
  if (length > 24) return null;
  if (messageEnd > end) return NEED_MORE;
  if (length === 1) return bytes[at] <= 1 ? STATUS : null;
  if (length === 4) return bytes[at] === 0 ? DONT_HAVE : null;
  // msg_type u8, addr_type u8, address, port u16, and in an error (2) err_code u32.
  const type = bytes[at];
  const addressType = bytes[at + 1];
  if (type > 2 || addressType > 1) return null;
  const port = at + 2 + (addressType === 0 ? 4 : 16);
  const expected = port + 2 - at;
  if (length !== expected && length !== expected + 4) return null;
  if (u16be(bytes, port) === 0) return null;
  if (length === expected) return type === 2 ? null : HOLEPUNCH;
  const error = u32be(bytes, port + 2);
  return (type === 2 ? error >= 1 && error <= 4 : error === 0) ? HOLEPUNCH : null;
}

/** BEP 28: a list of announce URLs. */
function isUrlList(bytes: Uint8Array, listAt: number, limit: number): boolean {
  let at = listAt + 1;
  let count = 0;
  while (at < limit && bytes[at] !== END) {
    const url = stringStart(bytes, at, limit);
    if (url < 0) return false;
    const after = url + stringLength(bytes, at, limit);
    if (URL_SCHEMES.indexOf(bytes, url, after) < 0) return false;
    count++;
    at = after;
  }
  return count > 0;
}

function isCount(value: number): boolean {
  return value >= 0 && Number.isInteger(value);
}
