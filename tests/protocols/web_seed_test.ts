import { isMatch } from "../../src/protocols/match.ts";
import { detectWebSeed } from "../../src/protocols/web_seed/detect.ts";
import { SIGNATURES } from "../../src/protocols/signatures.ts";
import assert from "node:assert/strict";
import { latin1 } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

function request(target: string, ...headers: string[]): Uint8Array {
  return latin1([`GET ${target} HTTP/1.1`, "Host: example.org", ...headers, "", ""].join("\r\n"));
}

/** libtorrent 2.0.8, recorded from the client. */
const LIBTORRENT = request(
  "/sample.bin",
  "User-Agent: libtorrent/2.0.8.0",
  "Connection: keep-alive",
  "Range: bytes=0-98303",
);
const HASH = "%e4%be%9eM%b8v%e3%e3%17%97x%b0%3e%90b%97%be%5c%8d%be";
const BY_HASH = `/seed.php?info_hash=${HASH}&piece=7&ranges=0-49151`;
const BEP17 = request(BY_HASH, "User-Agent: Transmission/3.00");
const BITCOMET = request(
  `/data?fid=${"0123456789abcdef".repeat(2)}&size=1048576`,
  "User-Agent: BitComet/1.62",
  "Range: bytes=0-65535",
);

/** As WebTorrent 3.0.21 asks for a piece by `fetch`. */
const WEBTORRENT = [
  "cache-control: no-store",
  "user-agent: WebTorrent/3.0.21 (https://webtorrent.io)",
  "range: bytes=1015808-1048575",
  "accept: */*",
];
const BY_CLIENT = "range requested by a client (BEP 19)";
const BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/115.0";

