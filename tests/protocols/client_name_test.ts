import assert from "node:assert/strict";
import fc from "fast-check";
import { clientFromPeerId } from "../../src/protocols/client_name.ts";
import { AZUREUS_STYLE, CLIENTS } from "../../src/protocols/client_table.ts";
import { KINDS, match, type Method } from "../../src/protocols/match.ts";
import { clientFromDhtVersion } from "../../src/protocols/dht/client.ts";
import { clientFromUserAgent } from "../../src/protocols/http_tracker/client.ts";
import { describeClient } from "../../src/protocols/methods.ts";
import { hex, join, latin1 } from "./datagrams.ts";

function peerId(text: string): Uint8Array {
  return latin1(text.padEnd(20, "z"));
}

// Clients that ran here, captures of the corpus (frame in brackets), BEP 20 and clients' sources.
const ids: readonly (readonly [string, string | null])[] = [
  ["-qB4520-", "qBittorrent 4.5.2"],
  ["-qB5000-", "qBittorrent 5.0.0"],
  ["-qB4431-", "qBittorrent 4.4.3.1"],
  ["-TR3000-", "Transmission 3.00"],
  ["-TR2940-", "Transmission 2.94"],
  ["-TR4050-", "Transmission 4.0.5"],
  ["-TR410Z-", "Transmission 4.1.0+"],
  ["-TR111Z-", "Transmission 1.11+"],
  ["-TR0072-", "Transmission 0.72"],
  ["-TR0006-", "Transmission 0.6"],
  ["-DE13F0-", "Deluge 1.3.15"], // zeek-tracker.pcap
  ["-DE203s-", "Deluge 2.0.3"],
  ["-LT1220-", "libtorrent 1.2.2"],
  ["-LT20B0-", "libtorrent 2.0.11"],
  ["-lt0D80-", "rTorrent (libTorrent) 0.13.8"],
  ["-UT1610-", "µTorrent 1.6.1"], // mercury-bittorrent.pcap
  ["-UT355W-", "µTorrent 3.5.5"],
  ["-UW3130Q-", "µTorrent Web 3.1.30"], // bittorrent_tcp_miss.pcapng
  ["-UM1870-", "µTorrent for Mac 1.8.7"],
  ["-BT791B-", "BitTorrent 7.9.1 beta"],
  ["-AZ5760-", "Azureus 5.7.6.0"],
  ["-BI3400-", "BiglyBT 3.4.0.0"],
  ["-BC0192-", "BitComet 1.92"],
  ["-KT5200-", "KTorrent 5.2.0"],
  ["-KT33R1-", "KTorrent 3.3 RC 1"],
  ["-KT22D4-", "KTorrent 2.2 dev 4"],
  ["-PI0120-", "PicoTorrent 0.12.0"],
  ["-WW0107-", "WebTorrent 1.7"],
  ["-FD51R\xff-", "Free Download Manager 5.1.27"],
  ["-XL0012-", "Xunlei 0.0.1.2"],
  ["-ML2.7.2-", "MLDonkey 2.7.2"],
  ["-BN0001-", "Baidu Netdisk"],
  ["A2-1-36-0-", "aria2 1.36.0"],
  ["M7-9-2--", "BitTorrent 7.9.2"],
  ["M4-20-8-", "BitTorrent 4.20.8"],
  ["Q1-10-0-", "Queen Bee 1.10.0"],
  ["S58B-----", "Shad0w 5.8.11"],
  ["T03I-----", "BitTornado 0.3.18"],
  ["A310--001", null], // not three dashes at 6: another client, or chance
  ["A310-----", "ABC 3.1.0"],
  ["O1008132", null],
  ["TIX0193-", "Tixati 1.93"],
  ["OP7685", "Opera build 7685"],
  ["exbc\x00\x38zD", "BitComet 0.56"],
  ["exbc\x00\x38LORD", "BitLord 0.56"],
  ["XBT054d-", "XBT Client 0.5.4"],
  ["Mbrst1-1-3", "burst! 1.1.3"],
  ["btpd/0.15", "btpd 0.15"],
  ["AZ2500BT", "BitTyrant"],
  ["346-", "TorrentTopia"],
  ["\x00\x02BS", "BitSpirit 2"],
  ["-TR000\x1b-", "Transmission 0.x"],
  ["-TR007\x9b-", "Transmission 0.7x"],
  ["-II0000-", null],
  ["-I\x05O\x08", null],
  ["", null],
  ["GET / HTTP/1.1", null],
];
for (const [id, name] of ids) {
  Deno.test(`clientFromPeerId() reads ${JSON.stringify(id)} as ${name}`, () => {
    assert.equal(clientFromPeerId(peerId(id), 0), name);
    assert.equal(clientFromPeerId(join(latin1("---"), peerId(id)), 3), name);
  });
}

Deno.test("the client table has 80 clients and more, each prefix once", () => {
  assert.ok(new Set(CLIENTS.map((row) => row.name)).size >= 80);
  const codes = AZUREUS_STYLE.map((row) => row.prefix);
  assert.equal(new Set(codes).size, codes.length);
  assert.ok(codes.every((code) => code.length === 2));
  for (const row of AZUREUS_STYLE) {
    const name = clientFromPeerId(peerId(`-${row.prefix}1234-`), 0);
    assert.ok(name !== null && name.startsWith(row.name), row.prefix);
  }
});

