/** Fields of TCP streams that are no HTTP: the peer wire, its extensions, encryption, SOCKS. */
import { startsWith, u32be } from "../../packet/bytes.ts";
import { detectExtension } from "../../protocols/extension/detect.ts";
import { isMatch, type Match, NEED_MORE } from "../../protocols/match.ts";
import { findHandshake } from "../../protocols/mse/detect.ts";
import {
  CONSISTENT,
  EXTENDED,
  HEADER_LENGTH,
  IMPOSSIBLE,
  judgeMessage,
  messageForm,
  PREFIX_LENGTH,
} from "../../protocols/peer_wire/message.ts";
import {
  HANDSHAKE_LENGTH,
  INFO_HASH,
  PEER_ID,
  RESERVED,
} from "../../protocols/peer_wire/detect.ts";
import { negotiationLength } from "../../protocols/socks/negotiation.ts";
import { HANDSHAKE, wordsAt } from "../../protocols/signatures.ts";
import { bencodeEntries, type FieldList } from "../../protocols/field_list.ts";

const PROTOCOL_NAME = "protocol name (BEP 3: pstr)";

/** Where the tunnelled stream begins: behind proxy negotiations of either side, else 0. */
export function tunnelStart(bytes: Uint8Array): number {
  const end = bytes.length;
  let at = 0;
  for (;;) {
    const negotiation = Math.max(
      negotiationLength(bytes, at, end, true),
      negotiationLength(bytes, at, end, false),
    );
    if (negotiation <= 0 || at + negotiation >= end) return at;
    at += negotiation;
  }
}

/** BEP 3: the handshake at the beginning, or the part of it that this segment brought. */
export function handshakeFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const at = tunnelStart(bytes);
  if (startsWith(bytes, at, bytes.length, HANDSHAKE)) return addHandshake(list, at);
  // The segments before it brought the first bytes, or a copy of this one brought others.
  for (let begun = 0; begun < HANDSHAKE.length; begun++) {
    const length = Math.min(HANDSHAKE.length - begun, bytes.length);
    if (startsWith(bytes, 0, bytes.length, HANDSHAKE.subarray(begun, begun + length))) {
      return addHandshake(list, -begun);
    }
  }
}

/** All of a handshake that begins at `at`, which may be before the payload. */
export function addHandshake(list: FieldList, at: number): void {
  list.decisive(at, at + HANDSHAKE.length, PROTOCOL_NAME);
  list.named(at + RESERVED, at + INFO_HASH, "extension bits (reserved)");
  list.named(at + INFO_HASH, at + PEER_ID, "info_hash");
  list.named(at + PEER_ID, at + HANDSHAKE_LENGTH, "peer_id");
}

const EXTENDED_PAYLOAD = 6; // BEP 10: u32 length, 20, extended id
const DICTIONARY = 0x64;

/** BEP 10: the message wherever in the segment it begins. */
export function extensionFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const at = findExtension(bytes, match.reason);
  if (at < 0) return;
  const isHandshake = bytes[at + HEADER_LENGTH] === 0;
  list.decisive(at, at + HEADER_LENGTH, "message header (length, id 20: extended)");
  list.named(at + HEADER_LENGTH, at + EXTENDED_PAYLOAD, "extended message id");
  const keys = wordsAt(isHandshake ? "extension handshake key" : "extension message key");
  const entries = bencodeEntries(bytes, at + EXTENDED_PAYLOAD);
  if (entries.length === 0) {
    const end = at + PREFIX_LENGTH + u32be(bytes, at);
    list.decisive(at + EXTENDED_PAYLOAD, end, match.reason);
    return;
  }
  for (const { start, key, value, end } of entries) {
    if (isHandshake && key === "m") addExtensionNames(list, bytes, value);
    else if (!keys.includes(key)) continue;
    else if (isHandshake) list.named(start, end, key);
    else list.decisive(start, end, key);
  }
}

function addExtensionNames(list: FieldList, bytes: Uint8Array, dictAt: number): void {
  const names = wordsAt("extension name");
  for (const { start, key, end } of bencodeEntries(bytes, dictAt)) {
    if (names.includes(key)) list.decisive(start, end, `m.${key}`);
  }
}

/** The first message that says `reason`, else the first that the bytes cut, else -1. */
function findExtension(bytes: Uint8Array, reason: string): number {
  let cut = -1;
  for (let at = 0; at + EXTENDED_PAYLOAD < bytes.length; at++) {
    if (bytes[at + PREFIX_LENGTH] !== EXTENDED) continue;
    const answer = detectExtension(bytes, at, bytes.length);
    if (isMatch(answer) && answer.reason === reason) return at;
    const isDictionary = bytes[at + EXTENDED_PAYLOAD] === DICTIONARY;
    if (cut < 0 && answer === NEED_MORE && isDictionary) cut = at;
  }
  return cut;
}

