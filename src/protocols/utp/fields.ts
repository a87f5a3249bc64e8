/** Fields of uTP headers, for the page of an analysis. Spec: BEP 29. */
import { startsWith } from "../../packet/bytes.ts";
import type { FieldList } from "../field_list.ts";
import type { Kind, Match } from "../match.ts";
import { addHandshake } from "../peer_wire/fields.ts";
import { HANDSHAKE } from "../signatures.ts";
import { datagramStart } from "../socks/datagram.ts";
import { UTP_HEADER_LENGTH, utpHeaderEnd } from "./detect.ts";

/** BEP 29, header format: name and offset; each ends where the next begins. */
const UTP_FIELDS = [
  ["type, version", 0],
  ["extension", 1],
  ["connection_id", 2],
  ["timestamp_microseconds", 4],
  ["timestamp_difference_microseconds", 8],
  ["wnd_size", 12],
  ["seq_nr", 16],
  ["ack_nr", 18],
] as const;

/** What `engine/utp_flow.ts` compares with the flow's earlier headers, by kind. */
const COMPARED: Readonly<Record<Kind<"utp">, readonly string[]>> = {
  handshake: [],
  message: [],
  opened: ["connection_id", "ack_nr"],
  continued: ["connection_id", "seq_nr", "timestamp_microseconds"],
  repeated: ["connection_id", "seq_nr", "timestamp_microseconds"],
  "two-way": [
    "connection_id",
    "seq_nr",
    "ack_nr",
    "timestamp_microseconds",
    "timestamp_difference_microseconds",
  ],
  "one-way": ["connection_id", "seq_nr", "ack_nr", "timestamp_microseconds"],
  syn: [],
  header: [],
};

/** The header's fields, and the handshake in its payload where that is the proof. */
export function utpFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const end = bytes.length;
  const at = datagramStart(bytes, (inner) => utpHeaderEnd(bytes, inner, end) >= 0);
  const compared = COMPARED[match.kind as Kind<"utp">];
  UTP_FIELDS.forEach(([name, offset], index) => {
    const after = UTP_FIELDS[index + 1]?.[1] ?? UTP_HEADER_LENGTH;
    if (index === 0 || compared.includes(name)) list.decisive(at + offset, at + after, name);
    else list.named(at + offset, at + after, name);
  });
  if (match.strength !== "proof") return;
  const payload = utpHeaderEnd(bytes, at, end);
  if (payload >= 0 && startsWith(bytes, payload, end, HANDSHAKE)) {
    addHandshake(list, payload);
  }
}
