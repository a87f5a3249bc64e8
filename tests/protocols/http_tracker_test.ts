import assert from "node:assert/strict";
import { detectHttpTracker } from "../../src/protocols/http_tracker/detect.ts";
import { isMatch } from "../../src/protocols/match.ts";
import { hex, join, latin1 } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

/** zeek-tracker.pcap, frame 4. */
const DELUGE = latin1(
  "GET /announce?info_hash=%e4%be%9eM%b8v%e3%e3%17%97x%b0%3e%90b%97%be%5c%8d%be" +
    "&peer_id=-DE13F0-VnpZRF8ZP9iv&port=63448&uploaded=0&downloaded=0&left=1921843200&corrupt=0" +
    "&key=764CA003&event=started&numwant=200&compact=1&no_peer_id=1 HTTP/1.1\r\n" +
    "Host: torrent.ubuntu.com:6969\r\nUser-Agent: Deluge 1.3.15\r\n\r\n",
);
/** Transmission 3.00, recorded from the client. */
const SCRAPE = latin1(
  "GET /scrape?info_hash=%fd%3e%ab%137%e4%9e%fdO%cc%9d%a7r%1e%19%3e%8b%ac%3eF HTTP/1.1\r\n" +
    "Host: 198.18.3.2:6969\r\nUser-Agent: Transmission/3.00\r\n\r\n",
);
const HASH = "%e4%be%9eM%b8v%e3%e3%17%97x%b0%3e%90b%97%be%5c%8d%be";
const ID = "-TR3000-21dyjb9a7ioo";

const BY_ANYONE = "announce request, not by its headers a client's";

function request(target: string, method = "GET"): Uint8Array {
  return latin1(`${method} ${target} HTTP/1.1\r\nHost: a\r\nUser-Agent: Transmission/3.00\r\n\r\n`);
}

/** Of an image in a page, as Chromium 120 and Firefox 115 send them to an http address. */
const BROWSER_HEADERS = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
  "Accept-Language: en-US,en;q=0.5",
  "Referer: http://page.example/",
  "Origin: http://page.example",
  "Cookie: a=b",
  "Upgrade-Insecure-Requests: 1",
  "Sec-Fetch-Dest: image",
  "Accept-Language: *", // a page may choose it
  "Sec-Fetch-Mode: cors",
  "DNT: 1",
];

testTable(
  "detectHttpTracker",
  detectHttpTracker,
  BROWSER_HEADERS.map((header) => ({
    name: `sees that a browser may have sent it: ${header.split(":")[0]}`,
    bytes: latin1(
      `GET /announce?info_hash=${HASH}&peer_id=${ID}&port=1 HTTP/1.1\r\nHost: a\r\n` +
        `${header}\r\n\r\n`,
    ),
    expected: BY_ANYONE,
  })),
);

/** A server that shows previews of addresses that strangers post, and clients by what they send. */
const AGENTS = [
  ["-qB4520-abcdefghijkl", "WhatsApp/2.23.20.0 A", BY_ANYONE],
  ["-qB4520-abcdefghijkl", "Mastodon/4.2.1 (http.rb/5.1.1; +https://a.example/)", BY_ANYONE],
  ["-TR3000-abcdefghijkl", "curl/8.5.0", BY_ANYONE],
  ["abcdefghijklmnopqrst", "aria2/1.36.0", BY_ANYONE],
  ["A2-1-36-0-abcdefghij", "aria2/1.36.0", BY_ANYONE], // of a file that redirects there
  ["-WS1000-abcdefghijkl", "http.rb/5.1.1 (Mastodon/4.1.2; +https://a.example/)", BY_ANYONE],
  ["-WS1000-abcdefghijkl", "HTTPie/3.2.1", BY_ANYONE],
  ["-NX1000-abcdefghijkl", "NetNewsWire (RSS Reader; https://netnewswire.com/)", BY_ANYONE],
  ["S3-1-0-0--abcdefghij", "Amazon Simple Notification Service Agent", BY_ANYONE],
  [
    "-BN1000-abcdefghijkl",
    "Baiduspider-image+(+http://www.baidu.com/search/spider.htm)",
    BY_ANYONE,
  ],
  ["-FD39A0-abcdefghijkl", "FreeWebMonitoring SiteChecker/0.2", BY_ANYONE],
  ["-FD39A0-abcdefghijkl", "Free Download Manager 3.9", BY_ANYONE],
  ["abcdefghijklmnopqrst", "qBittorrent/4.5.2", "announce request"],
] as const;
testTable(
  "detectHttpTracker",
  detectHttpTracker,
  AGENTS.map(([id, agent, expected]) => ({
    name: `reads whose request it is: ${id} of ${agent}`,
    bytes: latin1(
      `GET /announce?info_hash=${HASH}&peer_id=${id}&port=1 HTTP/1.1\r\nHost: a\r\n` +
        `User-Agent: ${agent}\r\n\r\n`,
    ),
    expected,
  })),
);

