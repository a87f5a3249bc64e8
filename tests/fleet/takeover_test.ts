/** The fleet's decisions put into force: what meets what. */
import assert from "node:assert/strict";
import type { News } from "../../src/fleet/decisions.ts";
import { Takeover } from "../../src/fleet/takeover.ts";
import { REASON_FLEET, REASON_MANUAL, reasonNumber } from "../../src/gateway/bans/bans.ts";
import { Networks, parseNetwork } from "../../src/gateway/network/networks.ts";
import { networkKey } from "../../src/gateway/bans/ban_key.ts";
import { bansOf, decision, HOUR, secondsLeft } from "./bans.ts";

const ignore = Deno.build.os !== "linux";
const A = "192.0.2.1";
const B = "2001:db8::/64";
const DHT = reasonNumber("dht");

const news = (added: News["added"], deleted: News["deleted"] = []): News => ({
  ...{ added, deleted, skipped: 0 },
});

function setUp(
  { never = ["127.0.0.0/8", "203.0.113.1"], most = 100, wasMember = false, sharesPrivate = false } =
    {},
) {
  const bans = bansOf();
  const messages: string[] = [];
  const known = new Set<string>();
  const underWay = new Set<string>();
  const networks = new Networks(new SharedArrayBuffer(Networks.byteLength(16)));
  const setNever = (texts: readonly string[]) =>
    networks.replace(texts.map((text) => parseNetwork(text)!));
  setNever(never);
  const own = {
    isUnderWay: (key: string) => underWay.has(key),
    isKnown: (key: string) => known.has(key),
    known: () => known,
    forget: (key: string) => void known.delete(key),
  };
  const takeover = new Takeover({
    ...{ bans, never: networks, most, own, wasMember, sharesPrivate },
    log: (_, message) => messages.push(message),
  });
  const left = (text: string) => secondsLeft(bans, text);
  return { takeover, bans, left, messages, known, underWay, setNever };
}

Deno.test("a snapshot, then what comes and goes", { ignore }, async () => {
  const { takeover, left, bans } = setUp();
  await takeover.snapshot(news([decision(A, HOUR, 1), decision(B, 2 * HOUR, 2)]));
  assert.equal(left(A), 3600);
  assert.equal(left(B), 7200);
  await takeover.news(news([decision("198.51.100.0/24", HOUR, 3)]));
  assert.equal(left("198.51.100.0/24"), 3600);
  assert.ok(bans.list().every(({ reason }) => reason === "fleet"));
  await takeover.news(news([], [decision(A, -1, 1), decision("198.51.100.0/24", -1, 3)]));
  assert.equal(left(A), null);
  assert.equal(left("198.51.100.0/24"), null);
  assert.equal(left(B), 7200);
  await takeover.snapshot(news([decision(A, HOUR, 9)]));
  assert.equal(left(B), null, "gone while nobody told us");
  assert.equal(left(A), 3600);
});

Deno.test("twice, ended, and of no meaning", { ignore }, async () => {
  const { takeover, left } = setUp();
  await takeover.snapshot(news([]));
  await takeover.news(news([decision(A, HOUR, 1), decision(A, HOUR, 1), decision(B, -HOUR, 2)]));
  assert.equal(left(A), 3600);
  assert.equal(left(B), null);
  assert.equal(takeover.size, 1);
  await takeover.news(news([], [decision(B, -1, 2), decision("192.0.2.99", -1, 77)]));
  await takeover.news(news([], [decision(A, -1, 1)]));
  await takeover.news(news([decision(A, HOUR, 5)], [decision(A, -10, 1)])); // told of twice
  assert.equal(left(A), 3600);
});

Deno.test("of several decisions the longest holds, whichever goes", { ignore }, async () => {
  const { takeover, left } = setUp();
  await takeover.snapshot(news([decision(A, HOUR, 1), decision(A, 3 * HOUR, 2)]));
  assert.equal(left(A), 3 * 3600);
  await takeover.news(news([], [decision(A, -1, 2)]));
  assert.equal(left(A), 3600);
  await takeover.news(news([decision(A, 2 * HOUR, 3)], [decision(A, -1, 1)]));
  assert.equal(left(A), 7200);
  await takeover.news(news([], [decision(A, -1, 3)]));
  assert.equal(left(A), null);
});

