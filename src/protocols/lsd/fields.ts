/** Fields of local service discovery, for the page of an analysis. Spec: BEP 14. */
import { type FieldList, latin1 } from "../field_list.ts";
import type { Match } from "../match.ts";

const LSD_REQUEST_LINE = /BT-SEARCH \* HTTP\/1\.1/;
const LSD_INFO_HASH = /^infohash:[ \t]*[0-9a-f]{40}/gim;
const LSD_OTHER = /^(host|port|cookie):[^\r\n]*/gim;

/** BEP 14: the request line and every `Infohash` header. */
export function lsdFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const text = latin1(bytes);
  const line = LSD_REQUEST_LINE.exec(text);
  if (line === null) return;
  list.decisive(line.index, line.index + line[0].length, "request line");
  for (const { index, 0: header } of text.matchAll(LSD_INFO_HASH)) {
    list.decisive(index, index + header.length, "Infohash");
  }
  for (const { index, 0: header, 1: name } of text.matchAll(LSD_OTHER)) {
    list.named(index, index + header.length, name);
  }
}