/**
 * Servers that fetch what strangers post, or ask in others' names: libraries that tell no name (Node's
 * http.get, PHP's streams, reqwest, .NET), load balancers and proxies that say so, nginx as it comes.
 */
const FOR_OTHERS = [
  ["1.1", "Connection: keep-alive"],
  ["1.1", "User-Agent: Transmission/3.00\r\nX-Forwarded-For: 203.0.113.9"],
  ["1.1", "User-Agent: Transmission/3.00\r\nX-Real-IP: 203.0.113.9"],
  ["1.1", "Forwarded: for=203.0.113.9\r\nUser-Agent: Transmission/3.00"],
  ["1.1", "User-Agent: Transmission/3.00\r\nvia: 1.1 squid (squid/5.7)"],
  ["1.0", "Connection: close\r\nUser-Agent: Transmission/3.00"],
  ["1.1", "User-Agent: Transmission/3.00\r\nRange: bytes=0-\r\nIcy-MetaData: 1"], // of an M3U: mpv
] as const;
testTable(
  "detectHttpTracker",
  detectHttpTracker,
  FOR_OTHERS.flatMap(([version, headers]) => [
    {
      name: `sees that another may have asked for it: HTTP/${version}, ${headers}`,
      bytes: latin1(
        `GET /announce?info_hash=${HASH}&peer_id=${ID}&port=1 HTTP/${version}\r\nHost: a\r\n` +
          `${headers}\r\n\r\n`,
      ),
      expected: BY_ANYONE,
    },
    {
      name: `sees that another may have asked to scrape: HTTP/${version}, ${headers}`,
      bytes: latin1(
        `GET /scrape?info_hash=${HASH} HTTP/${version}\r\nHost: a\r\n${headers}\r\n\r\n`,
      ),
      expected: "scrape request, not by its headers a client's",
    },
  ]),
);

