/**
 * Where things stand in the beginning of an encrypted flow, and how long they are. MSE's third message is
 * 56 bytes and padding, the fourth 14 and padding; a handshake (BEP 3) may go out with either, or behind it.
 */
import { MAX_OPENING, MIN_OPENING, MIN_THIRD_MESSAGE } from "../protocols/mse/detect.ts";
import { HANDSHAKE_LENGTH } from "../protocols/peer_wire/detect.ts";

export const HANDSHAKE: number = HANDSHAKE_LENGTH;
export const THIRD: number = MIN_THIRD_MESSAGE;
/** What of it B may answer at once: all but the length of what is sent with it, two bytes. */
export const ANSWERED_THIRD: number = THIRD - 2;
export const FOURTH = 14;
export const MAX_PADDING = 512;
/** Bits that the length of a padded message takes, 608 at most, where several stand in one word. */
export const LENGTH_BITS = 10;
export const LENGTH_MASK: number = (1 << LENGTH_BITS) - 1;

export const TURN_OF_THIRD = 3;
export const TURN_OF_FOURTH = 4;
/** A handshake by itself, where it did not go out with the third message; and the other side's. */
export const TURN_OF_HANDSHAKE = 5;
export const TURN_OF_ANSWER = 6;
/** Handshakes by themselves are the fifth and sixth turn; what extensions say stands behind them. */
export const TURN_OF_EXTENSIONS = 7;
/**
 * Of who seeds with libtorrent the sixth turn is a handshake with what its extensions say of it, the
 * seventh is what the other one says of itself, and the eighth `unchoke` and five times `allowed fast`.
 */
export const TURN_OF_GRANT = 8;
/** And where the seed has called: the eighth is the other one's `interested` and requests. */
export const TURN_OF_GRANT_OF_A = 9;
export const SHORTEST_SIXTH = 128;
export const SHORTEST_SEVENTH = 64;

/** Whether a message may be one of MSE's first two: a key and padding. */
export function isOpening(length: number): boolean {
  return length >= MIN_OPENING && length <= MAX_OPENING;
}

/** Whether it may be the fourth, by itself. */
export function isPaddedFourth(length: number): boolean {
  return length >= FOURTH && length <= FOURTH + MAX_PADDING;
}
