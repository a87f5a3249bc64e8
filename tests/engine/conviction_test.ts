/** Whom a find is held against, whom it may ban, and whose endpoints are believed. */
import assert from "node:assert/strict";
import { Convictions } from "../../src/engine/conviction.ts";
import { HostEvidence } from "../../src/engine/host_evidence.ts";
import { FoundMatch } from "../../src/engine/outcome.ts";
import { BOTH_ENDS, DESTINATION_END, SOURCE_END } from "../../src/engine/sender.ts";
import { parseAddress } from "../../src/packet/address.ts";
import { Packet } from "../../src/packet/packet.ts";
import { type Match, match } from "../../src/protocols/match.ts";
import type { BanCondition } from "../../src/protocols/methods.ts";
import { Conversation, latin1, TestEngine } from "./conversation.ts";

const ANY = match("utp", "two-way", "strong", "of a test");
const DHT_ANSWER = match("dht", "peers-response", "proof", "of a test");
const NOW = 1_700_000_000_000;
const HOST = "2001:db8::7";

/** Of a find: ends as bits, those that offend are those that acted unless said. */
interface Facts {
  readonly acted?: number;
  readonly offenders?: number;
  readonly real?: number;
  readonly text?: string;
  readonly tunnelled?: boolean;
}

/** One host's evidence, and the finds of packets that it gets or sends. */
class Court {
  readonly evidence = new HostEvidence();
  readonly #convictions = new Convictions(this.evidence);

  convict(
    { source = HOST, destination = "2001:db8:1::1", found = ANY as Match, direction = 0 },
    condition: BanCondition,
    { acted = SOURCE_END, offenders = -1, real = BOTH_ENDS, ...rest }: Facts = {},
  ) {
    const { text = "", tunnelled = false } = rest;
    const packet = new Packet();
    const bytes = latin1(text);
    Object.assign(packet, { family: 6, protocol: 17, timeMs: NOW, bytes, tunnelled });
    packet.payloadEnd = packet.payloadLength = bytes.length;
    packet.address.set(parseAddress(source)!, 0);
    packet.address.set(parseAddress(destination)!, 4);
    const finding = new FoundMatch();
    finding.set(found, bytes, 0, bytes.length, acted);
    finding.offenders = offenders < 0 ? acted : offenders;
    const { mayBan, ban } = this.#convictions.convict(finding, packet, direction, real, condition);
    return { mayBan, ban };
  }

  isProven(address: string): boolean {
    return this.evidence.isProven(parseAddress(address)!, 0, NOW);
  }

  isNamed(peer: string, port: number, host = HOST): boolean {
    const endpoint = { address: parseAddress(peer)!, at: 0, port };
    return this.evidence.isNamed(parseAddress(host)!, 0, endpoint, NOW);
  }
}

Deno.test("a find is held against ends that offend and are real, and no other", () => {
  const [a, b] = ["10.0.0.1", "198.51.100.1"];
  for (let offenders = 0; offenders <= BOTH_ENDS; offenders++) {
    for (let real = 0; real <= BOTH_ENDS; real++) {
      const court = new Court();
      const { ban } = court.convict({ source: a, destination: b }, "always", { offenders, real });
      const ends = offenders & real;
      const told = `offenders ${offenders}, real ${real}`;
      assert.equal(ban, ends !== 0, told);
      assert.equal(court.isProven(a), (ends & SOURCE_END) !== 0, told);
      assert.equal(court.isProven(b), (ends & DESTINATION_END) !== 0, told);
    }
  }
});

Deno.test("nobody is held for what is found in a tunnel", () => {
  const court = new Court();
  const judged = court.convict({}, "always", { tunnelled: true });
  assert.deepEqual(judged, { mayBan: false, ban: false });
  assert.equal(court.isProven(HOST), false);
});

Deno.test("a find that takes a client's name bans where the bytes tell one", () => {
  const query = (rest: string) => `d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa${rest}1:y1:qe`;
  for (const [text, mayBan] of [[query("1:v4:LT\x01\x2f"), true], [query(""), false]] as const) {
    const court = new Court();
    const found = match("dht", "ping", "proof", "of a test");
    assert.equal(court.convict({ found }, "client", { text }).mayBan, mayBan);
    assert.equal(court.isProven(HOST), mayBan);
  }
});

