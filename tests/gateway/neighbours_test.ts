/**
 * The gateway beside programs that use marks for themselves: their traffic arrives, their marks stay,
 * and what is BitTorrent dies all the same. docs/neighbours.md has the table.
 */

import assert from "node:assert/strict";
import type { Host } from "../../src/demo/network.ts";
import { until } from "../until.ts";
import {
  countersOf,
  createRouter,
  liveImpossible,
  packetsThrough,
  program,
  type Router,
  startGateway,
  talk,
  talkInVain,
} from "./live.ts";

const impossible = liveImpossible("iptables-nft", "iptables-legacy", "nft");
if (impossible !== null) console.log(`tests beside other programs skipped: ${impossible}`);
const ignore = impossible !== null;

// What the stub engine makes of these ports: programs/stub_worker.ts.
const CLEAN = 1000;
const BITTORRENT = 2000;
const INSPECTED = 6000;

async function nft(router: Host, text: string): Promise<void> {
  await router.run(["sh", "-c", 'printf %s "$0" | nft -f -', text]);
}

async function mangle(router: Host, command: string, ...rules: string[]): Promise<void> {
  for (const rule of rules) {
    await router.run([command, "-w", "-t", "mangle", "-A", ...rule.split(" ")]);
  }
}

/** Who sets marks, by name: what it does on a router. */
const MARKERS: readonly [string, mark: string, (lab: Router) => Promise<void>][] = [
  [
    "Mullvad (nft)",
    "0x6d6f6c65",
    ({ router }) =>
      nft(
        router,
        `table inet mv {
          chain pre {
            type filter hook prerouting priority -100; policy accept;
            ct mark set 0x00000f41 meta mark set 0x6d6f6c65
          }
        }`,
      ),
  ],
  [
    "UniFi split-vpn (iptables-nft), which saves its marks too",
    "0x696af100",
    ({ router }) =>
      mangle(
        router,
        "iptables-nft",
        "PREROUTING -j MARK --set-mark 0x696af100",
        "PREROUTING -j CONNMARK --save-mark",
      ),
  ],
  [
    "the same by iptables-legacy",
    "0x696af100",
    ({ router }) =>
      mangle(
        router,
        "iptables-legacy",
        "PREROUTING -j MARK --set-mark 0x696af100",
        "PREROUTING -j CONNMARK --save-mark",
      ),
  ],
  [
    "zapret (nft)",
    "0x10000000",
    ({ router }) =>
      nft(
        router,
        `table inet zapret {
          chain pre {
            type filter hook prerouting priority -150; policy accept;
            meta mark set meta mark or 0x10000000
          }
        }`,
      ),
  ],
];

/** Packets that still have the mark where nobody looks after us. */
async function watchMark(router: Host, mark: string): Promise<() => Promise<number>> {
  await nft(
    router,
    `table inet watch {
      chain post {
        type filter hook postrouting priority 300; policy accept;
        meta mark ${mark} counter
        meta mark != ${mark} meta l4proto { tcp, udp } counter comment "lost"
      }
    }`,
  );
  return async () => {
    const listed = await router.run(["nft", "list", "table", "inet", "watch"]);
    const [kept, lost] = [...listed.matchAll(/packets (\d+)/g)].map(([, count]) => Number(count));
    assert.equal(lost, 0, listed);
    return kept;
  };
}

