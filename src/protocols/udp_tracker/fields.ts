/** Fields of UDP tracker messages, for the page of an analysis. Spec: BEP 15. */
import { i32be } from "../../packet/bytes.ts";
import type { FieldList } from "../field_list.ts";
import { INFO_HASH_LENGTH } from "../info_hash.ts";
import type { Kind, Match } from "../match.ts";
import { datagramStart } from "../socks/datagram.ts";
import {
  ACTION_ANNOUNCE,
  ACTION_CONNECT,
  ACTION_ERROR,
  ACTION_SCRAPE,
  ANNOUNCE_LENGTH,
  ANNOUNCE_RESPONSE_LENGTH,
  CONNECT_LENGTH,
  REQUEST_ACTION,
  REQUEST_HEADER_LENGTH,
  REQUEST_TRANSACTION_ID,
  RESPONSE_ACTION,
  RESPONSE_CONNECTION_ID,
  RESPONSE_HEADER_LENGTH,
  RESPONSE_TRANSACTION_ID,
  SCRAPE_ENTRY_LENGTH,
} from "./detect.ts";

/** A kind's action (BEP 15). */
const ACTIONS: Readonly<Record<Kind<"udp-tracker">, number>> = {
  connect: ACTION_CONNECT,
  announce: ACTION_ANNOUNCE,
  "announce-by-peer-id": ACTION_ANNOUNCE,
  "announce-form": ACTION_ANNOUNCE,
  scrape: ACTION_SCRAPE,
  "connect-response": ACTION_CONNECT,
  "announce-response": ACTION_ANNOUNCE,
  "scrape-response": ACTION_SCRAPE,
  "error-response": ACTION_ERROR,
};
/** Requests that carry the connection id that the tracker gave. */
const CONNECTED: ReadonlySet<Kind> = new Set<Kind<"udp-tracker">>(["announce", "scrape"]);

/** BEP 15, by the offsets of its tables. */
export function udpTrackerFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const action = ACTIONS[match.kind as Kind<"udp-tracker">];
  const isResponse = match.kind.endsWith("-response");
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
  const isConnected = CONNECTED.has(match.kind);
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
