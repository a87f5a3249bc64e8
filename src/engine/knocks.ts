/**
 * SYNs in connections that are running already. Anybody can send one whose ports he knows, and each of
 * the two ends: who has a connection answers it with an acknowledgement (RFC 5961, section 4), and goes
 * on. A new connection on the same 5-tuple has begun when the other end answers the SYN with its own.
 */
import type { Packet } from "../packet/packet.ts";

const NONE = 0;

export class Knocks {
  /** By slot: the number of the first byte behind the SYN, and who sent it: direction + 1. */
  readonly #begin: Int32Array;
  readonly #from: Uint8Array;

  /** Of so many flows. */
  constructor(slots: number) {
    this.#begin = new Int32Array(slots);
    this.#from = new Uint8Array(slots);
  }

  /** The slot stands for another flow. */
  forget(slot: number): void {
    this.#from[slot] = NONE;
  }

  /** Notes a SYN of `direction`, whose first byte has the number `begin`. */
  note(slot: number, direction: number, begin: number): void {
    this.#begin[slot] = begin | 0;
    this.#from[slot] = direction + 1;
  }

  /** Whether the SYN-ACK of `direction` answers the SYN that was noted last. */
  isAnswered(slot: number, direction: number, { acknowledgement }: Packet): boolean {
    return this.#from[slot] === 2 - direction && this.#begin[slot] === (acknowledgement | 0);
  }
}
