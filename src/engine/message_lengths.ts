/**
 * Bytes of peer wire messages, with their length prefix: all that encryption leaves of them (BEP 3 "peer
 * messages", BEP 6).
 */

/** `keep-alive`, the shortest message there is. */
export const KEEP_ALIVE = 4;
/** A message without a body: `unchoke`, `interested` and their like. */
export const BARE_MESSAGE = 5;
export const HAVE = 9;
export const ALLOWED_FAST = 9;
/** What stands before a block in a `piece`. */
export const PIECE_HEADER = 13;
export const REQUEST = 17;
/** A `piece` with the 16 KiB that clients ask for. */
export const PIECE = 16_384 + PIECE_HEADER;
/** `unchoke` with five times `allowed fast`, as libtorrent says it to who has nothing yet. */
export const GRANT = BARE_MESSAGE + 5 * ALLOWED_FAST;
/** An empty list of peers (BEP 11) and a message without a body, as aria2 says them. */
export const BARE_MESSAGE_BEHIND_PEERS = 13;

/** A segment of so many bytes carries data: a path's full one, or several joined. */
export const FULL_SEGMENT = 1200;
