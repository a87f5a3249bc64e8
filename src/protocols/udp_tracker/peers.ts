/** Peers in a UDP tracker's answer. Spec: BEP 15, announce response. */
import { i32be } from "../../packet/bytes.ts";
import {
  COMPACT_PEER6_LENGTH,
  COMPACT_PEER_LENGTH,
  type PeerSink,
  readCompact,
} from "../compact_peers.ts";
import { ACTION_ANNOUNCE, ANNOUNCE_RESPONSE_LENGTH, RESPONSE_ACTION } from "./detect.ts";

/** The entries of an announce response; `family` says whether they have 6 bytes or 18. */
export function readUdpTrackerPeers(
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: PeerSink,
  family: number,
): void {
  if (end - start < ANNOUNCE_RESPONSE_LENGTH) return;
  if (i32be(bytes, start + RESPONSE_ACTION) !== ACTION_ANNOUNCE) return;
  const size = family === 6 ? COMPACT_PEER6_LENGTH : COMPACT_PEER_LENGTH;
  readCompact(bytes, start + ANNOUNCE_RESPONSE_LENGTH, end, size, sink);
}
