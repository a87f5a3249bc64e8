/**
 * Where the messages of an HTTP/1 connection begin. Spec: RFC 9112, section 6. A body is a body: what
 * it quotes is nobody's request, so its length is followed (Content-Length, chunks, none, or to the end
 * of the connection), and only what stands behind it is judged.
 */
import { hexDigit } from "../protocols/characters.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  type HttpHead,
  TRANSFER_ENCODING,
  UPGRADE,
  wholeDecimalAt,
} from "../protocols/http.ts";
import { PrefixSet } from "../protocols/word_set.ts";

/** What stands at the next position that matters. */
const NOTHING = 0; // nobody knows where a message begins: a body up to the end of the connection
const MESSAGE = 1;
const FRAMES = 2; // WebSocket frames
const CHUNK_SIZE = 3;
const CHUNK_REST = 4; // of the line with the size
const TRAILER = 5; // at the beginning of a line
const TRAILER_REST = 6;
const UPGRADED = 7; // the first frame, a message where the upgrade was refused, or another protocol

/** Answers of {@link HttpStreams.find} that are no position. */
const INSIDE_BODY = -1;
/** The next message begins before the segment: that part has not come, or nobody knows where. */
export const GAP = -2;

/** No chunk is larger: RFC 9112 sets no bound, a number of 32 bits does. */
const MAX_CHUNK = 0x3fff_ffff;

const CHUNKED = new PrefixSet(["chunked", "gzip, chunked", "deflate, chunked"]);
const CLOSE = new PrefixSet(["close"]);
const WEBSOCKET = new PrefixSet(["websocket"]);
const LF = 0x0a;
const CR = 0x0d;
const HEAD_METHOD = 0x48; // "H", of HEAD alone
const SWITCHING = 101;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

/**
 * Whether a response says that it is the connection's last: what the client sends behind it nobody
 * reads (RFC 9112, section 9.6).
 */
export function endsConnection(
  { isResponse, status, values }: HttpHead,
  bytes: Uint8Array,
  end: number,
): boolean {
  if (!isResponse || status < 200) return false;
  const connection = values[CONNECTION];
  return connection >= 0 && CLOSE.indexOf(bytes, connection, end) >= 0;
}

export class HttpStreams {
  /** Sequence number of the next byte that matters, by direction. */
  readonly #next: Int32Array;
  readonly #state: Uint8Array;
  /** Size of the chunk whose line is being read. */
  readonly #size: Int32Array;
  /** Whether the latest request of the direction was HEAD, whose answer has no body. */
  readonly #asksHead: Uint8Array;

  /** `slots` flows, two directions each. */
  constructor(slots: number) {
    this.#next = new Int32Array(slots * 2);
    this.#state = new Uint8Array(slots * 2);
    this.#size = new Int32Array(slots * 2);
    this.#asksHead = new Uint8Array(slots * 2);
  }

  /** Forgets the direction: nothing is known of where a message begins. */
  reset(slot: number, direction: number): void {
    this.#state[slot * 2 + direction] = NOTHING;
    this.#asksHead[slot * 2 + direction] = 0;
  }

  /** Whether WebSocket frames may stand at the position that {@link find} gave. */
  hasFrames(slot: number, direction: number): boolean {
    const state = this.#state[slot * 2 + direction];
    return state === FRAMES || state === UPGRADED;
  }

  /** Whether nothing has come yet behind the upgrade to WebSocket frames. */
  isUpgraded(slot: number, direction: number): boolean {
    return this.#state[slot * 2 + direction] === UPGRADED;
  }

  /** Notes that the next frame begins at `position`. */
  resume(slot: number, direction: number, position: number): void {
    this.#next[slot * 2 + direction] = position;
    this.#state[slot * 2 + direction] = FRAMES;
  }

  /** Whether the direction has said one whole request, up to `position`, that is answered with a body. */
  hasAsked(slot: number, direction: number, position: number): boolean {
    const d = slot * 2 + direction;
    return this.#state[d] === MESSAGE && this.#next[d] === position && this.#asksHead[d] === 0;
  }

  /** Whether the other side's latest request was HEAD. */
  isAskedForHead(slot: number, direction: number): boolean {
    return this.#asksHead[(slot * 2 + direction) ^ 1] !== 0;
  }

