/** Encrypted flows that a relay has read and written anew: messages are joined, and cut elsewhere. */
import assert from "node:assert/strict";
import { TestEngine } from "./conversation.ts";
import { findsOf, isOneOfSeveral, Play } from "./play.ts";

/** Data as a relay reads and writes it: what is allowed fast and four blocks, then requests. */
const RELAYED = ">603 <131 >452 <21 >68 <294 >277";
/** Whose seed says no more of itself than who asks, so that it takes the requests. */
const NOT_LONGER = RELAYED.replace("<294", "<277");

Deno.test("encrypted: requests just when relayed data has ended whole blocks behind its beginning", () => {
  const data = "<10136 <10136 <21720 <6324 <13032 <4290"; // 50 + 4 blocks
  const found: readonly (readonly [string, boolean])[] = [
    [`${RELAYED} ${data} >136`, true],
    [`${RELAYED} ${data} >120`, true], // 6 requests and two haves
    [`${RELAYED} <10136 <10136 >18 <21720 <6324 >9 <13032 <4290 >136`, true], // haves in between
    [`${RELAYED} <10136 <10136 <21720 <6324 <13032 <4245 >136`, true], // `unchoke` alone
    // A block's end stands where the relay had no more to read.
    [`>606 <528 >563 <508 >68 <293 >285 <10136 <10136 <12116 <16853 <10136 <6261 >136`, true],
    [`>606 <528 >563 <508 >68 <293 >250 <10136 <10136 <12116 <16853 <10136 <6261 >140`, false],
    [`${NOT_LONGER} ${data} >136`, true],
    [`${NOT_LONGER} ${data} >140`, false],
    [`${NOT_LONGER} ${data} >18`, false],
    [`${RELAYED} <10136 <10136 <21720 <6324 <13032 <4291 >136`, false],
    [`${RELAYED} <10136 <10136 <21720 <6324 <13032 <4239 >136`, false],
    [`>603 <131 >452 <21 >69 <294 >277 ${data} >136`, false],
    // aria2: an empty list of peers, `unchoke` and six blocks, joined (recorded).
    [
      ">421 <291 >528 <482 >68 <68 >185 <185 >115 <11584 <11584 <17376 <5792 <6730 <37648 <7681 >162",
      true,
    ],
    // The handshake came with the third message: enough with what both say of their extensions (recorded).
    [`>353 <385 >301 >68 <255 <294 >277 ${data} >136`, true],
    [`>353 <385 >301 >68 <255 <294 >240 ${data} >136`, false],
  ];
  for (const [text, isFound] of found) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
  const beside = new TestEngine();
  isOneOfSeveral(beside);
  new Play(beside).say(found.at(-1)![0]);
  assert.deepEqual(beside.found, ["mse strong"], "one of several");
});

Deno.test("encrypted: behind a relay what both say of their extensions stands for a handshake's length", () => {
  // Recorded of qBittorrent: the handshake went out within the third message.
  const opening = ">548 <593 >450 <245 <293 >286";
  const data = "<10136 <6324 <18824 <18824 <11530"; // 50 + 4 blocks
  for (
    const [text, isFound] of [
      [`${opening} ${data} >136 <13 <16384w`, true],
      [`${opening} ${data} >136 <16397 <32794w`, true],
      // `unchoke` and what is allowed fast by itself, a have between them and the data.
      [
        ">568 <520 >149 <61 <293 >294 <50 >9 <11584 <11584 <17376 <23168 <1824 <52 >81 >17 <16397w",
        true,
      ],
      // Alone three blocks are not enough, nor is what is no such sum.
      [`${opening} <10136 <6324 <18824 <13957 >136 <5000`, false],
      [`${opening} <10136 <6324 <18824 <18824 <11531 >136 <13 <16384w`, false],
      [`${opening} ${data} >140 <5000 <16384w`, false],
      // Not alike, and not in a write by itself.
      [`>548 <593 >450 <245 <293 >250 ${data} >136 <13 <16384w`, false],
      [`>548 <593 >450 <538 >286 ${data} >136 <13 <16384w`, false],
    ] as const
  ) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
});

Deno.test("encrypted: behind a relay blocks are waited for beyond the first requests' where both say the same", () => {
  const test = new TestEngine();
  isOneOfSeveral(test);
  new Play(test).say(
    ">430 <250 >569 <286 <293 >285 <10136 <10136 <14480 <5792 <20272 <4822 <5792 <11584 <8688 >18 >34 " +
      ">27 <16397 <16397 >129",
  );
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("encrypted: the first four blocks, joined with what stands before them, are one length of many", () => {
  // qBittorrent by itself, through a proxy that joined all that stood before.
  const text = ">275 <220 >489 <51 <293 >286 <65638w >154";
  findsOf([
    [text, true],
    [text.replace("65638", "65637"), false],
    [text.replace("65638", `${50 + 3 * 16_397}`), false],
    [text.replace("<293", "<286"), false],
    [text.replace("<293", "<305"), false],
    [text.replace(">154", ">155"), false],
  ]);
});

Deno.test("encrypted: what one says behind its handshake, joined with it by a relay, is what the other says", () => {
  // aria2 through a CONNECT proxy, recorded: `unchoke` and six blocks in one stroke.
  const text = ">484 <287 >90 <111 >68 <253 >185 <8 >115 <98387w >17";
  findsOf([
    [text, true],
    [text.replace("253", "254"), false],
    [text.replace("98387", "98386"), false],
    [text.replace(">17", ">18"), false],
  ]);
});

Deno.test("encrypted: what aria2 says of itself behind two handshakes tells of one that a relay has joined", () => {
  const shown = [
    ">479 <489 >102 <508 >68 <68 >185 <185 >102",
    ">260 <300 >452 <78 >68 <68 >185 <185 >102",
  ];
  const joined = ">484 <287 >90 <111 >68 <253 >185 <8 >115 <16397w";
  const echoed = ">484 <287 >90 <111 >68 <68 >185 <185 >39 <39 <16396w";
  for (
    const [others, text, passed, found] of [
      [shown, joined, 0, ["mse strong"]], // the first data, not the first block's end
      [shown, joined.replace(">185", ">188"), 15_928, ["mse strong"]],
      [shown, joined.replace(">68", ">69"), 16_397, []],
      [shown, joined.replace("<253", "<279").replace("16397", "16396"), 16_396, []],
      [shown.map((text) => text.replace("<68", "<69")), joined, 15_928, ["mse strong"]],
      [shown, echoed, 16_396, []], // an echo is no kin
    ] as const
  ) {
    const test = new TestEngine();
    others.forEach((other, i) =>
      new Play(test, `10.0.0.1:4000${i}`, `198.18.${i + 2}.1:2000${i}`).say(other)
    );
    assert.deepEqual([new Play(test).say(text).passed, test.found], [passed, found], text);
  }
});