testTable("detectHttpTracker", detectHttpTracker, [
  {
    name: "sees that another may have chosen the address and the name: a webhook",
    bytes: latin1(
      `POST /announce?info_hash=${HASH}&peer_id=${ID}&port=1 HTTP/1.1\r\nHost: a\r\n` +
        "User-Agent: Transmission/3.00\r\nContent-Length: 0\r\n\r\n",
    ),
    expected: BY_ANYONE,
  },
  { name: "accepts Deluge's announce", bytes: DELUGE, expected: "announce request" },
  {
    name: "accepts it before the request line ends",
    bytes: DELUGE.slice(0, 120),
    expected: BY_ANYONE,
  },
  { name: "accepts Transmission's scrape", bytes: SCRAPE, expected: "scrape request" },
  {
    name: "accepts any path",
    bytes: request(`/a1b2c3/announce.php?x=1&port=1&peer_id=${ID}&info_hash=${HASH}`),
    expected: "announce request",
  },
  {
    name: "accepts an absolute-form target through a proxy",
    bytes: request(`http://tracker.example/announce?info_hash=${HASH}&peer_id=${ID}&port=1`),
    expected: "announce request",
  },
  {
    name: "accepts a method in lower case",
    bytes: request(`/announce?info_hash=${HASH}&peer_id=${ID}&port=1`, "get"),
    expected: "announce request",
  },
  {
    name: "accepts HEAD, whose first letter is HTTP's",
    bytes: request(`/announce?info_hash=${HASH}&peer_id=${ID}&port=1`, "HEAD"),
    expected: BY_ANYONE,
  },
  {
    name: "accepts a hash in raw bytes",
    bytes: request(`/announce?info_hash=${"\xe4".repeat(20)}&peer_id=${ID}&port=1`),
    expected: "announce request",
  },
  {
    name: "accepts a scrape of several torrents",
    bytes: request(`/x/scrape.php?info_hash=${HASH}&info_hash=${HASH}`),
    expected: "scrape request",
  },
  {
    name: "rejects an announce without a port",
    bytes: request(`/announce?info_hash=${HASH}&peer_id=${ID}`),
    expected: "no",
  },
  {
    name: "rejects a hash of 40 hexadecimal digits, as web pages write it",
    bytes: request(`/announce?info_hash=${"0a".repeat(20)}&peer_id=${ID}&port=1`),
    expected: "no",
  },
  {
    name: "rejects a hash of 19 bytes",
    bytes: request(`/announce?info_hash=${"%0a".repeat(19)}&peer_id=${ID}&port=1`),
    expected: "no",
  },
  {
    name: "rejects malformed escapes",
    bytes: request(`/announce?info_hash=%zz${"%0a".repeat(19)}&peer_id=${ID}&port=1`),
    expected: "no",
  },
  {
    name: "rejects the words in a search",
    bytes: request("/search?q=announce+info_hash+peer_id+port"),
    expected: "no",
  },
  {
    name: "rejects the words in the body",
    bytes: latin1(
      `POST /paste HTTP/1.1\r\nHost: a\r\n\r\nGET /announce?info_hash=${HASH}&peer_id=${ID}&port=1`,
    ),
    expected: "no",
  },
  {
    name: "rejects a hash outside /scrape",
    bytes: request(`/torrent?info_hash=${HASH}`),
    expected: "no",
  },
  {
    name: "rejects scrape as a directory",
    bytes: request(`/scrape/about?info_hash=${HASH}`),
    expected: "no",
  },
  {
    name: "waits for the rest of a target",
    bytes: latin1("GET /announce?info_ha"),
    expected: "more",
  },
  { name: "waits for the rest of a method", bytes: latin1("GE"), expected: "more" },
  { name: "rejects SMTP", bytes: latin1("EHLO mail.example\r\n"), expected: "no" },
  { name: "rejects SSH", bytes: latin1("SSH-2.0-OpenSSH_9.2\r\n"), expected: "no" },
  { name: "rejects TLS", bytes: hex("1603010200010001fc0303"), expected: "no" },
]);

/** Transmission's tracker, recorded. */
const BODY =
  "d8:completei1e10:incompletei1e8:intervali5e12:min intervali5e5:peers6:\xc6\x12\x02\x02\xc8\xd6e";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

function response(body: string, headers = "Content-Type: text/plain\r\n"): Uint8Array {
  return latin1(`HTTP/1.1 200 OK\r\n${headers}\r\n${body}`);
}

const ANNOUNCED = response(BODY);
const CHUNKS = latin1(
  `${CHUNKED}5;x=1\r\nd8:co\r\n${(BODY.length - 5).toString(16)}\r\n${BODY.slice(5)}\r\n0\r\n\r\n`,
);
// RFC 9112, 7.1: a size is 1*HEXDIG, so zeros may stand before it.
const PADDED_CHUNKS = latin1(
  `${CHUNKED}00000005\r\nd8:co\r\n${(BODY.length - 5).toString(16).padStart(8, "0")}\r\n` +
    `${BODY.slice(5)}\r\n0\r\n\r\n`,
);
const SCRAPED = response("d5:filesd20:" + "h".repeat(20) + "d8:completei5e10:downloadedi50eeee");