testTable("detectWebSeed", detectWebSeed, [
  { name: "accepts libtorrent's range", bytes: LIBTORRENT, expected: BY_CLIENT },
  {
    name: "accepts headers in any order and case",
    bytes: request("/a.iso", "RANGE: bytes=0-1", "user-agent:qbittorrent/4.5.2"),
    expected: BY_CLIENT,
  },
  { name: "accepts BEP 17", bytes: BEP17, expected: "piece by info-hash (BEP 17)" },
  {
    name: "sees that a server may have been made to ask for a piece: no name",
    bytes: request(BY_HASH),
    expected: "piece by info-hash (BEP 17), not by its headers a client's",
  },
  {
    name: "sees that a server may have been made to ask for a piece: another's name",
    bytes: request(BY_HASH, "User-Agent: curl/8.5.0"),
    expected: "piece by info-hash (BEP 17), not by its headers a client's",
  },
  {
    name: "accepts WebTorrent's range by Deno's fetch",
    bytes: request("/a.iso", ...WEBTORRENT, "accept-language: *", "accept-encoding: identity"),
    expected: BY_CLIENT,
  },
  {
    name: "accepts WebTorrent's range by Node's fetch",
    bytes: request("/a.iso", ...WEBTORRENT, "accept-language: *", "sec-fetch-mode: cors"),
    expected: BY_CLIENT,
  },
  {
    name: "rejects a range in a client's name with languages, as a browser's page may have it sent",
    bytes: request("/a.iso", ...WEBTORRENT, "accept-language: *, en"),
    expected: "no",
  },
  {
    name: "rejects a range in a client's name with what browsers say of where it comes from",
    bytes: request("/a.iso", ...WEBTORRENT, "sec-fetch-mode: cors", "sec-fetch-site: same-origin"),
    expected: "no",
  },
  {
    name: "rejects a request to a tracker's path by fetch, which would ban a page's visitor",
    bytes: request("/announce", ...WEBTORRENT, "accept-language: *"),
    expected: "no",
  },
  {
    name: "rejects a client's range that a load balancer forwards",
    bytes: request(
      "/a.iso",
      "Range: bytes=0-16383",
      "User-Agent: qBittorrent/4.5.2",
      "X-Forwarded-For: 203.0.113.9",
    ),
    expected: "no",
  },
  {
    name:
      "rejects a client's range by HTTP/1.0: nginx asks the servers behind it so, in its visitors' words",
    bytes: latin1(
      "GET /a.iso HTTP/1.0\r\nHost: app\r\nConnection: close\r\nRange: bytes=0-16383\r\n" +
        "User-Agent: qBittorrent/4.5.2\r\n\r\n",
    ),
    expected: "no",
  },
  {
    name: "rejects a client's fetch of a .torrent that a proxy forwards",
    bytes: request("/a.torrent", "User-Agent: qBittorrent/4.5.2", "Via: 1.1 squid (squid/5.7)"),
    expected: "no",
  },
  { name: "accepts BitComet's data request", bytes: BITCOMET, expected: "BitComet data request" },
  {
    name: "accepts a client's fetch of a .torrent",
    bytes: request("/dl/debian.TORRENT?key=1", "User-Agent: Transmission/3.00"),
    expected: ".torrent requested by a client",
  },
  {
    name: "accepts a client's request to a tracker's path",
    bytes: request("/announce", "User-Agent: uTorrent/3550(45852)"),
    expected: "tracker path requested by a client",
  },
  {
    name: "rejects a client's fetch of news",
    bytes: request("/rss.xml", "User-Agent: qBittorrent/4.5.2"),
    expected: "no",
  },
  {
    name: "rejects a browser's range",
    bytes: request("/video.mp4", BROWSER, "Range: bytes=0-"),
    expected: "no",
  },
  {
    name: "rejects aria2, a general download program",
    bytes: request("/debian.iso", "User-Agent: aria2/1.36.0", "Range: bytes=0-1023"),
    expected: "no",
  },
  {
    name: "rejects a browser that mentions a client",
    bytes: request("/a", "User-Agent: Mozilla/5.0 qBittorrent/4.5.2", "Range: bytes=0-"),
    expected: "no",
  },
  {
    name: "rejects a browser's fetch of a .torrent",
    bytes: request("/debian.torrent", BROWSER),
    expected: "no",
  },
  {
    name: "rejects a client's name in another header",
    bytes: request("/a", "Referer: qBittorrent/4.5.2", "Range: bytes=0-"),
    expected: "no",
  },
  {
    name: "rejects fid and size of a web album",
    bytes: request("/data?fid=12345&size=200", "Range: bytes=0-1"),
    expected: "no",
  },
  {
    name: "rejects a download service's file id, whoever asks",
    bytes: request(`/data?fid=${"0123456789abcdef".repeat(2)}&size=1`, BROWSER, "Range: bytes=0-1"),
    expected: "no",
  },
  {
    name: "rejects a file id where nobody says who asks",
    bytes: request(`/data?fid=${"0123456789abcdef".repeat(2)}&size=1`, "Range: bytes=0-1"),
    expected: "no",
  },
  {
    name: "accepts a tracker's script",
    bytes: request("/x/announce.php?key=1", "User-Agent: uTorrent/3550(45852)"),
    expected: "tracker path requested by a client",
  },
  {
    name: "rejects a client's fetch of announcements",
    bytes: request("/announcements.rss", "User-Agent: qBittorrent/4.5.2"),
    expected: "no",
  },
  {
    name: "rejects a client's fetch of a page whose name begins with scrape",
    bytes: request("/scraper", "User-Agent: qBittorrent/4.5.2"),
    expected: "no",
  },
  {
    name: "rejects a hash without a piece",
    bytes: request(`/details?info_hash=${HASH}`, BROWSER),
    expected: "no",
  },
  {
    name: "waits for the Range",
    bytes: LIBTORRENT.slice(0, 80),
    expected: "more",
  },
  {
    name: "need not wait behind a browser's name",
    bytes: latin1(`GET / HTTP/1.1\r\n${BROWSER}\r\nCookie: `),
    expected: "no",
  },
]);

Deno.test("detectWebSeed() knows every user agent of the signature table", () => {
  const agents = SIGNATURES.filter((row) => row.place === "user agent");
  assert.ok(agents.length >= 35);
  for (const { text } of agents) {
    const bytes = request("/x", `User-Agent: ${text}1.0`, "Range: bytes=0-1");
    assert.ok(isMatch(detectWebSeed(bytes, 0, bytes.length)), text);
    const other = request("/x", `User-Agent: x${text}1.0`, "Range: bytes=0-1");
    assert.equal(detectWebSeed(other, 0, other.length), null, text);
  }
});

testProperties("detectWebSeed", detectWebSeed, [LIBTORRENT, BEP17, BITCOMET]);