/** A chain of messages, from the first place from which it holds. */
export function chainFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  for (let at = 0; at + HEADER_LENGTH <= bytes.length; at++) {
    // A segment often begins with a message; elsewhere one message might be chance.
    if (pointsFrom(bytes, at) < (at === 0 ? 1 : CONSISTENT)) continue;
    for (let next = at; next + HEADER_LENGTH <= bytes.length;) next = addMessage(list, bytes, next);
    return;
  }
}

/** Points of the messages from `at` to the end of the bytes, 0 when one of them is impossible. */
function pointsFrom(bytes: Uint8Array, at: number): number {
  let points = 0;
  let isFirst = true;
  while (at + HEADER_LENGTH <= bytes.length) {
    const length = u32be(bytes, at);
    if (length === 0) {
      if (isFirst) return 0; // zeros are everywhere
    } else {
      const verdict = judgeMessage(bytes, at, bytes.length);
      if (verdict === IMPOSSIBLE) return 0;
      points += Math.max(1, verdict);
    }
    isFirst = false;
    at += PREFIX_LENGTH + length;
  }
  return points;
}

const BLOCK_FIELDS = ["index", "begin", "length"];

/** Names the message at `at`; answers where the next begins. */
function addMessage(list: FieldList, bytes: Uint8Array, at: number): number {
  const length = u32be(bytes, at);
  if (length === 0) {
    list.named(at, at + PREFIX_LENGTH, "keep-alive");
    return at + PREFIX_LENGTH;
  }
  const { name, body } = messageForm(bytes[at + PREFIX_LENGTH])!; // pointsFrom() has read it
  const bodyAt = at + HEADER_LENGTH;
  list.decisive(at, bodyAt, `${name}: length ${length}, id ${bytes[at + PREFIX_LENGTH]}`);
  const fields = body === "index" ? 1 : body === "piece" ? 2 : body === "block" ? 3 : 0;
  for (let field = 0; field < fields; field++) {
    const start = bodyAt + field * 4;
    if (start + 4 > bytes.length) break;
    list.decisive(start, start + 4, BLOCK_FIELDS[field], String(u32be(bytes, start)));
  }
  return at + PREFIX_LENGTH + length;
}

/** MSE and random bytes; with plaintext selected the handshake stands somewhere behind. */
export function encryptedFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  if (match.strength === "proof") {
    const at = findHandshake(bytes, 0, bytes.length);
    if (at >= 0) addHandshake(list, at);
    return;
  }
  list.named(0, bytes.length, "random bytes");
}

const SOCKS4 = 4;
const SOCKS5 = 5;
/** Address types of SOCKS5 and the bytes of an address and a port: RFC 1928, section 5. */
const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { 1: 6, 4: 18 };
const ADDRESS_NAME = 3;

/** RFC 1928, section 4, and SOCKS4; greeting and request often come in two segments. */
export function socksFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const name = bytes[0] === SOCKS4 ? "SOCKS4" : "SOCKS5";
  if (bytes[0] === SOCKS4) {
    list.decisive(0, 2, "SOCKS4: version, command");
    list.decisive(2, 4, "port");
    list.decisive(4, 8, "address");
    const text = (at: number) => (bytes.indexOf(0, at) + 1) || bytes.length; // up to its NUL
    list.named(8, text(8), "user id");
    if (bytes[4] === 0 && bytes[5] === 0) list.named(text(8), text(text(8)), "name (SOCKS4a)");
    return;
  }
  if (bytes[0] !== SOCKS5) return;
  const type = bytes[3];
  const length = type === ADDRESS_NAME ? 1 + bytes[4] + 2 : ADDRESS_LENGTHS[type];
  if (bytes[2] === 0 && length !== undefined && 4 + length <= bytes.length) {
    list.decisive(0, 3, "SOCKS5: version, command or reply, reserved");
    list.decisive(3, 4, "address type");
    list.decisive(4, 4 + length - 2, "address");
    list.decisive(4 + length - 2, 4 + length, "port");
    return;
  }
  const whole = Math.max(
    negotiationLength(bytes, 0, bytes.length, true),
    negotiationLength(bytes, 0, bytes.length, false),
  );
  list.decisive(0, whole > 0 ? whole : bytes.length, `${name}: negotiation`);
}