testTable("detectHttpTracker", detectHttpTracker, [
  { name: "accepts an announce response", bytes: ANNOUNCED, expected: "announce response" },
  { name: "accepts one in chunks", bytes: CHUNKS, expected: "announce response" },
  {
    name: "accepts one in chunks whose sizes have zeros before them",
    bytes: PADDED_CHUNKS,
    expected: "announce response",
  },
  {
    name: "accepts peers as a list of dictionaries",
    bytes: response("d8:intervali1800e5:peersld2:ip9:10.0.0.994:porti6881eeee"),
    expected: "announce response",
  },
  {
    name: "accepts an empty swarm",
    bytes: response("d8:intervali1800e5:peers0:e"),
    expected: "announce response",
  },
  {
    name: "accepts peers that are cut",
    bytes: response("d8:intervali1800e5:peers300:xx"),
    expected: "announce response",
  },
  {
    name: "accepts IPv6 peers alone",
    bytes: response("d8:intervali1800e6:peers618:" + "x".repeat(18) + "e"),
    expected: "announce response",
  },
  { name: "accepts a scrape response", bytes: SCRAPED, expected: "scrape response" },
  {
    name: "rejects peers of 7 bytes",
    bytes: response("d8:intervali1800e5:peers7:xxxxxxxe"),
    expected: "no",
  },
  {
    name: "accepts an empty list",
    bytes: response("d8:intervali1800e5:peerslee"),
    expected: "announce response",
  },
  {
    name: "rejects a list of names under peers",
    bytes: response("d8:intervali1800e5:peersl5:alice3:bobee"),
    expected: "no",
  },
  {
    name: "rejects a number under peers",
    bytes: response("d8:intervali1800e5:peersi12ee"),
    expected: "no",
  },
  { name: "rejects peers alone", bytes: response("d5:peers6:xxxxxxe"), expected: "no" },
  {
    name: "rejects files of other records",
    bytes: response("d5:filesd20:" + "h".repeat(20) + "d4:sizei5eeee"),
    expected: "no",
  },
  {
    name: "rejects names under the keys of files",
    bytes: response("d5:filesd20:" + "h".repeat(20) + "5:aliceee"),
    expected: "no",
  },
  { name: "rejects an interval alone", bytes: response("d8:intervali1800ee"), expected: "no" },
  {
    name: "rejects a metainfo file",
    bytes: response("d8:announce20:http://tracker/announce4:infod6:lengthi1e4:name1:aee"),
    expected: "no",
  },
  {
    name: "rejects files under other keys",
    bytes: response("d5:filesd6:readmed4:sizei1eeee"),
    expected: "no",
  },
  {
    name: "takes a failure for a hint",
    bytes: response("d14:failure reason9:not founde"),
    expected: "failure response",
  },
  { name: "rejects a compressed body", bytes: response("\x1f\x8b\x08\x00\x00"), expected: "no" },
  { name: "rejects a page", bytes: response("<!doctype html>" + BODY), expected: "no" },
  { name: "rejects a page that begins with d", bytes: response("does not parse"), expected: "no" },
  { name: "waits for the body", bytes: response(""), expected: "more" },
]);

Deno.test("detectHttpTracker() takes a failure alone for no more than a hint", () => {
  const failed = response("d14:failure reason9:not founde");
  const answer = detectHttpTracker(failed, 0, failed.length);
  assert.ok(isMatch(answer) && answer.strength === "hint");
});

testProperties("detectHttpTracker", detectHttpTracker, [
  DELUGE,
  SCRAPE,
  ANNOUNCED,
  CHUNKS,
  SCRAPED,
  join(SCRAPE, DELUGE),
]);

Deno.test("detectHttpTracker() reads as much of a head and of an answer as servers take", () => {
  const found = (text: string) => {
    const bytes = latin1(text);
    const answer = detectHttpTracker(bytes, 0, bytes.length);
    return isMatch(answer) ? answer.reason : answer;
  };
  const request = (filler: string) =>
    `GET /announce?${filler}info_hash=${HASH}&peer_id=${ID}&port=1 HTTP/1.1\r\n` +
    "User-Agent: Transmission/3.00\r\n\r\n";
  assert.equal(found(request("a&".repeat(50))), "announce request");
  assert.equal(found(request("a&".repeat(20_000))), null);
  const answer = (filler: string) => `HTTP/1.1 200 OK\r\n\r\nd1:a${filler}8:intervali9e5:peers0:e`;
  assert.equal(found(answer("500:" + "x".repeat(500))), "announce response");
  assert.equal(found(answer(`l${"le".repeat(20_000)}e`)), null);
});
