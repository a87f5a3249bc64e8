/** Fields of DHT messages, for the page of an analysis. Spec: BEP 5. */
import { bencodeEntries, type FieldList } from "../field_list.ts";
import type { Match } from "../match.ts";
import { datagramStart } from "../socks/datagram.ts";

const DICTIONARY = 0x64;
/** BEP 5 and its extensions; the rest of the keys is named as it is written. */
const KRPC_NAMES: Readonly<Record<string, string>> = {
  t: "t (transaction id)",
  y: "y (message type)",
  q: "q (query)",
  v: "v (client version)",
  e: "e (error)",
  ip: "ip (BEP 42)",
  ro: "ro (BEP 43)",
};

/** KRPC: the type, the query's name and the node id decide; the rest is named. */
export function dhtFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const at = datagramStart(bytes, (inner) => bytes[inner] === DICTIONARY);
  for (const { start, key, value, end } of bencodeEntries(bytes, at)) {
    if (key === "a" || key === "r") addArguments(list, bytes, key, value);
    else if (key === "y" || key === "q" || key === "e") {
      list.decisive(start, end, KRPC_NAMES[key]);
    } else if (key in KRPC_NAMES) list.named(start, end, KRPC_NAMES[key]);
  }
}

function addArguments(list: FieldList, bytes: Uint8Array, outer: string, dictAt: number): void {
  for (const { start, key, end } of bencodeEntries(bytes, dictAt)) {
    if (key === "id") list.decisive(start, end, `${outer}.id (node id)`);
    else list.named(start, end, `${outer}.${/^[\w.-]{1,24}$/.test(key) ? key : "?"}`);
  }
}