for (const [name, mark, begin] of MARKERS) {
  Deno.test({
    name: `beside ${name}: MARK_MASK=auto takes other bits, flows are released and dropped`,
    ignore,
    async fn() {
      await using lab = await createRouter(CLEAN, BITTORRENT);
      await begin(lab);
      const kept = await watchMark(lab.router, mark);
      const gateway = await startGateway(lab);
      assert.match(gateway.text(), /^ready$/m, gateway.text());
      for (const how of ["tcp", "udp"] as const) {
        assert.equal(await talk(lab, how, CLEAN, { rounds: 50 }), 50, gateway.text());
      }
      const counters = await countersOf(gateway, ({ released }) => released >= 2);
      assert.equal(counters.foreignMarks, 0);
      assert(await kept() > 200);
      assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
    },
  });

  Deno.test({
    name: `${name} that comes later loses nothing, is named, and its torrents die`,
    ignore,
    async fn() {
      await using lab = await createRouter(CLEAN, BITTORRENT);
      const gateway = await startGateway(lab, { markMask: 0x3000_0000 });
      await begin(lab);
      const kept = await watchMark(lab.router, mark);
      for (const how of ["tcp", "udp"] as const) {
        assert.equal(await talk(lab, how, CLEAN, { rounds: 20 }), 20, gateway.text());
      }
      assert(await kept() > 80);
      await gateway.printedMatch(
        new RegExp(`^error: Packets come with the mark ${mark}, set by .+`, "m"),
      );
      assert((await countersOf(gateway)).foreignMarks > 0);
      assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
    },
  });

  Deno.test({
    name: `beside ${name}: bits of its mark are refused, naming it`,
    ignore,
    async fn() {
      await using lab = await createRouter();
      await begin(lab);
      const mask = Number(mark) & 0x1000_0000 ? 0x3000_0000 : 0x6000_0000;
      const gateway = await startGateway(lab, { markMask: mask });
      assert.match(
        gateway.text(),
        /^failed: Cannot use MARK_MASK=\S+: others use these bits \(.+\)/m,
      );
    },
  });
}

/** The server is reached by another table, for marked flows only; answers by the main one. */
async function routeByMark({ router, server }: Router, mark: string): Promise<void> {
  const link = server.routerInterface;
  const network = `${server.ipv4.replace(/\.\d+$/, ".0")}/24`;
  await router.run(["ip", "rule", "add", "fwmark", mark, "lookup", "100"]);
  await router.run(["ip", "route", "add", network, "dev", link, "table", "100"]);
  await router.run(["ip", "route", "del", network, "dev", link]);
}

const MULTI_WAN = [
  "PREROUTING -j CONNMARK --restore-mark",
  "PREROUTING -i to_client -m mark --mark 0 -j MARK --set-mark 2",
  "POSTROUTING -j CONNMARK --save-mark",
];
/** The other usual one: what has its mark already needs no further look. */
const MULTI_WAN_ACCEPT = [
  "PREROUTING -j CONNMARK --restore-mark",
  "PREROUTING -m mark ! --mark 0 -j ACCEPT",
  "PREROUTING -i to_client -j MARK --set-mark 2",
  "PREROUTING -j CONNMARK --save-mark",
];
const NFT_RECIPE = `table inet wan {
  chain pre {
    type filter hook prerouting priority -150; policy accept;
    meta mark set ct mark
    iifname "to_client" meta mark 0 meta mark set 2
  }
  chain post {
    type filter hook postrouting priority -150; policy accept;
    ct mark set meta mark
  }
}`;

const recipes: readonly [string, (router: Host) => Promise<void>][] = [
  ["iptables-nft", (router) => mangle(router, "iptables-nft", ...MULTI_WAN)],
  ["iptables-legacy", (router) => mangle(router, "iptables-legacy", ...MULTI_WAN)],
  ["iptables-nft, with ACCEPT", (router) => mangle(router, "iptables-nft", ...MULTI_WAN_ACCEPT)],
  ["nft", (router) => nft(router, NFT_RECIPE)],
];

