/** Fields of extension messages, for the page of an analysis. Spec: BEP 10. */
import { u32be } from "../../packet/bytes.ts";
import { bencodeEntries, type FieldList } from "../field_list.ts";
import { isMatch, type Kind, type Match, NEED_MORE } from "../match.ts";
import { EXTENDED, HEADER_LENGTH, LENGTH_PREFIX } from "../peer_wire/message.ts";
import { wordsAt } from "../signatures.ts";
import { detectExtension } from "./detect.ts";

const EXTENDED_PAYLOAD = 6; // BEP 10: u32 length, 20, extended id
const DICTIONARY = 0x64;

/** BEP 10: the message wherever in the segment it begins. */
export function extensionFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const at = findExtension(bytes, match.kind);
  if (at < 0) return;
  const isHandshake = bytes[at + HEADER_LENGTH] === 0;
  list.decisive(at, at + HEADER_LENGTH, "message header (length, id 20: extended)");
  list.named(at + HEADER_LENGTH, at + EXTENDED_PAYLOAD, "extended message id");
  const keys = wordsAt(isHandshake ? "extension handshake key" : "extension message key");
  const entries = bencodeEntries(bytes, at + EXTENDED_PAYLOAD);
  if (entries.length === 0) {
    const end = at + LENGTH_PREFIX + u32be(bytes, at);
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

/** The first message of the kind, else the first that the bytes cut, else -1. */
function findExtension(bytes: Uint8Array, kind: Kind): number {
  let cut = -1;
  for (let at = 0; at + EXTENDED_PAYLOAD < bytes.length; at++) {
    if (bytes[at + LENGTH_PREFIX] !== EXTENDED) continue;
    const answer = detectExtension(bytes, at, bytes.length);
    if (isMatch(answer) && answer.kind === kind) return at;
    const isDictionary = bytes[at + EXTENDED_PAYLOAD] === DICTIONARY;
    if (cut < 0 && answer === NEED_MORE && isDictionary) cut = at;
  }
  return cut;
}
