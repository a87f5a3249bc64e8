/**
 * UDP tracker exchanges. Spec: BEP 15. A response begins with a small integer and says nothing by
 * itself; it counts when it repeats the transaction id of a request that went the other way, as a
 * request counts when it carries the connection id that the tracker has given.
 */
import { i32be } from "../packet/bytes.ts";
import { INFO_HASH_LENGTH } from "../protocols/info_hash.ts";
import { type Match, match } from "../protocols/match.ts";
import {
  ACTION_ANNOUNCE,
  ACTION_CONNECT,
  ACTION_ERROR,
  ACTION_SCRAPE,
  CONNECT_LENGTH,
  detectUdpTracker,
  isAnnounceRequest,
  isAnnounceResponseLength,
  isConnectRequest,
  isScrapeLength,
  REQUEST_ACTION,
  REQUEST_CONNECTION_ID,
  REQUEST_HEADER_LENGTH,
  REQUEST_TRANSACTION_ID,
  RESPONSE_ACTION,
  RESPONSE_CONNECTION_ID,
  RESPONSE_HEADER_LENGTH,
  RESPONSE_TRANSACTION_ID,
  SCRAPE_ENTRY_LENGTH,
} from "../protocols/udp_tracker/detect.ts";

const WORDS = 8; // a flow
const FLAGS = 0;
const CONNECT_TRANSACTION = 1;
const CONNECTION_ID_HIGH = 2;
const CONNECTION_ID_LOW = 3;
const TRANSACTION = 4; // of the latest announce or scrape request
const ENTRIES = 5; // info-hashes in it
/** A connection id that begins a header of small integers: somebody else's message. */
const SMALL = 0x1_0000;

/** Length of the text in an error. */
const MIN_ERROR_TEXT = 4;
const MAX_ERROR_TEXT = 512;

/** Flags; `<< direction` of the client. */
const CONNECT_SENT = 0x01;
const CONNECTED = 0x04;
const ANNOUNCE_SENT = 0x10;
const SCRAPE_SENT = 0x40;

const CONNECT_RESPONSE = match(
  "udp-tracker",
  "connect-response",
  "proof",
  "connect response to its request",
);
const ANNOUNCE = match("udp-tracker", "announce", "proof", "announce request of a connection");
const SCRAPE = match("udp-tracker", "scrape", "proof", "scrape request of a connection");
const ANNOUNCE_RESPONSE = match(
  "udp-tracker",
  "announce-response",
  "strong",
  "announce response to its request",
);
const SCRAPE_RESPONSE = match(
  "udp-tracker",
  "scrape-response",
  "strong",
  "scrape response to its request",
);
const ERROR_RESPONSE = match(
  "udp-tracker",
  "error-response",
  "strong",
  "error response to its request",
);
const ANNOUNCE_HINT = match("udp-tracker", "announce-form", "hint", "like an announce request");

/**
 * Whether a datagram may be of an exchange with a tracker: both kinds have a word below 4, which nearly
 * all other traffic has not. Whoever sends none has no state here.
 */
export function mayBeTrackers(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < RESPONSE_HEADER_LENGTH) return false;
  const response = i32be(bytes, start + RESPONSE_ACTION);
  if (response >= ACTION_CONNECT && response <= ACTION_ERROR) return true;
  if (end - start < REQUEST_HEADER_LENGTH) return false;
  const request = i32be(bytes, start + REQUEST_ACTION);
  return request >= ACTION_CONNECT && request <= ACTION_SCRAPE;
}

/** Tracker transactions of all flows; `slot` is the flow table's index. */
export class TrackerFlows {
  readonly #words: Int32Array;

  constructor(slots: number) {
    this.#words = new Int32Array(slots * WORDS);
  }

  /** Forgets the flow that was in `slot`. */
  reset(slot: number): void {
    this.#words.fill(0, slot * WORDS, (slot + 1) * WORDS);
  }

  /**
   * A datagram of the flow that {@link mayBeTrackers}, whole, sent in `direction` 0 or 1. Answers with what one datagram shows
   * ({@link detectUdpTracker}) as well as with what it means after those before it.
   */
  observe(
    slot: number,
    direction: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    if (end - start < RESPONSE_HEADER_LENGTH) return null;
    const response = i32be(bytes, start + RESPONSE_ACTION);
    if (response >= ACTION_CONNECT && response <= ACTION_ERROR) {
      const answer = this.#observeResponse(slot, 1 - direction, response, bytes, start, end);
      if (answer !== null) return answer;
    }
    if (end - start < REQUEST_HEADER_LENGTH) return null;
    const request = i32be(bytes, start + REQUEST_ACTION);
    if (request < ACTION_CONNECT || request > ACTION_SCRAPE) return null;
    return this.#observeRequest(slot, direction, request, bytes, start, end);
  }

