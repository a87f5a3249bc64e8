/**
 * Everything constant that BitTorrent puts on the wire in clear text, one row each, with the only
 * place where it counts. The detectors take their constants from these rows: nothing here is
 * searched for anywhere in a payload, because talking about BitTorrent is not BitTorrent.
 *
 * Client identifiers (peer IDs) are rows of the same kind in `client_table.ts`.
 */

import { ascii } from "../packet/bytes.ts";
import type { Method } from "./match.ts";

/** Where a signature may stand. */
export type Place =
  /** The first bytes of a TCP stream, or of the stream inside a proxy's tunnel. */
  | "stream start"
  /** A name in the dictionary `m` of an extension handshake. */
  | "extension name"
  /** A key of the extension handshake's dictionary. */
  | "extension handshake key"
  /** A key of the dictionary of an extension message. */
  | "extension message key"
  /** The key of a `key=value` pair in the query of an HTTP request's target. */
  | "query key"
  /** The last segment of an HTTP request's path. */
  | "last path segment"
  /** The end of an HTTP request's path. */
  | "path end"
  /** A key of the bencoded dictionary that is the body of an HTTP response. */
  | "response key"
  /** A key of a torrent's record in a scrape response (`files`). */
  | "scrape record key"
  /** A key at the top of the JSON text in a WebSocket message. */
  | "json key"
  /** The value of the JSON key `action`. */
  | "json action"
  /** The beginning of the value of the header `User-Agent`. */
  | "user agent"
  /** The value of a DHT message's key `q`. */
  | "dht query"
  /** The value of the header `Content-Type`; counts only with BLOCK_MENTIONS. */
  | "content type"
  /** A link in an HTTP header or page; counts only with BLOCK_MENTIONS. */
  | "link"
  /** A key at the top of a metainfo (`.torrent`) file; counts only with BLOCK_MENTIONS. */
  | "metainfo key";

export interface Signature {
  readonly place: Place;
  /** One byte per character (Latin-1). */
  readonly text: string;
  readonly method: Method;
  /** Specification, or the program that sends it. */
  readonly source: string;
}

function rows(
  place: Place,
  method: Method,
  entries: readonly (readonly [text: string, source: string])[],
): readonly Signature[] {
  return entries.map(([text, source]) => Object.freeze({ place, text, method, source }));
}

/** Words at `place`, in the table's order: a `WordSet` of them answers with their index. */
export function wordsAt(place: Place): readonly string[] {
  return SIGNATURES.filter((row) => row.place === place).map((row) => row.text);
}

const STREAM_START = rows("stream start", "peer-wire", [
  ["\x13BitTorrent protocol", "BEP 3"],
]);

const EXTENSION_NAMES = rows("extension name", "extension", [
  ["ut_pex", "BEP 11"],
  ["ut_metadata", "BEP 9"],
  ["ut_holepunch", "BEP 55"],
  ["lt_donthave", "BEP 54"],
  ["upload_only", "BEP 21"],
  ["share_mode", "libtorrent"],
  ["LT_metadata", "libtorrent before BEP 9"],
  ["lt_trex", "libtorrent (tracker exchange)"],
  ["lt_tex", "BEP 28"],
  ["ut_comment", "uTorrent"],
  ["ut_recommend", "uTorrent"],
  ["ut_bid", "uTorrent Web"],
  ["ut_bid_response", "uTorrent Web"],
  ["ut_channel_state", "uTorrent Web"],
  ["ut_payment_address", "uTorrent Web"],
  ["Tr_hashpiece", "BEP 30"],
  ["Tr_OVERLAYSWARM", "Tribler"],
]);

const EXTENSION_HANDSHAKE_KEYS = rows("extension handshake key", "extension", [
  ["m", "BEP 10"],
  ["p", "BEP 10"],
  ["v", "BEP 10"],
  ["reqq", "BEP 10"],
  ["yourip", "BEP 10"],
  ["ipv4", "BEP 10"],
  ["ipv6", "BEP 10"],
  ["e", "uTorrent (encryption)"],
  ["metadata_size", "BEP 9"],
  ["upload_only", "BEP 21"],
  ["complete_ago", "libtorrent"],
]);

const EXTENSION_MESSAGE_KEYS = rows("extension message key", "extension", [
  ["added", "BEP 11"],
  ["added.f", "BEP 11"],
  ["added6", "BEP 11"],
  ["added6.f", "BEP 11"],
  ["dropped", "BEP 11"],
  ["dropped6", "BEP 11"],
  ["msg_type", "BEP 9"],
  ["piece", "BEP 9"],
  ["total_size", "BEP 9"],
  ["num", "uTorrent (ut_comment)"],
  ["filter", "uTorrent (ut_comment)"],
  ["comments", "uTorrent (ut_comment)"],
]);

const QUERY_KEYS = rows("query key", "http-tracker", [
  ["info_hash", "BEP 3"],
  ["peer_id", "BEP 3"],
  ["port", "BEP 3"],
  ["piece", "BEP 17"],
  ["ranges", "BEP 17"],
  ["fid", "BitComet"],
  ["size", "BitComet"],
]);

const LAST_PATH_SEGMENTS = rows("last path segment", "http-tracker", [
  ["announce", "BEP 3"],
  ["scrape", "BEP 48"],
  ["data", "BitComet"],
]);

const PATH_ENDS = rows("path end", "web-seed", [
  [".torrent", "metainfo file, BEP 3"],
]);

