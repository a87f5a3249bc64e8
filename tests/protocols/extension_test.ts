import assert from "node:assert/strict";
import { detectExtension } from "../../src/protocols/extension/detect.ts";
import { isMatch } from "../../src/protocols/match.ts";
import { hex, join, latin1 } from "./datagrams.ts";
import { inWords, type StreamCase, testProperties, testTable } from "./streams.ts";

/** A whole message: u32 length, 20, extended id, payload. */
function message(id: number, payload: Uint8Array | string): Uint8Array {
  const body = typeof payload === "string" ? latin1(payload) : payload;
  const length = body.length + 2;
  return join(Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length, 20, id), body);
}

/** bittorrent_tcp_miss.pcapng, frame 11: libtorrent 1.2.2. */
const LIBTORRENT = hex(
  "000000ce14006431323a636f6d706c6574655f61676f692d3165313a6d6431313a6c745f646f6e746861766569376531" +
    "303a73686172655f6d6f646569386531313a75706c6f61645f6f6e6c7969336531323a75745f686f6c6570756e63" +
    "6869346531313a75745f6d65746164617461693265363a75745f7065786931656531333a6d657461646174615f73" +
    "697a6569323032333265313a7069343133313165343a726571716935303065313a7631383a6c6962746f7272656e" +
    "742f312e322e322e30363a796f75726970343ab247ce0165",
);
/** mercury-bittorrent.pcap, frame 3: uTorrent 1.6.1, whose `m` is empty. */
const UTORRENT = hex(
  "0000002d140064313a65693065313a6d6465313a7069313630353265313a7631343ab5546f7272656e7420312e362e3165",
);
/** Transmission 3.00 and libtorrent 2.0.8, recorded from the clients. */
const PEX = hex("0000001f140164353a6164646564363ac6120102c8d5373a61646465642e66313a1065");
const METADATA_REQUEST = hex("0000001b140264383a6d73675f74797065693065353a706965636569306565");
const METADATA_DATA = join(
  hex("000000ae140264"),
  latin1("8:msg_typei1e5:piecei0e10:total_sizei129ee"),
  latin1("d6:lengthi98304e4:name10:sample.bin12:piece lengthi32768e6:pieces60:"),
  new Uint8Array(0xae + 4 - 7 - 42 - 68),
);