Deno.test("clientFromPeerId() never throws", () => {
  fc.assert(fc.property(
    fc.constantFrom(...ids.map(([id]) => id)),
    fc.nat(20),
    fc.uint8Array({ minLength: 20, maxLength: 20 }),
    (id, kept, noise) => {
      const name = clientFromPeerId(join(latin1(id).slice(0, kept), noise), 0);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(name ?? "", /[\x00-\x1f\x7f]/);
    },
  ));
});

const versions: readonly (readonly [string, string | null])[] = [
  ["LT\x01\x02", "libtorrent 1.2"],
  ["LT\x20\x80", "libtorrent 2.0"],
  ["UT\xb1\xec", "µTorrent (build 45548)"],
  ["TR\x00\x00", "Transmission"],
  ["qB", "qBittorrent"],
  ["??12", null],
  ["L", null],
];
for (const [version, name] of versions) {
  Deno.test(`clientFromDhtVersion() reads ${JSON.stringify(version)} as ${name}`, () => {
    const bytes = latin1(version);
    assert.equal(clientFromDhtVersion(bytes, 0, bytes.length), name);
  });
}

const agents: readonly (readonly [string, string | null])[] = [
  ["qBittorrent/4.5.2", "qBittorrent 4.5.2"],
  ["Transmission/3.00", "Transmission 3.00"],
  ["Deluge 1.3.15", "Deluge 1.3.15"],
  ["Deluge/2.0.3 libtorrent/2.0.8.0", "Deluge 2.0.3"],
  ["uTorrent/3550(112459100)(45852)", "µTorrent 3.5.5"],
  ["rtorrent/0.9.8/0.13.8", "rtorrent 0.9.8"],
  ["Azureus 5.7.6.0;Windows 10;Java 1.8", "Azureus 5.7.6.0"],
  ["BTWebClient/3550(45852)", "BTWebClient 3550"],
  ["WebTorrent", "WebTorrent"],
  ["\x1b[31m", null],
  ["", null],
];
for (const [agent, name] of agents) {
  Deno.test(`clientFromUserAgent() reads ${JSON.stringify(agent)} as ${name}`, () => {
    const bytes = latin1(agent);
    assert.equal(clientFromUserAgent(bytes, 0, bytes.length), name);
  });
}

const HANDSHAKE = join(latin1("\x13BitTorrent protocol"), new Uint8Array(28));
const EXTENSION = join(
  hex("0000002d1400"),
  latin1("d1:ei0e1:mde1:pi47309e1:v14:\xb5Torrent 1.6.1e"),
);

const described: readonly (readonly [Method, string, Uint8Array, string | null])[] = [
  ["peer-wire", "a handshake", join(HANDSHAKE, peerId("-qB4520-")), "qBittorrent 4.5.2"],
  ["peer-wire", "a cut handshake", HANDSHAKE, null],
  [
    "peer-wire",
    "the extension handshake behind an unknown peer ID",
    join(HANDSHAKE, peerId("-??0000-"), EXTENSION),
    "µTorrent 1.6.1",
  ],
  ["extension", "an extension handshake", EXTENSION, "µTorrent 1.6.1"],
  [
    "utp",
    "a handshake over uTP",
    join(Uint8Array.of(1), new Uint8Array(19), HANDSHAKE, peerId("-TR3000-")),
    "Transmission 3.00",
  ],
  [
    "http-tracker",
    "an escaped peer ID",
    latin1(
      "GET /announce?peer_id=%2dLT1220%2d0123456789ab&port=1 HTTP/1.1\r\nUser-Agent: x\r\n\r\n",
    ),
    "libtorrent 1.2.2",
  ],
  [
    "http-tracker",
    "a user agent where the peer ID says nothing",
    latin1(
      "GET /announce?peer_id=01234567890123456789 HTTP/1.1\r\nUser-Agent: qBittorrent/4.5.2\r\n\r\n",
    ),
    "qBittorrent 4.5.2",
  ],
  [
    "web-seed",
    "a user agent",
    latin1("GET /a HTTP/1.1\r\nUser-Agent: Deluge 1.3.15\r\n\r\n"),
    "Deluge 1.3.15",
  ],
  [
    "dht",
    "the key v",
    latin1("d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t2:aa1:v4:LT\x01\x021:y1:re"),
    "libtorrent 1.2",
  ],
  [
    "udp-tracker",
    "an announce",
    join(new Uint8Array(36), peerId("-UT355W-"), new Uint8Array(42)),
    "µTorrent 3.5.5",
  ],
  ["udp-tracker", "a response", new Uint8Array(20), null],
  [
    "websocket-tracker",
    "JSON",
    join(
      hex("817e0062"),
      latin1(
        '{"peer_id":"-WW0107-abcdefghijkl","action":"announce","info_hash":"abcdefghijklmnopqrst"}',
      ),
      latin1(" ".repeat(14)),
    ),
    "WebTorrent 1.7",
  ],
  ["lsd", "nothing", latin1("BT-SEARCH * HTTP/1.1"), null],
];
for (const [method, what, bytes, client] of described) {
  Deno.test(`describeClient() for ${method} reads ${what}`, () => {
    assert.equal(
      describeClient(match(method, KINDS[method][0], "proof", "test"), bytes, 0, bytes.length),
      client,
    );
  });
}

Deno.test("describeClient() survives any bytes and their every cut", () => {
  fc.assert(fc.property(
    fc.constantFrom(...described),
    fc.nat(200),
    fc.uint8Array({ maxLength: 200 }),
    ([method, , bytes], kept, noise) => {
      const any = join(bytes.slice(0, kept), noise);
      describeClient(match(method, KINDS[method][0], "proof", "test"), any, 0, any.length);
    },
  ));
});