Deno.test(
  "a decision of our own changes nothing; lifted, it lifts our ban",
  { ignore },
  async () => {
    const { takeover, bans, left, known } = setUp();
    const network = networkKey(parseNetwork(A)!);
    await takeover.snapshot(news([]));
    bans.add(network, HOUR, DHT);
    known.add(A);
    await takeover.news(news([decision(A, HOUR - 700, 1)]));
    assert.equal(bans.find(network)?.reason, DHT, "the reason stays");
    await takeover.news(news([], [decision(A, -1, 1)]));
    assert.equal(left(A), null);
    assert.equal(known.has(A), false, "the next offence is told of");
  },
);

Deno.test("made and lifted between two questions", { ignore }, async () => {
  const { takeover, bans, left, known } = setUp();
  await takeover.snapshot(news([]));
  bans.add(networkKey(parseNetwork(A)!), HOUR, DHT);
  known.add(A);
  await takeover.news(news([], [decision(A, -1, 1)]));
  assert.equal(left(A), null);
});

Deno.test("a decision that ends by itself leaves a renewed ban of ours", { ignore }, async () => {
  const { takeover, bans, left, known } = setUp();
  bans.add(networkKey(parseNetwork(A)!), HOUR, DHT);
  known.add(A);
  await takeover.snapshot(news([decision(A, 1_000, 1)]));
  await takeover.news(news([], [decision(A, -1, 1)]));
  assert.equal(left(A), 3600);
});

Deno.test("a new offence on its way to the fleet outlasts a lift", { ignore }, async () => {
  const { takeover, bans, left, underWay } = setUp();
  await takeover.snapshot(news([decision(A, HOUR, 1)]));
  bans.add(networkKey(parseNetwork(A)!), HOUR, DHT);
  underWay.add(A);
  await takeover.news(news([], [decision(A, -1, 1)]));
  assert.equal(left(A), 3600);
  await takeover.snapshot(news([]));
  assert.equal(left(A), 3600);
});

Deno.test("bans by hand are not the fleet's to lift", { ignore }, async () => {
  const { takeover, bans, left, known } = setUp();
  await takeover.snapshot(news([]));
  bans.add(networkKey(parseNetwork(A)!), HOUR, REASON_MANUAL);
  known.add(A);
  await takeover.news(news([decision(A, HOUR / 2, 1)], []));
  await takeover.news(news([], [decision(A, -1, 1)]));
  assert.equal(left(A), 3600);
});

const refused = [
  "203.0.113.1", // its own
  "203.0.113.0/24",
  "127.0.0.1",
  "0.0.0.0/0",
  "::/0",
  "64.0.0.0/7", // holds nothing of ours, and is no network that one bans
  "2000::/3",
];

