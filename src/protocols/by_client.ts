/**
 * Whether a torrent client has sent the request itself. Others can be made to: a browser by a page, a
 * server by whoever posts an address that it shows a preview of, a load balancer or a proxy by whom it
 * asks for. The first two choose neither their headers nor their name, and half of the libraries that
 * servers fetch with tell none. So a name must be told, and be a client's: one that is nothing else, or
 * the one that made the peer ID; and nothing may say that it is another's: no header, nor HTTP/1.0, which
 * nginx speaks to the servers behind it. Nor may it be what no client asks of a tracker: a part of a file,
 * as players do of the list that they are given, whose names they take over too; or anything but GET, as a
 * webhook's POST.
 */
import { clientFromPeerId, latin1, PEER_ID_LENGTH } from "./client_name.ts";
import { type HttpHead, percentDecode, RANGE, USER_AGENT } from "./http.ts";
import { wordsAt } from "./signatures.ts";
import { PrefixSet } from "./word_set.ts";

const CR = 0x0d;
const DOT = 0x2e;
const ZERO = 0x30;
const USER_AGENTS = new PrefixSet(wordsAt("user agent"));
/**
 * The name in a User-Agent, whole, up to its version or comment: who chooses the peer ID must not find one
 * that begins as the name of a server does that fetches for him (`HTTP seed` and http.rb, `Net Transport`
 * and NetNewsWire, `Amazon S3` and what Amazon sends).
 */
const PRODUCT = /^[^/(\r\n]*?(?=\s*(?:[/(\r\n]|\sv?\d))/;
const LONGEST_PRODUCT = 64;
/** What {@link clientFromPeerId} says behind the name. */
const VERSION = /^$|^ (?:\d|build)/;
const decodedId = new Uint8Array(PEER_ID_LENGTH);

/** @param peerId first byte of the request's peer ID, or -1  @param peerIdEnd behind it */
export function isByClient(
  bytes: Uint8Array,
  head: HttpHead,
  peerId: number,
  peerIdEnd: number,
): boolean {
  if (head.mayBeBrowsers || head.isForwarded || head.values[RANGE] >= 0) return false;
  if (!endsWithGet(bytes, head.methodEnd)) return false;
  const agent = head.values[USER_AGENT];
  if (agent < 0 || isHttp10(bytes, head.headersStart)) return false;
  if (USER_AGENTS.indexOf(bytes, agent, head.bodyStart) >= 0) return true;
  if (peerId < 0 || !percentDecode(bytes, peerId, peerIdEnd, decodedId)) return false;
  const client = clientFromPeerId(decodedId, 0)?.toLowerCase() ?? "";
  const product = PRODUCT.exec(latin1(bytes, agent, LONGEST_PRODUCT).toLowerCase())?.[0] ?? "";
  return product !== "" && client.startsWith(product) && VERSION.test(client.slice(product.length));
}

function endsWithGet(bytes: Uint8Array, end: number): boolean {
  return (bytes[end - 1] | 0x20) === 0x74 && (bytes[end - 2] | 0x20) === 0x65 &&
    (bytes[end - 3] | 0x20) === 0x67;
}

/** Whether the request line that ends before `headersStart` says HTTP/1.0. */
export function isHttp10(bytes: Uint8Array, headersStart: number): boolean {
  const lineEnd = headersStart - (bytes[headersStart - 2] === CR ? 2 : 1);
  return bytes[lineEnd - 1] === ZERO && bytes[lineEnd - 2] === DOT;
}
