import { detectMention } from "../../src/protocols/mentions/detect.ts";
import { latin1 } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

const HASH = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
const TORRENT = "mention: .torrent file";
const REQUESTED = "mention: .torrent requested";
const MAGNET = "mention: magnet link";

function request(target: string): Uint8Array {
  return latin1(`GET ${target} HTTP/1.1\r\nHost: example.org\r\n\r\n`);
}

function response(headers: string, body = ""): Uint8Array {
  return latin1(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n${body}`);
}

const PAGE = response(
  "Content-Type: text/html",
  `<html><body><a href="magnet:?xt=urn:btih:${HASH}&dn=x">get</a>`,
);
const FILE = response("Content-Type: application/x-bittorrent", "d8:announce");

testTable("detectMention", detectMention, [
  {
    name: "accepts a request for a .torrent",
    bytes: request("/a.torrent?x=1"),
    expected: REQUESTED,
  },
  { name: "accepts its media type", bytes: FILE, expected: TORRENT },
  {
    name: "accepts the file under another type",
    bytes: response("Content-Type: text/plain", "d8:announce3:url4:infod6:lengthi1eee"),
    expected: TORRENT,
  },
  {
    name: "accepts a redirect to a magnet link",
    bytes: response(`Location: magnet:?xt=urn:btih:${HASH}`),
    expected: MAGNET,
  },
  { name: "accepts a magnet link in a page", bytes: PAGE, expected: MAGNET },
  {
    name: "accepts a v2 magnet link in JSON",
    bytes: response("Content-Type: application/json", `{"url":"magnet:?xt=urn:btmh:1220${HASH}"}`),
    expected: MAGNET,
  },
  {
    name: "accepts an escaped magnet link in a query",
    bytes: request(`/add?url=magnet%3A%3Fxt%3Durn%3Abtih%3A${HASH}`),
    expected: MAGNET,
  },
  {
    name: "rejects the words in the middle of a word",
    bytes: response("Content-Type: text/html", "<p>electromagnet:?xt=urn:btih:"),
    expected: "more",
  },
  {
    name: "rejects other bencode",
    bytes: response("Content-Type: text/plain", "d3:foo3:bare"),
    expected: "more",
  },
  { name: "rejects a page about torrents", bytes: request("/torrent"), expected: "no" },
  {
    name: "does not search images",
    bytes: response("Content-Type: image/png", `"magnet:?xt=urn:btih:${HASH}`),
    expected: "no",
  },
]);

testProperties("detectMention", detectMention, [PAGE, FILE, request("/a.torrent")]);
