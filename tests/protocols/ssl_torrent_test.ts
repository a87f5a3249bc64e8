import { detectSslTorrent, sslTorrentHash } from "../../src/protocols/peer_wire/tls.ts";
import assert from "node:assert/strict";
import { hex, join, latin1 } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

const HASH = "859599a551be0dadca539b8de766c2114defcba8";
/** libtorrent 2.0.8 with OpenSSL 3.0, recorded 2026-11-29: version, random, session, ciphers, no compression. */
const BEFORE_EXTENSIONS = "0303d5d720e19bfb3ec766e31d6ca205e1b99b5c9f74a1f50cd63f46a04bc621e441" +
  "203a27df7a115fd162d81b95b12afc205b7c6ea2070a7f8375a4c883b6fd332ebf" +
  "003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c013" +
  "0033009d009c003d003c0035002f00ff" + "0100";
/** What stands behind the name: point formats, groups, tickets, versions. */
const REST = hex("000b000403000102 000a000c000a001d0017001e00190018 00230000 002b00050403040303");
const APPLICATION_PROTOCOLS = hex("0010000b000908687474702f312e31"); // http/1.1
const RENEGOTIATION = hex("ff01000100");

function serverName(name: string): Uint8Array {
  return join(
    Uint8Array.of(0, 0, 0, name.length + 5, 0, name.length + 3, 0, 0, name.length),
    latin1(name),
  );
}

function hello(...extensions: Uint8Array[]): Uint8Array {
  const all = join(...extensions);
  const before = hex(BEFORE_EXTENSIONS);
  const body = join(before, Uint8Array.of(all.length >> 8, all.length & 255), all);
  const message = join(Uint8Array.of(1, 0, body.length >> 8, body.length & 255), body);
  return join(Uint8Array.of(22, 3, 1, message.length >> 8, message.length & 255), message);
}

const LIBTORRENT = hello(serverName(HASH), REST);
const FOUND = "TLS to a torrent's info-hash (SSL torrent)";

testTable("detectSslTorrent", detectSslTorrent, [
  { name: "accepts libtorrent's hello", bytes: LIBTORRENT, expected: FOUND },
  {
    name: "accepts the name behind an empty renegotiation_info, as newer OpenSSL sends it",
    bytes: hello(RENEGOTIATION, serverName(HASH), REST),
    expected: FOUND,
  },
  { name: "waits at one byte", bytes: hex("16"), expected: "more" },
  { name: "waits before the name", bytes: LIBTORRENT.slice(0, 100), expected: "more" },
  { name: "waits in the name", bytes: LIBTORRENT.slice(0, 170), expected: "more" },
  { name: "waits for what may follow it", bytes: LIBTORRENT.slice(0, 200), expected: "more" },
  {
    name: "rejects who speaks of protocols, as browsers do",
    bytes: hello(serverName(HASH), REST, APPLICATION_PROTOCOLS),
    expected: "no",
  },
  {
    name: "rejects an extension that ends beyond the hello",
    bytes: hello(serverName(HASH), hex("00230007")),
    expected: "no",
  },
  {
    name: "rejects a host's name of 40 letters",
    bytes: hello(serverName("a2345678901234567890123456789.example.org"), REST),
    expected: "no",
  },
  {
    name: "rejects 40 hexadecimal digits with a dot in them",
    bytes: hello(serverName("859599a551be0dadca539b8de766.2114defcba8"), REST),
    expected: "no",
  },
  {
    name: "rejects a number of 40 digits",
    bytes: hello(serverName("1234567890".repeat(4)), REST),
    expected: "no",
  },
  {
    name: "rejects upper-case digits",
    bytes: hello(serverName(HASH.toUpperCase()), REST),
    expected: "no",
  },
  {
    name: "rejects a hash of SHA-256",
    bytes: hello(serverName(HASH + HASH.slice(0, 24)), REST),
    expected: "no",
  },
  {
    name: "rejects the name in another place than OpenSSL's",
    bytes: hello(REST, serverName(HASH)),
    expected: "no",
  },
  { name: "rejects a hello without a name", bytes: hello(REST), expected: "no" },
  { name: "rejects a hello without extensions", bytes: hello(), expected: "no" },
  {
    name: "rejects a server's hello",
    bytes: LIBTORRENT.map((byte, at) => at === 5 ? 2 : byte),
    expected: "no",
  },
  {
    name: "rejects a record that ends before the hello",
    bytes: LIBTORRENT.map((byte, at) => at === 4 ? byte - 1 : byte),
    expected: "no",
  },
]);

testProperties("detectSslTorrent", detectSslTorrent, [LIBTORRENT]);

Deno.test("sslTorrentHash() reads the name of a whole one", () => {
  assert.equal(sslTorrentHash(LIBTORRENT, 0, LIBTORRENT.length), HASH);
  assert.equal(sslTorrentHash(LIBTORRENT, 0, 180), null);
  assert.equal(sslTorrentHash(new Uint8Array(0), 0, 0), null);
});