  /** Where the next message begins, as a sequence number; only after {@link find} answered GAP. */
  beginning(slot: number, direction: number): number | null {
    const d = slot * 2 + direction;
    return isMessage(this.#state[d]) ? this.#next[d] : null;
  }

  /** Takes a whole head, whose body begins at sequence number `position`. */
  take(slot: number, direction: number, head: HttpHead, bytes: Uint8Array, position: number): void {
    const d = slot * 2 + direction;
    this.#next[d] = position;
    this.#state[d] = MESSAGE;
    const upgrade = head.values[UPGRADE];
    if (head.isResponse) {
      if (head.status === SWITCHING) {
        this.#state[d] = UPGRADED;
        return;
      }
      if (head.status < 200 || head.status === NO_CONTENT || head.status === NOT_MODIFIED) return;
      if (this.#asksHead[d ^ 1] !== 0) return;
    } else {
      const { methodEnd } = head;
      this.#asksHead[d] = methodEnd >= 4 && bytes[methodEnd - 1] === 0x44 && // "D"
          (bytes[methodEnd - 4] & ~0x20) === HEAD_METHOD
        ? 1
        : 0;
      if (upgrade >= 0 && WEBSOCKET.indexOf(bytes, upgrade, head.bodyStart) >= 0) {
        this.#state[d] = UPGRADED;
      }
    }
    const encoding = head.values[TRANSFER_ENCODING];
    if (encoding >= 0) {
      // Whatever comes before it in the list: chunks are the last coding, or the length is unknown.
      const isChunked = CHUNKED.indexOf(bytes, encoding, head.bodyStart) >= 0;
      this.#state[d] = isChunked ? CHUNK_SIZE : NOTHING;
      this.#size[d] = 0;
      return;
    }
    const length = head.values[CONTENT_LENGTH];
    if (length >= 0) {
      const size = wholeDecimalAt(bytes, length, head.bodyStart);
      if (size >= 0) this.#next[d] = (position + size) | 0;
      else this.#state[d] = NOTHING;
    } else if (head.isResponse) this.#state[d] = NOTHING;
  }

  /**
   * Where in `[start, end)`, whose first byte has the sequence number `position`, the next message
   * begins; else {@link INSIDE_BODY} or {@link GAP}. Reads chunk sizes on the way.
   */
  find(
    slot: number,
    direction: number,
    position: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    const d = slot * 2 + direction;
    for (;;) {
      const state = this.#state[d];
      if (state === NOTHING) return GAP;
      const offset = (this.#next[d] - position) | 0;
      if (offset >= end - start) return INSIDE_BODY;
      if (offset < 0) return GAP;
      const at = start + offset;
      if (isMessage(state)) return at;
      this.#next[d] = (position + this.#readLine(d, state, bytes, at, end) - start) | 0;
    }
  }

  /** Reads on in the line of a chunk's size or of a trailer; answers where reading goes on. */
  #readLine(d: number, state: number, bytes: Uint8Array, at: number, end: number): number {
    if (state === CHUNK_SIZE) {
      while (at < end && hexDigit(bytes[at]) >= 0) {
        this.#size[d] = this.#size[d] * 16 + hexDigit(bytes[at++]);
        if (this.#size[d] > MAX_CHUNK >> 4) {
          this.#state[d] = NOTHING;
          return at;
        }
      }
      if (at < end) this.#state[d] = CHUNK_REST;
      return at;
    }
    if (state === TRAILER && bytes[at] === CR) return at + 1;
    const isEmpty = state === TRAILER && bytes[at] === LF;
    while (at < end && bytes[at] !== LF) at++;
    if (at === end) {
      if (state === TRAILER) this.#state[d] = TRAILER_REST;
      return at;
    }
    at++;
    if (state !== CHUNK_REST) {
      this.#state[d] = isEmpty ? MESSAGE : TRAILER;
      return at;
    }
    const size = this.#size[d];
    this.#size[d] = 0;
    this.#state[d] = size === 0 ? TRAILER : CHUNK_SIZE;
    return size === 0 ? at : at + size + 2; // the data and its line end
  }
}

/** Whether a message of some kind is what comes next. */
function isMessage(state: number): boolean {
  return state === MESSAGE || state === FRAMES || state === UPGRADED;
}
