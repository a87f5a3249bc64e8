/** Fields of peer wire messages, for the page of an analysis. Spec: BEP 3. */
import { u32be } from "../../packet/bytes.ts";
import type { FieldList } from "../field_list.ts";
import type { Match } from "../match.ts";
import {
  CONSISTENT,
  HEADER_LENGTH,
  IMPOSSIBLE,
  judgeMessage,
  LENGTH_PREFIX,
  messageForm,
} from "./message.ts";

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
    at += LENGTH_PREFIX + length;
  }
  return points;
}

const BLOCK_FIELDS = ["index", "begin", "length"];

/** Names the message at `at`; answers where the next begins. */
function addMessage(list: FieldList, bytes: Uint8Array, at: number): number {
  const length = u32be(bytes, at);
  if (length === 0) {
    list.named(at, at + LENGTH_PREFIX, "keep-alive");
    return at + LENGTH_PREFIX;
  }
  const { name, body } = messageForm(bytes[at + LENGTH_PREFIX])!; // pointsFrom() has read it
  const bodyAt = at + HEADER_LENGTH;
  list.decisive(at, bodyAt, `${name}: length ${length}, id ${bytes[at + LENGTH_PREFIX]}`);
  const fields = body === "index" ? 1 : body === "piece" ? 2 : body === "block" ? 3 : 0;
  for (let field = 0; field < fields; field++) {
    const start = bodyAt + field * 4;
    if (start + 4 > bytes.length) break;
    list.decisive(start, start + 4, BLOCK_FIELDS[field], String(u32be(bytes, start)));
  }
  return at + LENGTH_PREFIX + length;
}