Deno.test("decisions against this machine are ignored, each told once", { ignore }, async () => {
  const { takeover, bans, messages } = setUp();
  const all = refused.map((text, index) => decision(text, HOUR, index + 1));
  await takeover.snapshot(news(all));
  await takeover.snapshot(news(all));
  takeover.refresh();
  assert.deepEqual(bans.list(), []);
  assert.equal(messages.length, refused.length, messages.join("\n"));
  assert.match(messages[0], /The fleet's ban of 203\.0\.113\.1 is ignored: it has this machine/);
  assert.match(messages[5], /64\.0\.0\.0\/7 is ignored: it is too wide/);
});

Deno.test("a flood of such decisions does not flood the log", { ignore }, async () => {
  const { takeover, messages } = setUp({ never: ["10.0.0.0/8"], most: 10_000 });
  const flood = Array.from(
    { length: 5_000 },
    (_, i) => decision(`10.0.${i >> 8}.${i & 255}`, HOUR),
  );
  await takeover.snapshot(news(flood));
  assert.equal(messages.length, 101);
});

Deno.test("a changed white list lifts and bans again", { ignore }, async () => {
  const { takeover, left, setNever } = setUp({ never: ["192.0.2.0/28"] });
  await takeover.snapshot(news([decision(A, HOUR, 1), decision(B, HOUR, 2)]));
  assert.equal(left(A), null);
  setNever(["2001:db8::/32"]);
  takeover.refresh();
  assert.equal(left(A), 3600);
  assert.equal(left(B), null);
});

Deno.test("more than there is room for is left out and told once", { ignore }, async () => {
  const { takeover, messages, bans } = setUp({ most: 10 });
  const many = Array.from({ length: 25 }, (_, i) => decision(`192.0.2.${i}`, HOUR));
  await takeover.snapshot(news(many));
  await takeover.snapshot(news(many));
  assert.equal(bans.list().length, 10);
  assert.equal(messages.length, 1);
  assert.match(messages[0], /15 are left out/);
});

Deno.test("bans of an earlier run: what the fleet has lifted since goes", { ignore }, async () => {
  for (const wasMember of [false, true]) {
    const { takeover, bans, left, underWay } = setUp({ wasMember });
    const restore = (text: string, reason: number) => {
      bans.add(networkKey(parseNetwork(text)!), HOUR, reason);
    };
    restore("192.0.2.1", REASON_FLEET);
    restore("192.0.2.2", REASON_FLEET); // still decided
    restore("192.0.2.3", DHT); // told of, and lifted since
    restore("192.0.2.4", DHT); // told of, still decided
    restore("192.0.2.5", DHT); // waits in the spool
    restore("192.0.2.6", REASON_MANUAL);
    restore("198.51.100.0/24", REASON_FLEET);
    underWay.add("192.0.2.5");
    await takeover.snapshot(news([decision("192.0.2.2", HOUR), decision("192.0.2.4", HOUR)]));
    const banned = ["1", "2", "3", "4", "5", "6"].filter((n) => left(`192.0.2.${n}`) !== null);
    // Who was in no fleet has told nobody: such bans stay.
    assert.deepEqual(banned, wasMember ? ["2", "4", "5", "6"] : ["2", "3", "4", "5", "6"]);
    assert.equal(left("198.51.100.0/24"), null);
  }
});

Deno.test("a ban lifted by hand here stays lifted here", { ignore }, async () => {
  const { takeover, bans, left } = setUp();
  await takeover.snapshot(news([decision(A, HOUR, 1)]));
  bans.liftAddress(parseNetwork(A)!.words);
  await takeover.snapshot(news([decision(A, HOUR, 1)]));
  takeover.refresh();
  assert.equal(left(A), null);
  await takeover.news(news([decision(A, HOUR, 2)]));
  assert.equal(left(A), 3600, "a new decision is another matter");
});

Deno.test("what was told of and is in no snapshot was lifted", { ignore }, async () => {
  const { takeover, bans, left, known } = setUp();
  await takeover.snapshot(news([]));
  bans.add(networkKey(parseNetwork(A)!), HOUR, DHT);
  known.add(A);
  await takeover.snapshot(news([]));
  assert.equal(left(A), null);
});

const PRIVATE = [
  "10.8.0.5",
  "192.168.1.0/24",
  "100.64.9.9",
  "169.254.1.1",
  "fd00::/64",
  "fe80::/64",
];

Deno.test("private addresses are others here, unless told otherwise", { ignore }, async () => {
  for (const sharesPrivate of [false, true]) {
    const { takeover, left, messages } = setUp({ sharesPrivate });
    await takeover.snapshot(
      news([...PRIVATE, "172.0.0.0/8", A].map((text) => decision(text, HOUR))),
    );
    for (const text of [...PRIVATE, "172.0.0.0/8"]) {
      assert.equal(left(text), sharesPrivate ? 3600 : null, text);
    }
    assert.equal(left(A), 3600);
    assert.equal(messages.length, sharesPrivate ? 0 : PRIVATE.length + 1);
  }
});

Deno.test("our own bans of private addresses outlive a restart", { ignore }, async () => {
  const { takeover, bans, left } = setUp({ wasMember: true });
  for (const text of ["10.8.0.5", B]) bans.add(networkKey(parseNetwork(text)!), HOUR, DHT);
  await takeover.snapshot(news([]));
  assert.equal(left("10.8.0.5"), 3600, "nobody was ever told of it");
  assert.equal(left(B), null);
});
