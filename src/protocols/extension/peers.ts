/** Peers in peer exchange. Spec: BEP 11. */
import { ascii, i32be } from "../../packet/bytes.ts";
import { findKey } from "../bencode.ts";
import {
  COMPACT_PEER6_LENGTH,
  COMPACT_PEER_LENGTH,
  type PeerSink,
  readCompactString,
} from "../compact_peers.ts";

const ADDED = ascii("added");
const ADDED6 = ascii("added6");

const EXTENDED = 20; // BEP 10
const EXTENSION_PAYLOAD = 6; // length 4, message id 1, extension id 1

/** BEP 11: `added` and `added6` in the dictionary of an extension message at `start`. */
export function readPexPeers(bytes: Uint8Array, start: number, end: number, sink: PeerSink): void {
  const at = start + EXTENSION_PAYLOAD;
  if (at >= end || bytes[start + 4] !== EXTENDED) return;
  const limit = Math.min(end, start + 4 + (i32be(bytes, start) >>> 0));
  readCompactString(bytes, findKey(bytes, at, limit, ADDED), limit, COMPACT_PEER_LENGTH, sink);
  readCompactString(bytes, findKey(bytes, at, limit, ADDED6), limit, COMPACT_PEER6_LENGTH, sink);
}
