/** Names of clients in the messages of WebTorrent's trackers. */
import { clientFromPeerId, latin1, PEER_ID_LENGTH } from "../client_name.ts";
import { httpClient } from "../http_tracker/client.ts";

const JSON_PEER_ID = '"peer_id":"';

/** The client that the request or the message names, or null. */
export function websocketClient(bytes: Uint8Array, start: number, end: number): string | null {
  return httpClient(bytes, start, end) ?? fromJson(bytes, start, end);
}

/** A message in an unmasked frame: its peer ID is ASCII in every WebTorrent client. */
function fromJson(bytes: Uint8Array, start: number, end: number): string | null {
  const text = latin1(bytes, start, Math.min(end - start, 4096));
  const at = text.indexOf(JSON_PEER_ID);
  if (at < 0 || start + at + JSON_PEER_ID.length + PEER_ID_LENGTH > end) return null;
  return clientFromPeerId(bytes, start + at + JSON_PEER_ID.length);
}