  #observeRequest(
    slot: number,
    client: number,
    action: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    const words = this.#words;
    const at = slot * WORDS;
    const transaction = i32be(bytes, start + REQUEST_TRANSACTION_ID);
    if (action === ACTION_CONNECT) {
      if (!isConnectRequest(bytes, start, end)) return null;
      words[at + FLAGS] |= CONNECT_SENT << client;
      words[at + CONNECT_TRANSACTION] = transaction;
      return detectUdpTracker(bytes, start, end);
    }
    const announce = action === ACTION_ANNOUNCE;
    if (announce ? !isAnnounceRequest(bytes, start, end) : !isScrapeLength(end - start)) {
      return null;
    }
    const connected = (words[at + FLAGS] & (CONNECTED << client)) !== 0 &&
      i32be(bytes, start + REQUEST_CONNECTION_ID) === words[at + CONNECTION_ID_HIGH] &&
      i32be(bytes, start + REQUEST_CONNECTION_ID + 4) === words[at + CONNECTION_ID_LOW];
    // Ids are random; a small one may be any counter or a zero that comes back as zero. Of a scrape,
    // which has nothing else, the connection id has to be random too.
    const isRandom = transaction >>> 16 !== 0 &&
      (connected || announce ||
        (i32be(bytes, start) >>> 0 >= SMALL && i32be(bytes, start + 4) >>> 0 >= SMALL));
    if (isRandom) {
      words[at + FLAGS] &= ~((ANNOUNCE_SENT | SCRAPE_SENT) << client);
      words[at + FLAGS] |= (announce ? ANNOUNCE_SENT : SCRAPE_SENT) << client;
      words[at + TRANSACTION] = transaction;
      words[at + ENTRIES] = (end - start - REQUEST_HEADER_LENGTH) / INFO_HASH_LENGTH;
    }
    if (connected) return announce ? ANNOUNCE : SCRAPE;
    if (!announce) return null; // 16 + 20n bytes with a 2 inside: so are many calls of NFS
    return detectUdpTracker(bytes, start, end) ?? ANNOUNCE_HINT;
  }

  #observeResponse(
    slot: number,
    client: number,
    action: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    const words = this.#words;
    const at = slot * WORDS;
    const flags = words[at + FLAGS];
    if (flags === 0) return null;
    const transaction = i32be(bytes, start + RESPONSE_TRANSACTION_ID);
    const length = end - start;
    const connecting = (flags & (CONNECT_SENT << client)) !== 0 &&
      transaction === words[at + CONNECT_TRANSACTION];
    const announced = (flags & (ANNOUNCE_SENT << client)) !== 0 &&
      transaction === words[at + TRANSACTION];
    const scraped = (flags & (SCRAPE_SENT << client)) !== 0 &&
      transaction === words[at + TRANSACTION];
    switch (action) {
      case ACTION_CONNECT:
        if (!connecting || length < CONNECT_LENGTH) return null;
        words[at + FLAGS] |= CONNECTED << client;
        words[at + CONNECTION_ID_HIGH] = i32be(bytes, start + RESPONSE_CONNECTION_ID);
        words[at + CONNECTION_ID_LOW] = i32be(bytes, start + RESPONSE_CONNECTION_ID + 4);
        return CONNECT_RESPONSE;
      case ACTION_ANNOUNCE:
        return announced && isAnnounceResponseLength(length) ? ANNOUNCE_RESPONSE : null;
      case ACTION_SCRAPE: {
        if (!scraped) return null;
        const rows = length - RESPONSE_HEADER_LENGTH;
        const entries = rows / SCRAPE_ENTRY_LENGTH;
        return rows % SCRAPE_ENTRY_LENGTH === 0 && entries >= 1 && entries <= words[at + ENTRIES]
          ? SCRAPE_RESPONSE
          : null;
      }
      default:
        return (announced || scraped || connecting) &&
            isErrorText(bytes, start + RESPONSE_HEADER_LENGTH, end)
          ? ERROR_RESPONSE
          : null;
    }
  }
}

/** A sentence for people (BEP 15, errors): at least a word, and nothing that is no text. */
function isErrorText(bytes: Uint8Array, start: number, end: number): boolean {
  while (end > start && bytes[end - 1] === 0) end--; // some trackers send the C string's end along
  if (end - start < MIN_ERROR_TEXT || end - start > MAX_ERROR_TEXT) return false;
  for (let at = start; at < end; at++) {
    if (bytes[at] < 0x20 || bytes[at] === 0x7f) return false;
  }
  return true;
}