const RESPONSE_KEYS = rows("response key", "http-tracker", [
  ["interval", "BEP 3"],
  ["peers", "BEP 3 and 23"],
  ["peers6", "BEP 7"],
  ["files", "BEP 48"],
  ["failure reason", "BEP 3"],
]);

const SCRAPE_RECORD_KEYS = rows("scrape record key", "http-tracker", [
  ["complete", "BEP 48"],
  ["downloaded", "BEP 48"],
  ["incomplete", "BEP 48"],
  ["downloaders", "opentracker"],
  ["name", "BEP 48"],
]);

const JSON_KEYS = rows("json key", "websocket-tracker", [
  ["info_hash", "WebTorrent"],
  ["action", "WebTorrent"],
  ["offers", "WebTorrent"],
  ["offer_id", "WebTorrent"],
  ["peer_id", "WebTorrent"],
]);

const JSON_ACTIONS = rows("json action", "websocket-tracker", [
  ["announce", "WebTorrent"],
  ["scrape", "WebTorrent"],
]);

/**
 * Programs that are nothing but BitTorrent clients. Those that also download other things (aria2,
 * FlashGet, Shareaza, Free Download Manager, Xunlei…) prove nothing by their name.
 */
const USER_AGENTS = rows("user agent", "web-seed", [
  ["qBittorrent/", "qBittorrent"],
  ["qBittorrent v", "qBittorrent before 3.1"],
  ["Transmission/", "Transmission"],
  ["Deluge/", "Deluge 2"],
  ["Deluge ", "Deluge 1"],
  ["libtorrent/", "libtorrent"],
  ["rtorrent/", "rTorrent"],
  ["uTorrent/", "uTorrent"],
  ["uTorrentMac/", "uTorrent for Mac"],
  ["uTorrent(", "uTorrent"],
  ["\xc2\xb5Torrent/", "uTorrent"],
  ["BTWebClient/", "uTorrent and BitTorrent"],
  ["BitTorrent/", "BitTorrent"],
  ["BitTorrentMac/", "BitTorrent for Mac"],
  ["Azureus", "Azureus"],
  ["Vuze", "Vuze"],
  ["BiglyBT", "BiglyBT"],
  ["KTorrent/", "KTorrent"],
  ["Tixati/", "Tixati"],
  ["BitComet/", "BitComet"],
  ["BitSpirit/", "BitSpirit"],
  ["BitLord/", "BitLord"],
  ["BTSP/", "BitSpirit"],
  ["PicoTorrent/", "PicoTorrent"],
  ["MonoTorrent", "MonoTorrent"],
  ["WebTorrent/", "WebTorrent"],
  ["bittorrent-tracker/", "WebTorrent"],
  ["LibreTorrent", "LibreTorrent"],
  ["Flud", "Flud"],
  ["tTorrent", "tTorrent"],
  ["BitTornado/", "BitTornado"],
  ["Tribler/", "Tribler"],
  ["XBT Client/", "XBT"],
  ["CTorrent/", "CTorrent"],
  ["Enhanced-CTorrent/", "Enhanced CTorrent"],
  ["btpd/", "btpd"],
  ["Bitflu", "Bitflu"],
  ["BitRocket/", "BitRocket"],
  ["TorrentStorm/", "TorrentStorm"],
  ["rqbit", "rqbit"],
  ["Anacrolix/", "anacrolix/torrent"],
  ["cmdTorrent/", "anacrolix/torrent"],
]);

const DHT_QUERIES = rows("dht query", "dht", [
  ["ping", "BEP 5"],
  ["find_node", "BEP 5"],
  ["get_peers", "BEP 5"],
  ["announce_peer", "BEP 5"],
  ["get", "BEP 44"],
  ["put", "BEP 44"],
  ["sample_infohashes", "BEP 51"],
  ["vote", "uTorrent"],
]);

const CONTENT_TYPES = rows("content type", "http-tracker", [
  ["application/x-bittorrent", "metainfo file"],
]);

const LINKS = rows("link", "http-tracker", [
  ["magnet:?xt=urn:btih:", "BEP 9"],
  ["magnet:?xt=urn:btmh:", "BEP 52"],
]);

const METAINFO_KEYS = rows("metainfo key", "http-tracker", [
  ["announce", "BEP 3"],
  ["announce-list", "BEP 12"],
  ["creation date", "BEP 3"],
  ["created by", "BEP 3"],
  ["info", "BEP 3"],
  ["nodes", "BEP 5"],
  ["url-list", "BEP 19"],
  ["httpseeds", "BEP 17"],
  ["piece layers", "BEP 52"],
]);

/** All rows but the peer wire's message forms (`peer_wire/message.ts`) and the peer IDs. */
export const SIGNATURES: readonly Signature[] = Object.freeze([
  ...STREAM_START,
  ...EXTENSION_NAMES,
  ...EXTENSION_HANDSHAKE_KEYS,
  ...EXTENSION_MESSAGE_KEYS,
  ...QUERY_KEYS,
  ...LAST_PATH_SEGMENTS,
  ...PATH_ENDS,
  ...RESPONSE_KEYS,
  ...SCRAPE_RECORD_KEYS,
  ...JSON_KEYS,
  ...JSON_ACTIONS,
  ...USER_AGENTS,
  ...DHT_QUERIES,
  ...CONTENT_TYPES,
  ...LINKS,
  ...METAINFO_KEYS,
]);

/** The 20 fixed bytes of the peer wire handshake. */
export const HANDSHAKE: Uint8Array = ascii(STREAM_START[0].text);
