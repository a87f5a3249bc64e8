/**
 * Where the senders of packets are: the kernel's routes, asked when something is held against one
 * (`sender.ts` of the engine), never for each packet. An answer is kept until a route, an address or a
 * link changes, and some seconds at most: routing rules change without a word.
 */
import { bootTimeMs } from "../../../ffi/libc.ts";
import { NetlinkEvents, RouteSocket } from "../../../ffi/libc_net.ts";
import type { Paths } from "../../engine/sender.ts";
import { isUplink } from "./local_addresses.ts";
import { Networks } from "./networks.ts";
import { MOST_NEXT_HOPS, readRoute, type RouteAnswer, routeQuestion } from "./route_answer.ts";

/** Answers kept, each at the place its address hashes to. */
const PLACES = 1024;
/** address 4, generation, time, whether it is own, number of interfaces, interfaces. */
const WORDS = 16;
const GENERATION = 4;
const TIME = 5;
const IS_OWN = 6;
const COUNT = 7;
const INTERFACES = 8;
/** Answers are asked for anew after this. */
const KEPT_MS = 5_000;
/** Datagrams of changes taken at once: one is enough to forget all. */
const MOST_EVENTS = 64;

/** `LocalAddresses`' buffers. */
export interface RouteKnowledge {
  readonly ours: SharedArrayBuffer;
  readonly uplinks: SharedArrayBuffer;
}

export class SourceRoutes implements Paths, Disposable {
  readonly #ours: Networks;
  readonly #uplinks: Int32Array;
  readonly #events = NetlinkEvents.ofRoutes(); // before the first question, to miss no change
  readonly #socket: RouteSocket;
  readonly #places = new Int32Array(PLACES * WORDS);
  readonly #answer: RouteAnswer = {
    isOwn: false,
    count: 0,
    interfaces: new Int32Array(MOST_NEXT_HOPS),
  };
  /** Never 0, that of a free place. */
  #generation = 1;

  constructor({ ours, uplinks }: RouteKnowledge) {
    this.#ours = new Networks(ours);
    this.#uplinks = new Int32Array(uplinks);
    try {
      this.#socket = new RouteSocket();
    } catch (error) {
      this.#events[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Whether networks of ours are behind the interface: it is none of the uplinks. A machine without a
   * default route (a full table, say) does not tell its uplinks: there the address has to be of a
   * connected network, or private.
   */
  isInside(address: Int32Array, at: number, interfaceNumber: number): boolean {
    if (isUplink(this.#uplinks, interfaceNumber)) return false;
    return this.#hasUplink() || this.#ours.contains(address, at);
  }

  isOwn(address: Int32Array, at: number): boolean {
    return this.#places[this.#place(address, at) + IS_OWN] !== 0;
  }

  leadsBack(address: Int32Array, at: number, interfaceNumber: number): boolean {
    if (isLinkLocal(address, at)) return true; // of any link, so of this one
    const place = this.#place(address, at);
    const places = this.#places;
    const comesFromOutside = isUplink(this.#uplinks, interfaceNumber);
    for (let i = 0; i < places[place + COUNT]; i++) {
      const way = places[place + INTERFACES + i];
      if (way === interfaceNumber) return true;
      // Of several uplinks any may bring the answer.
      if (comesFromOutside && isUplink(this.#uplinks, way)) return true;
    }
    return false;
  }

  #hasUplink(): boolean {
    for (let i = 0; i < this.#uplinks.length; i++) if (this.#uplinks[i] !== 0) return true;
    return false;
  }

  /** Where the answer about the address stands, asked for where it is not there or old. */
  #place(address: Int32Array, at: number): number {
    this.#forgetWhatChanged();
    const place = (hashOf(address, at) & (PLACES - 1)) * WORDS;
    const places = this.#places;
    const now = bootTimeMs() | 0;
    let isKnown = places[place + GENERATION] === this.#generation &&
      ((now - places[place + TIME]) | 0) < KEPT_MS;
    for (let word = 0; isKnown && word < 4; word++) {
      isKnown = places[place + word] === address[at + word];
    }
    if (isKnown) return place;
    const answer = this.#answer;
    const bytes = this.#socket.ask(routeQuestion(address, at));
    readRoute(typeof bytes === "number" ? new Uint8Array(0) : bytes, answer);
    for (let word = 0; word < 4; word++) places[place + word] = address[at + word];
    places[place + GENERATION] = this.#generation;
    places[place + TIME] = now;
    places[place + IS_OWN] = answer.isOwn ? 1 : 0;
    places[place + COUNT] = answer.count;
    places.set(answer.interfaces, place + INTERFACES);
    return place;
  }

  #forgetWhatChanged(): void {
    let hasChanged = false;
    for (let i = 0; i < MOST_EVENTS && this.#events.next() !== null; i++) hasChanged = true;
    if (hasChanged) this.#generation = (this.#generation % 0x7fff_ffff) + 1;
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
    this.#socket[Symbol.dispose]();
  }
}

/** fe80::/10 (RFC 4291). */
function isLinkLocal(address: Int32Array, at: number): boolean {
  return address[at] >>> 22 === 0x3fa;
}

function hashOf(address: Int32Array, at: number): number {
  let hash = 0;
  for (let word = 0; word < 4; word++) {
    hash = Math.imul(hash ^ address[at + word], 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
