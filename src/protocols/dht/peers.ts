/** Peers in DHT answers. Spec: BEP 5, `get_peers`; BEP 32. */
import {
  COMPACT_PEER6_LENGTH,
  COMPACT_PEER_LENGTH,
  MAX_PEERS,
  type PeerSink,
  readPeer4,
  readPeer6,
} from "../compact_peers.ts";
import { stringLength, stringStart } from "../bencode.ts";
import { findDhtValues } from "./detect.ts";

const LIST = 0x6c; // l
const END = 0x65; // e

/** `values` of an answer: a list of strings of 6 or 18 bytes. */
export function readDhtPeers(bytes: Uint8Array, start: number, end: number, sink: PeerSink): void {
  let at = findDhtValues(bytes, start, end);
  if (at < 0 || bytes[at] !== LIST) return;
  at++;
  for (let count = 0; count < MAX_PEERS && at < end && bytes[at] !== END; count++) {
    const length = stringLength(bytes, at, end);
    if (length < 0) return;
    const peer = stringStart(bytes, at, end);
    if (length === COMPACT_PEER_LENGTH) readPeer4(bytes, peer, sink);
    else if (length === COMPACT_PEER6_LENGTH) readPeer6(bytes, peer, sink);
    at = peer + length;
  }
}
