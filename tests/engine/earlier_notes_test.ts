/** When the engine asks what was noted of a flow before its packets came. */
import assert from "node:assert/strict";
import { CLEAN } from "../../src/engine/engine.ts";
import type { EarlierNotes, FlowNotes } from "../../src/engine/earlier_notes.ts";
import { Conversation, HANDSHAKE, latin1, TestEngine } from "./conversation.ts";

/** Has what a test puts there, once; counts how often it was asked. */
class Notes implements EarlierNotes {
  next: FlowNotes | null = null;
  asked = 0;
  /** Lengths of the requests whose answers were left to the kernel. */
  readonly awaited: number[] = [];

  awaitAnswer(requestLength: number): void {
    this.awaited.push(requestLength);
  }

  take(): FlowNotes | null {
    this.asked++;
    const notes = this.next;
    this.next = null;
    return notes;
  }
}

/** Both SYNs of a connection whose streams begin there, and nothing else. */
function opened(begin: [number, number], isFromInitiator: boolean): FlowNotes {
  return {
    isFromInitiator,
    isKnown: [true, true],
    begin,
    length: [0, 0],
    packets: [0, 0],
    handshake: [0, 0],
    hasAcknowledged: [false, false],
    inputInterface: [2, 3],
  };
}

const GET = latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
const PAGE = latin1("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
/** Where {@link Conversation}'s streams begin, behind their SYNs. */
const BEGIN: [number, number] = [0x7fff_ff01, 0xffff_fff1 | 0];

/** A connection whose SYNs the kernel noted, and its first two packets. */
function begun(): { test: TestEngine; notes: Notes; flow: Conversation } {
  const notes = new Notes();
  const test = new TestEngine({}, { notes });
  const flow = new Conversation(test, "tcp").skipSyns();
  notes.next = opened([...BEGIN], true);
  flow.say(0, GET).say(1, PAGE);
  return { test, notes, flow };
}

Deno.test("notes: a later connection that begins where the one before it stands is one of its own", () => {
  const { test, notes } = begun();
  // Who has both ends chooses such numbers; the kernel alone has seen the SYNs.
  const begin: [number, number] = [
    (BEGIN[0] + GET.length) | 0,
    (BEGIN[1] + PAGE.length) | 0,
  ];
  const later = new Conversation(test, "tcp").skipSyns([begin[0] - 1, begin[1] - 1]);
  notes.next = opened(begin, true);
  later.say(0, HANDSHAKE);
  assert.equal(notes.next, null, "taken");
  assert.deepEqual(test.found, ["peer-wire proof"]);
});

Deno.test("notes: a later connection on the same ports is one of its own", () => {
  for (const side of [0, 1] as const) {
    const { test, notes } = begun();
    const later = new Conversation(test, "tcp").skipSyns([77, 99]);
    notes.next = opened([78, 100], side === 0);
    later.say(side, HANDSHAKE);
    assert.equal(notes.next, null, "taken");
    assert.deepEqual(test.found, ["peer-wire proof"]);
  }
});

Deno.test("notes: a flow that was let go asks again", () => {
  const { notes, flow } = begun();
  while (flow.lastVerdict !== CLEAN) flow.say(0, GET).say(1, PAGE);
  const before = notes.asked;
  flow.say(0, GET);
  assert.equal(notes.asked, before + 1);
});

Deno.test("notes: a SYN-ACK seen before the SYN that was noted says where its stream begins", () => {
  const notes = new Notes();
  const test = new TestEngine({}, { notes });
  const flow = new Conversation(test, "tcp").answer();
  notes.next = { ...opened([...BEGIN], false), isKnown: [true, false] };
  flow.sayInPieces(1, HANDSHAKE, [10], (pieces) => pieces.reverse());
  assert.equal(notes.next, null, "taken");
  assert.deepEqual(test.found, ["peer-wire proof"]);
});

const ANNOUNCE_ANSWER = latin1("HTTP/1.1 200 OK\r\n\r\nd8:intervali1800e5:peers6:abcdefe");
const OPENINGS: readonly (readonly [name: string, opening: Uint8Array, isAwaited: boolean])[] = [
  ["a request", GET, true],
  ["one with a body", latin1("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"), true],
  ["one whose body has not come", latin1("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"), false],
  ["one that is cut", GET.subarray(0, GET.length - 1), false],
  ["one for a head", latin1("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), false],
  ["one behind a proxy's", latin1("CONNECT a:80 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"), false],
  ["one for a WebSocket", latin1("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"), false],
  ["another protocol", latin1("NICK foo\r\n"), false],
];
for (const [name, opening, isAwaited] of OPENINGS) {
  Deno.test(`notes: ${name} leaves its answer to ${isAwaited ? "the kernel" : "the engine"}`, () => {
    const notes = new Notes();
    const flow = new Conversation(new TestEngine({}, { notes }), "tcp").skipSyns();
    notes.next = opened([...BEGIN], true);
    flow.say(0, opening);
    assert.deepEqual(notes.awaited, isAwaited ? [opening.length] : []);
  });
}

Deno.test("notes: an answer that comes here all the same is judged", () => {
  const notes = new Notes();
  const test = new TestEngine({}, { notes });
  const flow = new Conversation(test, "tcp").skipSyns();
  notes.next = opened([...BEGIN], true);
  flow.say(0, GET).say(1, ANNOUNCE_ANSWER);
  assert.equal(notes.awaited.length, 1);
  assert.deepEqual(test.found, ["http-tracker proof"]);
});
