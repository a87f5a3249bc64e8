/**
 * One row a method, one entry a kind: whom a find shows, whether it bans, and what else its bytes
 * tell. Everything that depends on what was recognised asks here; `docs/adding-a-detector.md` says
 * how to add a row. Asked once a detection, never on a packet that decides nothing.
 */
import { dhtClient } from "./dht/client.ts";
import { dhtInfoHash } from "./dht/info_hash.ts";
import { readDhtPeers } from "./dht/peers.ts";
import { extensionClient } from "./extension/client.ts";
import { readPexPeers } from "./extension/peers.ts";
import { httpClient } from "./http_tracker/client.ts";
import { httpInfoHash } from "./http_tracker/info_hash.ts";
import { readHttpTrackerPeers } from "./http_tracker/peers.ts";
import { lsdInfoHash } from "./lsd/info_hash.ts";
import type { Kind, Match, Method } from "./match.ts";
import { handshakeClient } from "./peer_wire/client.ts";
import { handshakeInfoHash } from "./peer_wire/info_hash.ts";
import type { PeerReader, PeerSink } from "./compact_peers.ts";
import { udpTrackerClient } from "./udp_tracker/client.ts";
import { udpTrackerInfoHash } from "./udp_tracker/info_hash.ts";
import { readUdpTrackerPeers } from "./udp_tracker/peers.ts";
import { utpClient } from "./utp/client.ts";
import { utpInfoHash } from "./utp/info_hash.ts";
import { websocketClient } from "./websocket_tracker/client.ts";
import { websocketInfoHash } from "./websocket_tracker/info_hash.ts";

/**
 * Whose doing a find is: of who sent it; of both ends, where it takes both; or of who asked, where a
 * tracker answers: its address serves web pages too.
 */
export type Doer = "sender" | "both" | "asker";

/**
 * When a find is enough to ban a sender who is known to be real:
 * - `always`: and then it is evidence against him too;
 * - `client`: when the bytes name a torrent client. Others keep such tables too: crawlers, research,
 *   programs that only look names up;
 * - `evidence`: when more is known of the host: others send it too;
 * - `never`: it drops, it does not ban.
 */
export type BanCondition = "always" | "client" | "evidence" | "never";

/** What is known of a find of one kind. */
export interface KindRow {
  readonly doer: Doer;
  readonly bans: BanCondition;
  /** The same in a stream that was joined in its middle, where it is another. */
  readonly bansJoined?: BanCondition;
  /** Whether one packet may show all of it: it needs nothing that its flow has said before. */
  readonly alone?: boolean;
}

/** Reads text out of a matched message `[start, end)`; null where it does not say it. */
export type TextReader = (
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: Kind,
) => string | null;

/** A method's row. */
export interface MethodRow<M extends Method> extends KindRow {
  /** Hands the endpoints that a message names as peers to a sink; null where none does. */
  readonly peers: PeerReader | null;
  /** The client's name and version. */
  readonly client: TextReader | null;
  /** The torrent's info-hash, 40 lower-case hexadecimal digits. */
  readonly infoHash: TextReader | null;
  /** Kinds, with what is different from the method's own. */
  readonly kinds: { readonly [K in Kind<M>]: Partial<KindRow> };
}

const NEVER = { bans: "never" } as const;
const ASKER = { doer: "asker" } as const;
const BOTH = { doer: "both" } as const;

