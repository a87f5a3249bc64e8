/** Names of clients in handshakes that uTP carries. Spec: BEP 29, BEP 3. */
import { handshakeClient } from "../peer_wire/client.ts";
import { utpHeaderEnd } from "./detect.ts";

/** The client that a handshake in the packet's payload names, or null. */
export function utpClient(bytes: Uint8Array, start: number, end: number): string | null {
  const payload = utpHeaderEnd(bytes, start, end);
  return payload < 0 ? null : handshakeClient(bytes, payload, end);
}
