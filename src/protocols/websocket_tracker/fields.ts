/** Fields of WebSocket trackers, for the page of an analysis. Spec: RFC 6455. */
import { type FieldList, latin1 } from "../field_list.ts";
import { HEAD_END, HEADER, HEADER_NAMES } from "../http_tracker/fields.ts";
import type { Match } from "../match.ts";

/** RFC 6455, section 5.2: opcodes. */
const TEXT_OR_BINARY = new Set([1, 2]);
const OPCODE = 0x0f;
const MASK = 0x80;
const MAX_FRAMES = 8;
const JSON_FIELD = /"(info_hash|action|peer_id|offers|offer_id)"\s*:\s*(?:"(?:[^"\\]|\\.)*"?|\[)/g;

/** The JSON of the first message; a client's is masked, so its text is told beside the bytes. */
export function websocketFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const text = latin1(bytes);
  const headEnd = /^[A-Za-z]/.test(text) ? HEAD_END.exec(text) : null;
  for (const { index, 0: line, 1: name } of text.slice(0, headEnd?.index ?? 0).matchAll(HEADER)) {
    list.named(index, index + line.length, HEADER_NAMES[name.toLowerCase()]);
  }
  const frame = findFrame(bytes, headEnd === null ? 0 : headEnd.index + headEnd[0].length);
  if (frame === null) return addJson(list, text, 0, false); // the frame began in another segment
  const { start, data, key } = frame;
  list.named(start, data, key === null ? "frame header" : "frame header and mask");
  const message = key === null
    ? bytes.subarray(data)
    : bytes.subarray(data).map((byte, i) => byte ^ key[i & 3]);
  addJson(list, latin1(message), data, key !== null);
}

function addJson(list: FieldList, text: string, at: number, isMasked: boolean): void {
  for (const { index, 0: field, 1: name } of text.matchAll(JSON_FIELD)) {
    list.decisive(
      at + index,
      at + index + field.length,
      isMasked ? `${name} (masked)` : name,
      isMasked ? field : null,
    );
  }
}

interface Frame {
  start: number;
  /** First byte of the message, and the four bytes that mask it. */
  data: number;
  key: Uint8Array | null;
}

/** The first text or binary frame, behind pings and the like. */
function findFrame(bytes: Uint8Array, at: number): Frame | null {
  for (let n = 0; n < MAX_FRAMES && at + 2 <= bytes.length; n++) {
    const start = at;
    const isMasked = (bytes[at + 1] & MASK) !== 0;
    const short = bytes[at + 1] & ~MASK;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    at += 2;
    let length = lengthBytes === 0 ? short : 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + bytes[at + i];
    const maskAt = at + lengthBytes;
    at = maskAt + (isMasked ? 4 : 0);
    if (!(at <= bytes.length)) return null;
    if (TEXT_OR_BINARY.has(bytes[start] & OPCODE)) {
      return { start, data: at, key: isMasked ? bytes.subarray(maskAt, at) : null };
    }
    at += length;
  }
  return null;
}
