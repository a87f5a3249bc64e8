/**
 * Attacks that would get somebody else banned, live: a router with an uplink (the attacker's link),
 * links of our own (user, server), IPv4 and IPv6, and every value of rp_filter. Nobody may be banned;
 * the same things done for real ban who does them.
 */
import assert from "node:assert/strict";
import type { Host } from "../../src/demo/network.ts";
import { ACK, SYN } from "../../src/packet/packet.ts";
import { HANDSHAKE } from "../engine/conversation.ts";
import { until } from "../until.ts";
import { Bed, impossible } from "./bed.ts";
import { type Ends, ip, join, TCP, tcp, UDP, udp } from "./packets.ts";

const ignore = impossible !== null;
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const NONE = new Uint8Array(0);
const GET_PEERS = latin1(
  "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
);
/** Names 198.18.2.2:8388 as a peer. */
const PEERS = latin1(
  "d1:rd2:id20:abcdefghij01234567895:token2:xx6:valuesl6:\xc6\x12\x02\x02\x20\xc4ee1:t2:aa1:y1:re",
);
/** BEP 29: ST_SYN, connection id 0x1234, sequence number 1. */
const UTP_SYN = Uint8Array.fromHex("4100123400000001000000000003800000010000");

const reversed = ({ source, destination }: Ends): Ends => ({
  source: destination,
  destination: source,
});

/** A question and its answer, written by one hand. */
function datagrams(ends: Ends, question = GET_PEERS, answer = PEERS): Uint8Array[] {
  const back = reversed(ends);
  return [
    ip({ ...ends, protocol: UDP }, udp(6_881, 51_413, question, ends)),
    ip({ ...back, protocol: UDP }, udp(51_413, 6_881, answer, back)),
    ip({ ...ends, protocol: UDP }, udp(6_881, 51_413, question, ends)),
  ];
}

/** A whole connection with both handshakes, written by one hand. */
function connection(ends: Ends): Uint8Array[] {
  const back = reversed(ends);
  const [near, far] = [40_000, 51_413];
  const there = (sequence: number, acknowledgement: number, flags: number, payload: Uint8Array) =>
    ip(
      { ...ends, protocol: TCP },
      tcp(
        { sourcePort: near, destinationPort: far, sequence, acknowledgement, flags },
        payload,
        ends,
      ),
    );
  const here = (sequence: number, acknowledgement: number, flags: number, payload: Uint8Array) =>
    ip(
      { ...back, protocol: TCP },
      tcp(
        { sourcePort: far, destinationPort: near, sequence, acknowledgement, flags },
        payload,
        back,
      ),
    );
  const length = HANDSHAKE.length;
  return [
    there(99, 0, SYN, NONE),
    here(499, 100, SYN | ACK, NONE),
    there(100, 500, ACK, NONE),
    there(100, 500, ACK, HANDSHAKE),
    here(500, 100 + length, ACK, HANDSHAKE),
    there(100 + length, 500 + length, ACK, HANDSHAKE),
  ];
}

/** A bed whose attacker is the internet. */
async function uplinkBed(settings: Record<string, string> = {}): Promise<Bed> {
  const bed = await Bed.create();
  const { router, attacker } = bed;
  await router.run(["ip", "route", "add", "default", "via", attacker.ipv4]);
  await router.run(["ip", "-6", "route", "add", "default", "via", attacker.ipv6]);
  await bed.start(settings);
  return bed;
}

async function setFilter(router: Host, value: number): Promise<void> {
  const links = await router.run(["ls", "/proc/sys/net/ipv4/conf"]);
  const names = links.trim().split("\n");
  await router.run([
    "sysctl",
    "-qw",
    ...names.map((name) => `net/ipv4/conf/${name}/rp_filter=${value}`),
  ]);
}

/** The user himself asks the DHT, and is banned for it: the blocker bans, if it should. */
async function assertStillBans(bed: Bed): Promise<void> {
  const program = "import socket,sys;socket.socket(socket.AF_INET,socket.SOCK_DGRAM)" +
    ".sendto(bytes.fromhex(sys.argv[1]),(sys.argv[2],6881))";
  await bed.user.run(["python3", "-c", program, GET_PEERS.toHex(), bed.target.ipv4]);
  await until(async () => (await bed.banned()).includes(bed.user.ipv4));
}