Deno.test("a find that takes evidence is not helped by what is known of the end that does not offend", () => {
  const peer = "2001:db8:1::1";
  for (
    const [known, real, mayBan] of [
      [HOST, BOTH_ENDS, true],
      [HOST, DESTINATION_END, false], // another may have written in its name
      [peer, BOTH_ENDS, false],
    ] as const
  ) {
    const court = new Court();
    court.evidence.prove(parseAddress(known)!, 0, NOW);
    const judged = court.convict({ destination: peer }, "evidence", { real });
    assert.equal(judged.mayBan, mayBan, `${known}, ${real}`);
  }
});

Deno.test("a find that takes evidence bans with the eighth address that was called so", () => {
  const callOf = (court: Court, i: number, direction: number, real: number, source = HOST) =>
    court.convict({ source, destination: `198.51.100.${i}`, direction }, "evidence", { real })
      .mayBan;
  const rows = [
    ["called eight, who are real", 0, BOTH_ENDS, true],
    ["called eight that were not heard", 0, SOURCE_END, true],
    ["was called by eight real ones", 1, BOTH_ENDS, true],
    ["was called in the names of eight", 1, SOURCE_END, false],
  ] as const;
  for (const [name, direction, real, reached] of rows) {
    const court = new Court();
    for (let i = 1; i < 8; i++) assert.equal(callOf(court, i, direction, real), false, name);
    assert.equal(callOf(court, 7, direction, real), false, `${name}, the last once more`);
    assert.equal(callOf(court, 8, direction, real, "10.0.0.3"), false, "of another host");
    assert.equal(callOf(court, 8, direction, real), reached, name);
  }
});

// BEP 5 and 32: `values` of 6 and 18 bytes.
const PEER6 = "\x20\x01\x0d\xb8\x00\x02" + "\0".repeat(9) + "\x09";
const ANSWER = "d1:rd2:id20:abcdefghij01234567895:token1:a6:valuesl" +
  `6:\xcb\x00\x71\x09\x1a\xe1` + `18:${PEER6}\xc8\xd5` + "ee1:t2:aa1:y1:re";

Deno.test("endpoints of an answer, IPv4 and IPv6, are its asker's, who is real and offends alone", () => {
  const asker = "2001:db8:1::1";
  const rows = [
    ["an answer", DESTINATION_END, BOTH_ENDS, true],
    ["its sender is not known", DESTINATION_END, DESTINATION_END, true],
    ["its asker is not", DESTINATION_END, SOURCE_END, false],
    ["both act as peers", BOTH_ENDS, BOTH_ENDS, false],
    ["whoever sends it", SOURCE_END, BOTH_ENDS, false],
  ] as const;
  for (const [name, offenders, real, believed] of rows) {
    const court = new Court();
    const found = { destination: asker, found: DHT_ANSWER };
    court.convict(found, "never", { offenders, real, text: ANSWER });
    assert.equal(court.isNamed("203.0.113.9", 6881, asker), believed, name);
    assert.equal(court.isNamed("2001:db8:2::9", 51413, asker), believed, name);
    assert.equal(court.isNamed("2001:db8:3::9", 51413, asker), false, name);
    assert.equal(court.isNamed("::2:0:0:9", 51413, asker), false, name);
    assert.equal(court.isNamed("2001:db8:2::9", 51413), false, "told to another");
  }
});

// BEP 5: get_peers, which bans whoever sends it.
const GET_PEERS = latin1(
  "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
);

Deno.test("in a capture a datagram's sender torrents once the other end has answered", () => {
  const [asker, asked] = ["10.0.0.1", "198.51.100.1"];
  const rows: [name: string, answer: (flow: Conversation) => unknown, isKnown: boolean][] = [
    ["nobody answers", () => {}, false],
    ["asks once more", (flow) => flow.say(0, GET_PEERS), false],
    ["is answered", (flow) => flow.say(1, latin1("whatever it is")), true],
    ["is answered, asks once more", (flow) => flow.say(1, latin1("x")).say(0, GET_PEERS), true],
  ];
  for (const [name, answer, isKnown] of rows) {
    const evidence = new HostEvidence();
    const test = new TestEngine({}, { evidence });
    const flow = new Conversation(test, "udp", `${asker}:50000`, `${asked}:40000`);
    flow.say(0, GET_PEERS);
    answer(flow);
    const known = [asker, asked].map((host) =>
      evidence.isProven(parseAddress(host)!, 0, test.nowMs)
    );
    assert.deepEqual(known, [isKnown, false], name);
    assert.equal(test.detections.length, 1, name);
    assert.equal(test.detections[0].ban, false, name);
  }
});
