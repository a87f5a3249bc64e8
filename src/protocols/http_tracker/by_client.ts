/**
 * Whether a torrent client has sent a tracker's request. Others can be made to: a browser by a page, a
 * server by whoever posts an address that it shows a preview of. They choose neither their headers nor
 * their name, so a name that is told must be a client's: one that is nothing else, or the one that made
 * the peer ID.
 */
import { clientFromPeerId, latin1, PEER_ID_LENGTH } from "../client_name.ts";
import { type HttpHead, percentDecode, USER_AGENT } from "../http.ts";
import { wordsAt } from "../signatures.ts";
import { PrefixSet } from "../word_set.ts";

const USER_AGENTS = new PrefixSet(wordsAt("user agent"));
const decodedId = new Uint8Array(PEER_ID_LENGTH);

/** @param peerId first byte of the request's peer ID, or -1  @param peerIdEnd behind it */
export function isByClient(
  bytes: Uint8Array,
  head: HttpHead,
  peerId: number,
  peerIdEnd: number,
): boolean {
  if (head.mayBeBrowsers) return false;
  const agent = head.values[USER_AGENT];
  if (agent < 0 || USER_AGENTS.indexOf(bytes, agent, head.bodyStart) >= 0) return true;
  if (peerId < 0 || !percentDecode(bytes, peerId, peerIdEnd, decodedId)) return false;
  const name = clientFromPeerId(decodedId, 0)?.split(" ")[0].toLowerCase() ?? "";
  return name !== "" && latin1(bytes, agent, name.length).toLowerCase() === name;
}
