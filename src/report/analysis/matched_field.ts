/**
 * Where in a payload the thing stands that was detected. Detectors answer with shared constants and
 * say no position, since a packet must allocate nothing; here, after a detection, there is time to
 * look again. What is found is for people who judge a detection: it decides nothing.
 */
import { FieldList, type MatchedField } from "../../protocols/field_list.ts";
import { FIELD_READERS } from "../../protocols/fields.ts";
import type { Match } from "../../protocols/match.ts";

export type { MatchedField } from "../../protocols/field_list.ts";

/** What {@link matchedFields} answers. */
export interface MatchedFields {
  /** Sorted by start, without overlaps; all inside the payload. */
  readonly fields: readonly MatchedField[];
  /** What a reader has to know besides, or null. */
  readonly note: string | null;
}

const NOT_HERE =
  "What matched is not in the bytes kept: it began in an earlier packet of the flow, " +
  "or stands further on.";
const ENCRYPTED =
  "Nothing in it can be matched: it looks random. The decision rests on the order, " +
  "lengths and randomness of the flow's messages and on what else the host does.";
const RANDOM = "Nothing in it can be matched: it looks random, on a port of no known protocol. " +
  "The strict policy drops that.";
const CHAIN = "One message proves nothing: several in a row ended exactly where the next began, " +
  "perhaps from earlier segments on.";
const UTP =
  "One header proves nothing: these fields continue those of the flow's earlier datagrams.";
const ANSWER = "It repeats the transaction id of a request that went the other way.";
const REQUEST = "It carries the connection id that the tracker gave in an earlier datagram.";

/**
 * The fields of `match` in `payload`, the deciding packet's (or its first 512 bytes). Never throws,
 * whatever the payload; answers without a decisive field where that one stands in other packets.
 */
export function matchedFields(match: Match, payload: Uint8Array): MatchedFields {
  const list = new FieldList(payload.length);
  FIELD_READERS[match.method](list, match, payload);
  const { fields } = list;
  return { fields, note: noteOf(match, fields) };
}

function noteOf({ method, kind, strength }: Match, fields: readonly MatchedField[]) {
  if (method === "entropy") return RANDOM;
  if (method === "mse" && strength !== "proof") return ENCRYPTED;
  if (!fields.some(({ isDecisive }) => isDecisive)) return NOT_HERE;
  if (method === "mid-stream" || method === "fast") return CHAIN;
  if (method === "utp" && strength !== "proof") return UTP;
  if (method === "udp-tracker" && kind.endsWith("-response")) return ANSWER;
  if (method === "udp-tracker" && (kind === "announce" || kind === "scrape")) return REQUEST;
  return null;
}
