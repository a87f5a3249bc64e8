/** Encrypted flows of a libtorrent that goes on from the middle of a download, or is called by its seeds. */
import assert from "node:assert/strict";
import { TestEngine } from "./conversation.ts";
import { Play } from "./play.ts";

/** Recorded at connections that were reset in the middle of a download: three seeders that are called. */
const CALLING = [
  ">285 <166 >385 <39 >68 <295 >308 <23 <2896w",
  ">154 <401 >520 <106 >68 <295 >308 <23 <2896w",
  ">516 <490 >184 <331 >68 <295 >308 <32 <8688w",
];

Deno.test("encrypted: of several alike, `unchoke` with fewer allowed fast than five stands before data", () => {
  const passed = (flows: readonly string[]) => {
    const test = new TestEngine();
    return flows.map((text, i) =>
      new Play(test, `10.0.0.1:4000${i}`, `198.18.${i}.1:2000${i}`).say(text).passed
    );
  };
  assert.deepEqual(passed(CALLING), [2896, 2896, 0]);
  const [first, second, third] = CALLING;
  for (
    const other of [
      third.replace("<32", "<31"),
      third.replace("<32", "<59"),
      third.replace(">68", ">69"),
      third.replace("<295", "<263"),
    ]
  ) assert.deepEqual(passed([first, second, other]), [2896, 2896, 8688], other);
});

/** Recorded at the same host: seeders that call it. The first two show an end of a block. */
const CALLED = [
  ">385 <411 >483 <391 >68 <293 >237 <73 >14 >16397",
  ">478 <302 >391 <451 >68 <293 >237 <73 >14 >16397",
  ">167 <230 >178 <22 >68 <293 >237 <73 >14 >10136",
];
const HOST = "10.0.0.1:51413";

Deno.test("encrypted: where two who called a port were found, less is needed of the third", () => {
  const play = (texts: readonly string[], ports: readonly string[] = [HOST, HOST, HOST]) => {
    const test = new TestEngine();
    texts.forEach((text, i) => new Play(test, `198.18.${i}.1:2000${i}`, ports[i]).say(text));
    return test.detections.map(({ match }) => match.kind).join();
  };
  assert.equal(play(CALLED), "lengths,lengths,called");
  const [first, second, third] = CALLED;
  assert.equal(play([first, third, third]), "lengths");
  assert.equal(play(CALLED, [HOST, "10.0.0.1:51414", HOST]), "lengths,lengths");
  assert.equal(play(CALLED, [HOST, HOST, "10.0.0.1:51414"]), "lengths,lengths");
  for (const other of [third.replace(">68", ">69"), third.replace(">14", ">15")]) {
    assert.equal(play([first, second, other]), "lengths,lengths", other);
  }
});

/** Recorded: seeds of libtorrent's that call, each at its first write, which shows no end of a block. */
const SEEDS = [
  ">273 <393 >314 <124 >68 <280 >236 <73 >50 >10136",
  ">490 <215 >489 <149 >68 <272 >236 <73 >50 >10136",
  ">511 <282 >211 <215 >68 <280 >236 <73 >50 >10136",
  ">432 <206 >352 <324 >68 <271 >236 <73 >50 >10136",
];

Deno.test("encrypted: a seed that calls says `unchoke` as the ninth turn, behind requests", () => {
  const found = (texts: readonly string[]) => {
    const test = new TestEngine();
    texts.forEach((text, i) => new Play(test, `198.18.${i}.1:2000${i}`, HOST).say(text));
    return test.found;
  };
  assert.deepEqual(found(SEEDS.slice(0, 2)), []);
  assert.equal(found(SEEDS).length, 2); // the third is the first that a swarm's port tells of
  const others = SEEDS.slice(0, 3);
  for (
    const other of [
      SEEDS[3].replace("<73", "<72"),
      SEEDS[3].replace(">50", ">51"),
      SEEDS[3].replace("<73 >50", ">50 <73"),
      SEEDS[3].replace(" <73", ""),
      SEEDS[3].replace(">68", ">69"),
    ]
  ) assert.equal(found([...others, other]).length, 1, other);
});
