/** Names of clients in the messages of WebTorrent's trackers. */
import { ascii } from "../../packet/bytes.ts";
import { clientFromPeerId, PEER_ID_LENGTH } from "../client_name.ts";
import { httpClient } from "../http_tracker/client.ts";
import { websocketText } from "./detect.ts";

const PEER_ID = /"peer_id"\s*:\s*"([\x20-\x7e]{20})"/;

/** The client that the request or the message names, or null. A peer ID is ASCII in all of them. */
export function websocketClient(bytes: Uint8Array, start: number, end: number): string | null {
  const id = PEER_ID.exec(websocketText(bytes, start, end) ?? "")?.[1];
  const client = id?.length === PEER_ID_LENGTH ? clientFromPeerId(ascii(id), 0) : null;
  return client ?? httpClient(bytes, start, end);
}