/** The table. */
export const METHOD_ROWS: { readonly [M in Method]: MethodRow<M> } = {
  "peer-wire": {
    doer: "sender",
    bans: "always",
    alone: true,
    peers: null,
    client: handshakeClient,
    infoHash: handshakeInfoHash,
    kinds: {
      ...{ handshake: {}, "hidden-handshake": {} },
      // A page's script can open a WebSocket and send what it likes in it.
      "tunnelled-handshake": NEVER,
      // Servers of raw files (FTP, Gopher, HTTP/0.9, DCC) send what somebody has put there.
      "unasked-handshake": NEVER,
      // A name by itself; the peer wire is not seen in it.
      "ssl-torrent": { bans: "evidence" },
    },
  },
  // In a stream that was joined in its middle these may be a page's upload or answer, in both directions;
  // a swarm's other connections say as much, and are dropped for it.
  extension: {
    doer: "sender",
    bans: "always",
    bansJoined: "evidence",
    peers: readPexPeers,
    client: extensionClient,
    infoHash: null,
    kinds: {
      ...{ handshake: {}, "bare-handshake": {}, pex: {}, metadata: {}, comment: {}, trackers: {} },
      ...{ holepunch: NEVER, "dont-have": NEVER, status: NEVER },
    },
  },
  fast: {
    doer: "sender",
    bans: "always",
    bansJoined: "evidence",
    peers: null,
    client: extensionClient,
    infoHash: null,
    kinds: { chain: {} },
  },
  "mid-stream": {
    doer: "sender",
    bans: "always",
    bansJoined: "evidence",
    peers: null,
    client: extensionClient,
    infoHash: null,
    kinds: { chain: {}, "hash-chain": {} },
  },
  "http-tracker": {
    doer: "sender",
    bans: "always",
    alone: true,
    peers: readHttpTrackerPeers,
    client: httpClient,
    infoHash: httpInfoHash,
    kinds: {
      ...{ announce: {}, scrape: {}, "announce-response": ASKER, "scrape-response": ASKER },
      // A browser may have been made to fetch it, or the headers that tell are missing.
      ...{ failure: NEVER, "cut-request": NEVER, "path-by-client": {} },
      ...{ "announce-by-anyone": NEVER, "scrape-by-anyone": NEVER },
      // A page has its visitor fetch it, a stranger writes it into a page.
      ...{ "torrent-mention": NEVER, "torrent-file-mention": NEVER, "magnet-mention": NEVER },
    },
  },
  // All of it hangs on a name, which the list that a player is given may choose (an M3U's user agent).
  "web-seed": {
    doer: "sender",
    bans: "evidence",
    alone: true,
    peers: null,
    client: httpClient,
    infoHash: httpInfoHash,
    kinds: {
      ...{ "piece-by-hash": {}, "range-by-client": {}, "torrent-by-client": {} },
      ...{ "bitcomet-data": {}, "piece-by-anyone": NEVER },
    },
  },
  "websocket-tracker": {
    doer: "sender",
    ...NEVER, // a page's script can send it from its visitor's browser
    peers: null,
    client: websocketClient,
    infoHash: websocketInfoHash,
    kinds: { message: {} },
  },
  // A page may have its visitor send such lengths too. But of an older swarm often one connection alone shows
  // what it is: without the ban the others go on, for minutes and megabytes.
  mse: {
    doer: "sender",
    bans: "always",
    peers: null,
    client: handshakeClient,
    infoHash: handshakeInfoHash,
    kinds: {
      ...{ lengths: {}, "by-host": {}, "named-peer": {}, "fan-out": {}, "requests-and-pieces": {} },
      // The end that is called has called nobody.
      called: { bans: "evidence" },
      ...{ blocks: {}, "swarm-blocks": {}, "swarm-requests": {}, "plain-handshake": {} },
    },
  },
  dht: {
    doer: "sender",
    bans: "client",
    alone: true,
    peers: readDhtPeers,
    client: dhtClient,
    infoHash: dhtInfoHash,
    kinds: {
      // Who asks for a torrent's peers, names himself as one, or gathers torrents.
      get_peers: { bans: "always" },
      announce_peer: { bans: "always" },
      sample_infohashes: { bans: "always" },
      ...{ ping: {}, find_node: {}, get: {}, put: {}, vote: {}, query: {} },
      ...{ response: {}, "peers-response": {}, error: {} },
    },
  },
  "udp-tracker": {
    doer: "sender",
    bans: "always",
    peers: readUdpTrackerPeers,
    client: udpTrackerClient,
    infoHash: udpTrackerInfoHash,
    kinds: {
      connect: { alone: true },
      "announce-by-peer-id": { alone: true },
      ...{ announce: {}, scrape: {} },
      ...{ "connect-response": ASKER, "announce-response": ASKER, "scrape-response": ASKER },
      ...{ "error-response": ASKER, "announce-form": NEVER },
    },
  },
  utp: {
    doer: "sender",
    bans: "evidence", // file synchronisers use the transport alone, with a few
    peers: null,
    client: utpClient,
    infoHash: utpInfoHash,
    kinds: {
      handshake: { bans: "always" },
      message: { bans: "always" },
      ...{ opened: BOTH, continued: {}, repeated: {}, "two-way": BOTH, "one-way": {} },
      ...{ syn: {}, header: {} },
    },
  },
  lsd: {
    doer: "sender",
    bans: "always",
    alone: true,
    peers: null,
    client: null,
    infoHash: lsdInfoHash,
    kinds: { announce: {} },
  },
  socks: {
    doer: "sender",
    bans: "always",
    peers: null,
    client: null,
    infoHash: null,
    kinds: {
      ...{ "socks5-request": {}, "socks5-reply": {}, "socks4-request": {}, "socks4a-request": {} },
    },
  },
  entropy: {
    doer: "sender",
    bans: "evidence",
    peers: null,
    client: null,
    infoHash: null,
    kinds: { "random-handshake": {}, "random-bytes": {} },
  },
};

/** What is known of a find: the method's row with what its kind changes. */
export function kindRow({ method, kind }: Match): Required<KindRow> {
  const row: MethodRow<Method> = METHOD_ROWS[method];
  const own: Partial<KindRow> = row.kinds[kind];
  return {
    doer: own.doer ?? row.doer,
    bans: own.bans ?? row.bans,
    bansJoined: own.bansJoined ?? own.bans ?? row.bansJoined ?? row.bans,
    alone: own.alone ?? row.alone ?? false,
  };
}

/**
 * Hands every peer named by the matched message `[start, end)` to `sink`. `family` is the IP
 * version of the flow: a UDP tracker's answer does not tell 6-byte entries from 18-byte ones.
 */
export function readPeers(
  match: Match,
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: PeerSink,
  family = 4,
): void {
  METHOD_ROWS[match.method].peers?.(bytes, start, end, sink, family);
}

/**
 * Names the client behind `match`, found in the payload (or stream prefix) `[start, end)`, where
 * `start` is where the detector began. Null when nothing there says it.
 */
export function describeClient(
  match: Match,
  bytes: Uint8Array,
  start: number,
  end: number,
): string | null {
  return METHOD_ROWS[match.method].client?.(bytes, start, end, match.kind) ?? null;
}

/** The info-hash that the matched message names, 40 hexadecimal digits, or null. */
export function readInfoHash(
  match: Match,
  bytes: Uint8Array,
  start: number,
  end: number,
): string | null {
  return METHOD_ROWS[match.method].infoHash?.(bytes, start, end, match.kind) ?? null;
}
