import { detectPeerWire } from "../../src/protocols/peer_wire/detect.ts";
import { hex, join, latin1 } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

/** mercury-bittorrent.pcap, frame 1: uTorrent 1.6.1. */
const UTORRENT = hex(
  "13426974546f7272656e742070726f746f636f6c0000000000100000e21ea9569b69bab33c97851d0298bdfa89bc9092" +
    "2d5554313631302dea812fcd6a3563e3be40c1d1",
);
const FIXED = UTORRENT.slice(0, 20);

testTable("detectPeerWire", detectPeerWire, [
  { name: "accepts a handshake", bytes: UTORRENT, expected: "handshake" },
  { name: "accepts its 20 fixed bytes", bytes: FIXED, expected: "handshake" },
  { name: "waits at 19 of them", bytes: FIXED.slice(0, 19), expected: "more" },
  { name: "waits at one byte", bytes: hex("13"), expected: "more" },
  { name: "has no opinion of nothing", bytes: hex(""), expected: "no" },
  { name: "rejects another length byte", bytes: join(hex("14"), FIXED.slice(1)), expected: "no" },
  {
    name: "rejects the words without the length byte",
    bytes: latin1("BitTorrent protocol"),
    expected: "no",
  },
  { name: "rejects the words further in", bytes: join(hex("00"), FIXED), expected: "no" },
  {
    name: "rejects another protocol's name of 19 bytes",
    bytes: latin1("\x13BitTorrent Protocol"),
    expected: "no",
  },
  {
    name: "rejects a TLS alert whose first byte is 0x15",
    bytes: hex("15030300020100"),
    expected: "no",
  },
]);

testProperties("detectPeerWire", detectPeerWire, [UTORRENT]);