for (const [name, recipe] of recipes) {
  for (const isFirst of [true, false]) {
    Deno.test({
      name: `whole marks copied between connections and packets (${name}), ` +
        `begun ${isFirst ? "before" : "after"} us: every flow keeps its route`,
      ignore,
      async fn() {
        await using lab = await createRouter(CLEAN, BITTORRENT);
        await routeByMark(lab, "2");
        if (isFirst) await recipe(lab.router);
        const gateway = await startGateway(lab);
        if (!isFirst) {
          await recipe(lab.router);
          await gateway.printedMatch(/A rule copies connections' marks/);
        }
        for (let flow = 0; flow < 5; flow++) {
          assert.equal(await talk(lab, "tcp", CLEAN, { rounds: 20 }), 20, gateway.text());
        }
        assert.equal(await talk(lab, "udp", CLEAN, { rounds: 20 }), 20, gateway.text());
        assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
      },
    });
  }
}

Deno.test({
  name: "wg-quick's rules: its own packets keep their mark and route, and are released",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router, client, server } = lab;
    await server.spawn(program("talk", "serve", String(CLEAN))).printedMatch(/ready/);
    // wg-quick(8): add_default(), with the device's own packets by the main table.
    await nft(
      router,
      `table ip wg-quick-wg0 {
        chain premangle { type filter hook prerouting priority -150; meta l4proto udp meta mark set ct mark; }
        chain postmangle { type filter hook postrouting priority -150; meta l4proto udp meta mark 51820 ct mark set meta mark; }
      }`,
    );
    await router.run(["ip", "rule", "add", "not", "fwmark", "51820", "table", "51820"]);
    const device = ["via", client.ipv4, "dev", client.routerInterface];
    await router.run(["ip", "route", "add", "default", ...device, "table", "51820"]);
    // What the device sends has its fwmark.
    await mangle(router, "iptables-nft", `OUTPUT -p udp --dport ${CLEAN} -j MARK --set-mark 51820`);
    const gateway = await startGateway(lab, { chains: ["INPUT", "OUTPUT"] });
    const said = await router.run(
      program("talk", "udp", server.ipv4, String(CLEAN), "100", "50", "30000"),
    );
    assert.match(said, /answered 50/, gateway.text());
    assert((await countersOf(gateway, ({ released }) => released >= 1)).foreignMarks === 0);
  },
});

Deno.test({
  name: "whitelisted services make no trip to user space, and a caller's own port is none",
  ignore,
  async fn() {
    for (const backend of ["nft", "legacy"]) {
      await using lab = await createRouter(INSPECTED, CLEAN);
      const { client, server, router } = lab;
      // More than one rule of xt_multiport takes.
      const whitelistPorts = [...Array.from({ length: 20 }, (_, index) => 10 + index), INSPECTED];
      const gateway = await startGateway(lab, { backend, whitelistPorts });
      for (const family of [4, 6] as const) {
        assert.equal(await talk(lab, "tcp", INSPECTED, { family, rounds: 20 }), 20);
        assert.equal(await talk(lab, "udp", INSPECTED, { family, rounds: 20 }), 20);
      }
      assert.equal((await countersOf(gateway)).packets, 0);
      const saves = backend === "nft"
        ? ["iptables-nft-save", "ip6tables-nft-save"]
        : ["iptables-legacy-save", "ip6tables-legacy-save"];
      let passed = 0;
      for (const save of saves) {
        passed += await packetsThrough(router, / --ctdir /, save);
      }
      assert.equal(passed, 4, "the first packet of each connection, and no other");
      await countersOf(gateway, ({ serviceConnections }) => serviceConnections === passed);
      // The same port at the caller's end.
      const data = `echo hello | timeout 2 nc -u -w1 -p ${INSPECTED} ${server.ipv4} ${CLEAN}; true`;
      await client.run(["sh", "-c", data]);
      assert((await countersOf(gateway, ({ packets }) => packets > 0)).released > 0);
    }
  },
});

// Who speaks to whom: the child's port is named in the parent, or answers from there (RFC 1350, 4).
const helpers = [
  ["tftp", "udp", 69],
  ["ftp", "tcp", 21],
  ["sip", "udp", 5060],
] as const;
for (const [helper, transport, port] of helpers) {
  Deno.test({
    name: `the child of conntrack's helper for ${helper} is judged, its parent was clean`,
    ignore,
    async fn() {
      await using lab = await createRouter();
      const { router, client, server } = lab;
      await router.run([
        ...["iptables", "-w", "-t", "raw", "-A", "PREROUTING", "-p", transport],
        ...["--dport", String(port), "-j", "CT", "--helper", helper],
      ]);
      const gateway = await startGateway(lab, { worker: "./clean_worker.ts" });
      const serving = server.spawn(program(helper, "serve", server.ipv4));
      await serving.printedMatch(/ready/);
      const asking = program(helper, "ask", server.ipv4, client.ipv4);
      assert.match(await client.run(asking), /answered 4/);
      const tracked = await router.run(["conntrack", "-L"]).catch(() => "");
      // The parent's first packet, and the child's besides.
      const isBoth = async () => (await countersOf(gateway)).released >= 2;
      await until(isBoth, () => tracked);
    },
  });
}
