/** Fields of datagrams: DHT, LSD, UDP trackers, uTP, and what SOCKS5 carries of them. */
import { i32be, startsWith } from "../../packet/bytes.ts";
import type { Match } from "../../protocols/match.ts";
import { HANDSHAKE } from "../../protocols/signatures.ts";
import { innerDatagram } from "../../protocols/socks/datagram.ts";
import {
  ACTION_ANNOUNCE,
  ACTION_CONNECT,
  ACTION_ERROR,
  ACTION_SCRAPE,
  ANNOUNCE_LENGTH,
  ANNOUNCE_RESPONSE_LENGTH,
  CONNECT_LENGTH,
  INFO_HASH_LENGTH,
  REQUEST_ACTION,
  REQUEST_HEADER_LENGTH,
  REQUEST_TRANSACTION_ID,
  RESPONSE_ACTION,
  RESPONSE_CONNECTION_ID,
  RESPONSE_HEADER_LENGTH,
  RESPONSE_TRANSACTION_ID,
  SCRAPE_ENTRY_LENGTH,
} from "../../protocols/udp_tracker/detect.ts";
import { UTP_HEADER_LENGTH, utpHeaderEnd } from "../../protocols/utp/detect.ts";
import { bencodeEntries, type FieldList, latin1 } from "../../protocols/field_list.ts";
import { addHandshake } from "./stream_fields.ts";

/** Where the datagram begins that `fits`: in a SOCKS5 header, or at 0. */
function datagramStart(bytes: Uint8Array, fits: (at: number) => boolean): number {
  const inner = innerDatagram(bytes, 0, bytes.length);
  return inner >= 0 && fits(inner) ? inner : 0;
}

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

/** The reason's first word is the action (BEP 15). */
const ACTIONS: Readonly<Record<string, number>> = {
  connect: ACTION_CONNECT,
  announce: ACTION_ANNOUNCE,
  scrape: ACTION_SCRAPE,
  error: ACTION_ERROR,
};

/** BEP 15, by the offsets of its tables. */
export function udpTrackerFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const action = ACTIONS[match.reason.split(" ")[0]];
  const isResponse = match.reason.includes("response");
  const actionAt = isResponse ? RESPONSE_ACTION : REQUEST_ACTION;
  const at = datagramStart(bytes, (inner) => i32be(bytes, inner + actionAt) === action);
  if (isResponse) addTrackerResponse(list, bytes, at, action);
  else addTrackerRequest(list, match, bytes, at, action);
}

function addTrackerRequest(
  list: FieldList,
  match: Match,
  bytes: Uint8Array,
  at: number,
  action: number,
): void {
  const isConnected = match.reason.endsWith("of a connection");
  const add = (isDecisive: boolean, start: number, end: number, name: string) =>
    isDecisive ? list.decisive(at + start, at + end, name) : list.named(at + start, at + end, name);
  if (action === ACTION_CONNECT) add(true, 0, 8, "protocol_id (magic 0x41727101980)");
  else add(isConnected, 0, 8, "connection_id");
  add(true, REQUEST_ACTION, REQUEST_TRANSACTION_ID, `action (${action})`);
  add(false, REQUEST_TRANSACTION_ID, REQUEST_HEADER_LENGTH, "transaction_id");
  if (action === ACTION_CONNECT) return;
  if (action === ACTION_SCRAPE) {
    for (let hash = REQUEST_HEADER_LENGTH; at + hash < bytes.length; hash += INFO_HASH_LENGTH) {
      add(false, hash, hash + INFO_HASH_LENGTH, "info_hash");
    }
    return;
  }
  add(false, 16, 36, "info_hash");
  add(!isConnected, 36, 56, "peer_id");
  add(true, 56, 64, "downloaded");
  add(false, 64, 72, "left");
  add(true, 72, 80, "uploaded");
  add(true, 80, 84, "event");
  add(false, 84, 88, "IP address");
  add(false, 88, 92, "key");
  add(true, 92, 96, "num_want");
  add(true, 96, ANNOUNCE_LENGTH, "port");
}

function addTrackerResponse(
  list: FieldList,
  bytes: Uint8Array,
  at: number,
  action: number,
): void {
  const end = bytes.length;
  list.decisive(at, at + RESPONSE_TRANSACTION_ID, `action (${action})`);
  list.decisive(at + RESPONSE_TRANSACTION_ID, at + RESPONSE_HEADER_LENGTH, "transaction_id");
  switch (action) {
    case ACTION_CONNECT:
      list.named(at + RESPONSE_CONNECTION_ID, at + CONNECT_LENGTH, "connection_id");
      break;
    case ACTION_ANNOUNCE:
      list.named(at + 8, at + 12, "interval");
      list.named(at + 12, at + 16, "leechers");
      list.named(at + 16, at + ANNOUNCE_RESPONSE_LENGTH, "seeders");
      list.named(at + ANNOUNCE_RESPONSE_LENGTH, end, "peers");
      break;
    case ACTION_SCRAPE:
      for (let row = at + RESPONSE_HEADER_LENGTH; row < end; row += SCRAPE_ENTRY_LENGTH) {
        list.named(row, row + SCRAPE_ENTRY_LENGTH, "seeders, completed, leechers");
      }
      break;
    default:
      list.named(at + RESPONSE_HEADER_LENGTH, end, "message");
  }
}

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

/** What `engine/utp_flow.ts` compares with the flow's earlier headers, by the first words. */
const UTP_COMPARED: readonly (readonly [reason: string, names: readonly string[]])[] = [
  ["uTP connection opened", ["connection_id", "ack_nr"]],
  ["uTP SYN followed", ["connection_id", "seq_nr", "timestamp_microseconds"]],
  ["uTP SYN repeated", ["connection_id", "seq_nr", "timestamp_microseconds"]],
  ["uTP headers in both", [
    "connection_id",
    "seq_nr",
    "ack_nr",
    "timestamp_microseconds",
    "timestamp_difference_microseconds",
  ]],
  ["uTP headers agree", ["connection_id", "seq_nr", "ack_nr", "timestamp_microseconds"]],
];

/** The header's fields, and the handshake in its payload where that is the proof. */
export function utpFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const end = bytes.length;
  const at = datagramStart(bytes, (inner) => utpHeaderEnd(bytes, inner, end) >= 0);
  const compared = UTP_COMPARED.find(([reason]) => match.reason.startsWith(reason))?.[1] ?? [];
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
