/** Encrypted flows for tests, played by turns and lengths. */
import assert from "node:assert/strict";
import { Conversation, latin1, TestEngine, torrents } from "./conversation.ts";

export const HOST = "10.0.0.1:50000";
export const PEER = "198.51.100.1:40000";

/** 10.0.0.1 announces itself to a tracker, and is told of the IPv4 endpoint `peer` (BEP 15). */
export function asksTracker(test: TestEngine, peer: string): void {
  const announce = new Uint8Array(98);
  const view = new DataView(announce.buffer);
  view.setUint32(8, 1); // action: announce
  view.setUint32(12, 0x5eed_0002);
  announce.set(latin1("abcdefghij0123456789"), 16);
  view.setUint16(96, 6881);
  const [address, port] = peer.split(":");
  const answer = Uint8Array.of(
    ...[0, 0, 0, 1, 0x5e, 0xed, 0, 2, 0, 0, 7, 8, 0, 0, 0, 1, 0, 0, 0, 2],
    ...address.split(".").map(Number),
    ...[Number(port) >> 8, Number(port) & 0xff],
  );
  new Conversation(test, "udp", "10.0.0.1:6882", "203.0.113.10:1337")
    .say(0, announce).say(1, answer);
}

/** The endpoint is one of several, in different networks, with paddings of many lengths. */
export function isOneOfSeveral(test: TestEngine): void {
  for (const [peer, length] of [[2, 110], [3, 600], [4, 333]]) {
    new Conversation(test, "tcp", `10.0.0.1:4000${peer}`, `198.18.${peer}.1:2000${peer}`).open()
      .sayRandom(0, length);
  }
}

/** `>439 <100 >17`: initiator and responder, each in one packet, the last one of its write. */
export function says(flow: Conversation, text: string): Conversation {
  for (const [, side, digits] of text.matchAll(/([<>])(\d+)/g)) {
    flow.sayRandom(side === ">" ? 0 : 1, Number(digits));
  }
  return flow;
}

/** A flow that is played, and how many bytes of data went by before it was found. */
export class Play {
  /** Bytes in segments of a path's full size, and in the last one of a write, that passed. */
  passed = 0;
  readonly #test: TestEngine;
  readonly #flow: Conversation;

  /** @param negotiate with a proxy, which is `b` then, before the first turn */
  constructor(
    test: TestEngine,
    a = HOST,
    b = PEER,
    negotiate: (flow: Conversation) => unknown = () => {},
  ) {
    this.#test = test;
    this.#flow = new Conversation(test, "tcp", a, b).open();
    negotiate(this.#flow);
  }

  /** `>439 <100 >17 <16397w`: initiator and responder; `w` a write, in segments of a path's size. */
  say(text: string): this {
    for (const [, side, digits, isWrite] of text.matchAll(/([<>])(\d+)(w?)/g)) {
      const from = side === ">" ? 0 : 1;
      if (isWrite === "") this.#flow.sayRandom(from, Number(digits));
      for (let left = isWrite === "" ? 0 : Number(digits); left > 0; left -= 1448) {
        const before = this.#test.detections.length;
        this.#flow.sayRandom(from, Math.min(left, 1448), left <= 1448);
        if (before > 0 || this.#test.detections.length > 0) return this;
        this.passed += Math.min(left, 1448);
      }
    }
    return this;
  }
}

/** What may be known of the host, or of whom it talks to, before the flow in question. */
export const BESIDES: Readonly<Record<string, (test: TestEngine) => void>> = {
  nothing: () => {},
  host: torrents,
  several: isOneOfSeveral,
  named: (test) => asksTracker(test, PEER),
};

/** Third messages with a handshake, between paddings; of who calls three and who is called by three. */
export const SWARM = [">412 <458 >124 <301", ">478 <238 >124 <470", ">207 <580 >124 <187"];
export const SWARMS: Readonly<Record<string, (i: number) => [string, string]>> = {
  "fan-out": (i) => [`10.0.0.1:4000${i}`, `198.18.${i}.1:2000${i}`],
  called: (i) => [`198.18.${i}.1:4000${i}`, PEER],
};

/** Suspects whose first messages are, by chance, nearly as long as one another. */
export function areSuspectsAlike(test: TestEngine, others: readonly string[]): void {
  others.forEach((text, index) => {
    new Play(test, `10.0.0.1:5100${index}`, `198.18.${index}.1:2100${index}`).say(text);
  });
  assert.deepEqual(test.found, []);
}

/** Each conversation by itself, and whether it is found. */
export function findsOf(
  conversations: readonly (readonly [text: string, isFound: boolean])[],
): void {
  for (const [text, isFound] of conversations) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
}