Deno.test({
  name: "attack: both ends forged, from outside and from another link, whatever rp_filter is",
  ignore,
  async fn() {
    await using bed = await uplinkBed();
    const { router, user, server, attacker } = bed;
    const outside = { 4: "203.0.113.9", 6: "2001:db8:ffff::9" };
    const victims: readonly (readonly [string, Host, Ends])[] = [
      ["inside user, by the uplink", attacker, { source: user.ipv4, destination: outside[4] }],
      ["two inside, by the uplink", attacker, { source: user.ipv4, destination: server.ipv4 }],
      ["inside user, IPv6, by the uplink", attacker, {
        source: user.ipv6,
        destination: outside[6],
      }],
      ["two inside, IPv6, by the uplink", attacker, {
        source: user.ipv6,
        destination: server.ipv6,
      }],
      ["two outside, by the uplink", attacker, { source: "192.0.2.7", destination: outside[4] }],
      ["inside user, by another's link", server, { source: user.ipv4, destination: outside[4] }],
      ["inside user, IPv6, by another's link", server, {
        source: user.ipv6,
        destination: outside[6],
      }],
      ["one outside, by an inside link", server, { source: "192.0.2.7", destination: user.ipv4 }],
    ];
    for (const filter of [0, 1, 2]) {
      await setFilter(router, filter);
      for (const [who, sender, ends] of victims) {
        await bed.sendPacketsFrom(sender, ...datagrams(ends), ...connection(ends));
        await bed.accounted();
        assert.deepEqual(await bed.banned(), [], `rp_filter ${filter}: ${who}`);
      }
    }
    assert((await bed.status()).counters.detections > 0, "nothing of it was seen");
    await assertStillBans(bed);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

Deno.test({
  name: "attack: one stranger writes a whole conversation inside IPIP, 6in4 and GRE",
  ignore,
  async fn() {
    await using bed = await uplinkBed();
    const { attacker, server, user } = bed;
    const outer = { source: attacker.ipv4, destination: server.ipv4 };
    const inner = { source: "5.9.10.2", destination: user.ipv4 };
    const inner6 = { source: "2001:db8:5::9", destination: user.ipv6 };
    const gre = (type: string) => Uint8Array.fromHex(`0000${type}`);
    const tunnels: readonly (readonly [string, number, Uint8Array, Ends])[] = [
      ["IPIP", 4, NONE, inner],
      ["6in4", 41, NONE, inner6],
      ["GRE", 47, gre("0800"), inner],
      ["GRE with IPv6", 47, gre("86dd"), inner6],
    ];
    for (const [name, protocol, header, ends] of tunnels) {
      const before = (await bed.status()).counters.detections;
      for (const packet of [...datagrams(ends), ...connection(ends)]) {
        await bed.sendPackets(ip({ ...outer, protocol }, join(header, packet)));
      }
      const { counters } = await bed.accounted();
      assert(counters.detections > before, `${name}: nothing of it was seen`);
      assert.deepEqual(await bed.banned(), [], name);
    }
    await assertStillBans(bed);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

/** A Shadowsocks server on `server`, asked through it by `user`. */
async function shadowsocks(bed: Bed, port: number): Promise<() => Promise<void>> {
  const { server, user } = bed;
  const secret = ["-p", String(port), "-k", "laboratory", "-m", "chacha20-ietf-poly1305"];
  server.spawn(["ss-server", "-s", "0.0.0.0", ...secret]);
  user.spawn(["ss-local", "-s", server.ipv4, "-b", "127.0.0.1", "-l", "1080", ...secret]);
  const fetch = ["curl", "-sf", "-m", "20", "--socks5", "127.0.0.1:1080", "-r", "0-99999"];
  const url = `http://${server.ipv4}:8000/`;
  const once = () => user.run([...fetch, "-o", "/dev/null", url], 30_000);
  await until(async () => await once().then(() => true, () => false));
  return async () => {
    for (let i = 0; i < 3; i++) await once();
  };
}

const hasShadowsocks = (() => {
  const probe = new Deno.Command("sh", {
    args: ["-c", "command -v ss-server ss-local >/dev/null"],
  });
  return Deno.build.os === "linux" && probe.outputSync().success;
})();

Deno.test({
  name: "attack: noise of the internet to a Shadowsocks server makes nobody a suspect" +
    (hasShadowsocks ? "" : " (needs shadowsocks-libev)"),
  ignore: ignore || !hasShadowsocks,
  async fn() {
    await using bed = await uplinkBed();
    const { server } = bed;
    const stranger = { source: "203.0.113.66", destination: server.ipv4 };
    const datagram = (payload: Uint8Array) =>
      ip({ ...stranger, protocol: UDP }, udp(6_881, 8_388, payload, stranger));
    const talk = await shadowsocks(bed, 8_388);
    await bed.sendPackets(
      ...[GET_PEERS, UTP_SYN, PEERS].map(datagram),
      ...connection(stranger).filter((_, index) => index !== 1 && index !== 4), // never answered
    );
    await bed.accounted();
    await talk();
    assert.deepEqual(await bed.banned(), []);
    const { counters } = await bed.accounted();
    assert(counters.detections > 0, "nothing of the noise was seen");
    await talk();
    assert.equal((await bed.accounted()).counters.detections, counters.detections);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

Deno.test({
  name: "attack: a datagram from this machine bans nobody who has not answered (OUTPUT)",
  ignore,
  async fn() {
    await using bed = await uplinkBed({ CHAINS: "INPUT,OUTPUT" });
    const program = "import socket,sys\n" +
      "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n" +
      "for port in (6881,8443):s.sendto(bytes.fromhex(sys.argv[1]),(sys.argv[2],port))";
    await bed.router.run(["python3", "-c", program, GET_PEERS.toHex(), bed.target.ipv4]);
    await bed.settled(({ counters }) => counters.detections > 0);
    assert.deepEqual(await bed.banned(), []);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

Deno.test({
  name: "attack: who only receives is not banned, whatever BAN_TARGET is",
  ignore,
  async fn() {
    for (const target of ["remote", "both"]) {
      await using bed = await uplinkBed({ BAN_TARGET: target });
      const { attacker, user, server } = bed;
      // A datagram that the target never answers, from inside.
      const ask = "import socket,sys;socket.socket(socket.AF_INET,socket.SOCK_DGRAM)" +
        ".sendto(bytes.fromhex(sys.argv[1]),(sys.argv[2],6881))";
      await user.run(["python3", "-c", ask, GET_PEERS.toHex(), bed.target.ipv4]);
      // A handshake to a web server inside, from outside: it answers, though not in BitTorrent.
      const knock = "import socket,sys\ns=socket.create_connection((sys.argv[2],8000))\n" +
        "s.sendall(bytes.fromhex(sys.argv[1]))";
      await attacker.run(["python3", "-c", knock, HANDSHAKE.toHex(), server.ipv4]);
      await bed.settled(({ counters }) => counters.detections >= 2);
      const banned = await bed.banned();
      assert(!banned.includes(bed.target.ipv4), `${target}: ${banned}`);
      assert(!banned.includes(server.ipv4), `${target}: ${banned}`);
      assert.equal((await bed.blocker.stop()).code, 0);
    }
  },
});

/** Answers every request with a picture of one point. */
const PICTURES = `import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"GIF89a\\x01\\x00\\x01\\x00\\x80\\x00\\x00\\x00\\x00\\x00\\xff\\xff\\xff,"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *rest): pass
print("ready", flush=True)
http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
`;

Deno.test({
  name: "attack: a picture whose address is an announce does not ban the visitor of a page",
  ignore,
  async fn() {
    await using bed = await uplinkBed();
    const { attacker, user } = bed;
    await attacker.spawn(["python3", "-c", PICTURES]).printedMatch(/ready/);
    const announce = `http://${attacker.ipv4}:8080/announce?info_hash=${"%aa".repeat(20)}` +
      "&peer_id=-qB4520-abcdefghijkl&port=6881&left=1";
    const headers = [
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
      "Accept: image/avif,image/webp,*/*",
      "Accept-Language: en-US,en;q=0.5",
      "Referer: http://page.example/",
    ];
    const fetch = (...more: string[]) =>
      user.run(["sh", "-c", 'curl -s -m 5 -o /dev/null "$@" || true', "curl", announce, ...more]);
    await fetch(...headers.flatMap((header) => ["-H", header]));
    await bed.settled(({ counters }) => counters.detections === 1);
    assert.deepEqual(await bed.banned(), []);
    await fetch("-A", "qBittorrent/4.5.2"); // a client's own
    await until(async () => (await bed.banned()).includes(user.ipv4));
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});