const HANDSHAKE = "extension handshake";
const rows: readonly StreamCase[] = [
  { name: "accepts libtorrent's handshake", bytes: LIBTORRENT, expected: HANDSHAKE },
  {
    name: "accepts a handshake cut behind the first known name",
    bytes: LIBTORRENT.slice(0, 47),
    expected: HANDSHAKE,
  },
  { name: "waits for that name", bytes: LIBTORRENT.slice(0, 40), expected: "more" },
  {
    name: "accepts uTorrent's handshake without extensions",
    bytes: UTORRENT,
    expected: "extension handshake without extensions",
  },
  {
    name: "rejects a handshake whose dictionary is shorter than the message",
    bytes: join(hex("0000002e"), UTORRENT.slice(4), hex("00")),
    expected: "no",
  },
  {
    name: "rejects a handshake with unknown names only",
    bytes: message(0, "d1:md6:ut_foxi1eee"),
    expected: "no",
  },
  {
    name: "rejects a name whose value is no number",
    bytes: message(0, "d1:md6:ut_pex1:1ee"),
    expected: "no",
  },
  {
    name: "rejects an id above 255",
    bytes: message(0, "d1:md6:ut_pexi256eee"),
    expected: "no",
  },
  { name: "rejects m as a list", bytes: message(0, "d1:ml6:ut_pexi1eee"), expected: "no" },
  { name: "rejects a payload that is no dictionary", bytes: message(0, "hello"), expected: "no" },
  { name: "accepts peer exchange", bytes: PEX, expected: "peer exchange (ut_pex)" },
  {
    name: "accepts IPv6 peer exchange",
    bytes: message(1, "d6:added618:" + "x".repeat(18) + "8:added6.f1:\x028:dropped60:e"),
    expected: "peer exchange (ut_pex)",
  },
  {
    name: "rejects endpoints of 7 bytes",
    bytes: message(1, "d5:added7:xxxxxxx7:added.f1:\x10e"),
    expected: "no",
  },
  {
    name: "rejects more flags than endpoints",
    bytes: message(1, "d5:added6:xxxxxx7:added.f2:\x10\x10e"),
    expected: "no",
  },
  {
    name: "rejects a key that peer exchange has not",
    bytes: message(1, "d5:added6:xxxxxx5:other0:e"),
    expected: "no",
  },
  {
    name: "accepts a metadata request",
    bytes: METADATA_REQUEST,
    expected: "metadata exchange (ut_metadata)",
  },
  {
    name: "accepts metadata behind its dictionary",
    bytes: METADATA_DATA,
    expected: "metadata exchange (ut_metadata)",
  },
  {
    name: "accepts it before the data has come",
    bytes: METADATA_DATA.slice(0, 40),
    expected: "metadata exchange (ut_metadata)",
  },
  {
    name: "rejects msg_type 3",
    bytes: message(2, "d8:msg_typei3e5:piecei0ee"),
    expected: "no",
  },
  {
    name: "rejects a request with something behind it",
    bytes: message(2, "d8:msg_typei0e5:piecei0ee "),
    expected: "no",
  },
  {
    name: "accepts tracker exchange",
    bytes: message(3, "d5:addedl26:http://tracker.example/ann26:udp://tracker.example:6969ee"),
    expected: "tracker exchange (lt_tex)",
  },
  { name: "rejects a list of other strings", bytes: message(3, "d5:addedl3:onee"), expected: "no" },
  {
    name: "accepts comment exchange",
    bytes: message(4, "d8:msg_typei0e3:numi20ee"),
    expected: "comment exchange (ut_comment)",
  },
  {
    name: "takes holepunch for a hint",
    bytes: message(4, hex("0000c6120102c8d5")),
    expected: "ut_holepunch",
  },
  {
    name: "takes holepunch to IPv6 for a hint",
    bytes: message(4, hex("0101 20010db8000000000000000000000007 c8d5")),
    expected: "ut_holepunch",
  },
  // BEP 55: an error's code is 1 to 4; libtorrent sends a code of 0 with what is no error.
  ...[0, 1, 4, 5].map((code) => ({
    name: `${code >= 1 && code <= 4 ? "takes" : "rejects"} holepunch's error ${code}`,
    bytes: message(4, hex(`0200c6120102c8d5 0000000${code}`)),
    expected: code >= 1 && code <= 4 ? "ut_holepunch" : "no",
  })),
  {
    name: "takes holepunch with a code of 0 for a hint",
    bytes: message(4, hex("0100c6120102c8d5 00000000")),
    expected: "ut_holepunch",
  },
  {
    name: "rejects holepunch with an error's code that is none",
    bytes: message(4, hex("0100c6120102c8d5 00000001")),
    expected: "no",
  },
  {
    name: "rejects an error of holepunch without a code",
    bytes: message(4, hex("0200c6120102c8d5")),
    expected: "no",
  },
  {
    name: "rejects holepunch of a type 3",
    bytes: message(4, hex("0300c6120102c8d5")),
    expected: "no",
  },
  {
    name: "rejects holepunch to a third kind of address",
    bytes: message(4, hex("0002c6120102c8d5")),
    expected: "no",
  },
  {
    name: "rejects holepunch to port 0",
    bytes: message(4, hex("0000c61201020000")),
    expected: "no",
  },
  {
    name: "takes lt_donthave for a hint",
    bytes: message(7, hex("00000031")),
    expected: "lt_donthave",
  },
  {
    name: "takes upload_only for a hint",
    bytes: message(3, hex("01")),
    expected: "upload_only or share_mode",
  },
  { name: "rejects a length prefix of 16 MiB", bytes: hex("0100000014006431"), expected: "no" },
  { name: "rejects another message id", bytes: hex("000000ce15006431"), expected: "no" },
];
testTable("detectExtension", detectExtension, rows);

Deno.test("detectExtension() gives no more than a hint for the layouts of few fixed bytes", () => {
  for (const { bytes, expected } of rows) {
    const answer = detectExtension(bytes, 0, bytes.length);
    if (!isMatch(answer)) continue;
    assert.equal(inWords(answer), expected);
    const isHint = /^(ut_holepunch|lt_donthave|upload_only)/.test(expected);
    assert.equal(answer.strength === "hint", isHint, expected);
    assert.equal(answer.method, "extension");
  }
});

testProperties("detectExtension", detectExtension, [
  LIBTORRENT,
  UTORRENT,
  PEX,
  METADATA_REQUEST,
  METADATA_DATA,
]);
