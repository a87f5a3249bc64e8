/** Names of clients in announces to UDP trackers. Spec: BEP 15, announce request. */
import { clientFromPeerId } from "../client_name.ts";
import { ANNOUNCE_LENGTH, PEER_ID } from "./detect.ts";

/** The client that made the announce's peer ID, or null. */
export function udpTrackerClient(bytes: Uint8Array, start: number, end: number): string | null {
  return end - start >= ANNOUNCE_LENGTH ? clientFromPeerId(bytes, start + PEER_ID) : null;
}
