/** Names of clients in handshakes. Spec: BEP 3, BEP 20. */
import { startsWith } from "../../packet/bytes.ts";
import { clientFromPeerId } from "../client_name.ts";
import { extensionClient } from "../extension/client.ts";
import { HANDSHAKE } from "../signatures.ts";
import { HANDSHAKE_LENGTH, PEER_ID } from "./detect.ts";

/** The client that made the handshake's peer ID, or that an extension handshake behind it names. */
export function handshakeClient(bytes: Uint8Array, start: number, end: number): string | null {
  if (!startsWith(bytes, start, end, HANDSHAKE) || end - start < HANDSHAKE_LENGTH) return null;
  return clientFromPeerId(bytes, start + PEER_ID) ??
    extensionClient(bytes, start + HANDSHAKE_LENGTH, end);
}
