/**
 * Beside programs that are not run here, by the rules with which they set marks: docs/neighbours.md
 * has the table. tests/gateway/neighbours_test.ts has Mullvad, UniFi, zapret and multi-WAN recipes.
 */

import assert from "node:assert/strict";
import { Bed, bedImpossible, FREE, GUARDED } from "./bed.ts";

const ignore = bedImpossible("marks_test.ts", "iptables-restore") !== null;

async function nft(bed: Bed, text: string): Promise<void> {
  await bed.router.run(["sh", "-c", 'printf %s "$1" | nft -f -', "sh", text]);
}

async function restore(bed: Bed, lines: readonly string[]): Promise<void> {
  const text = [...lines, ""].join("\n");
  for (const command of ["iptables-restore", "ip6tables-restore"]) {
    await bed.router.run(["sh", "-c", `printf %s "$1" | ${command} --noflush`, "sh", text]);
  }
}

/** The server is reached by another table, for marked flows only. */
async function routeByMark({ router, server }: Bed, mark: string): Promise<void> {
  const networks = [["-4", `${server.ipv4.replace(/\d+$/, "0")}/24`], [
    "-6",
    `${server.ipv6.replace(/[^:]+$/, "")}/64`,
  ]];
  const device = ["dev", server.routerInterface];
  for (const [family, network] of networks) {
    const rule = ["ip", family, "rule", "add", "pref", "2001", "fwmark", mark, "lookup", "1"];
    await router.run(rule);
    await router.run(["ip", family, "route", "add", network, ...device, "table", "1"]);
    await router.run(["ip", family, "route", "del", network, ...device]);
  }
}

/** mwan3 of OpenWrt: two uplinks, all new connections by the first; pbr's chain beside it. */
async function openWrt(bed: Bed): Promise<void> {
  await restore(bed, [
    "*mangle",
    ":mwan3_hook -",
    ":mwan3_rules -",
    "-A PREROUTING -j mwan3_hook",
    "-A OUTPUT -j mwan3_hook",
    "-A mwan3_hook -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00",
    "-A mwan3_hook -m mark --mark 0x0/0x3f00 -j mwan3_rules",
    "-A mwan3_hook -j CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00",
    "-A mwan3_rules -i to_client -j MARK --set-xmark 0x100/0x3f00",
    "-A mwan3_rules -i to_torrenter -j MARK --set-xmark 0x100/0x3f00",
    "COMMIT",
  ]);
  await routeByMark(bed, "0x100/0x3f00");
  await nft(
    bed,
    `table inet fw4 {
      chain mangle_prerouting { type filter hook prerouting priority -150; policy accept; jump pbr_prerouting; }
      chain pbr_prerouting { meta mark & 0x00ff0000 == 0 ip daddr 203.0.113.0/24 meta mark set meta mark & 0xff00ffff | 0x00010000; }
      chain forward {
        type filter hook forward priority filter; policy drop;
        ct state vmap { established : accept, related : accept }
        iifname { "to_client", "to_torrenter" } tcp dport != 7001 accept
        iifname { "to_client", "to_torrenter" } meta l4proto udp accept
      }
    }`,
  );
}

const SERVICE = ["10.96.0.10", "fd96::a"];

/** kube-proxy's iptables mode: one service, whose only pod is the server. */
async function kubernetes(bed: Bed): Promise<void> {
  bed.destinations = SERVICE;
  const pods = [bed.server.ipv4, bed.server.ipv6];
  for (const [index, command] of ["iptables-restore", "ip6tables-restore"].entries()) {
    const text = [
      "*nat",
      ...["MARK-MASQ", "POSTROUTING", "SERVICES", "SVC-BED", "SEP-BED"].map((name) =>
        `:KUBE-${name} -`
      ),
      "-A PREROUTING -j KUBE-SERVICES",
      "-A OUTPUT -j KUBE-SERVICES",
      "-A POSTROUTING -j KUBE-POSTROUTING",
      `-A KUBE-SERVICES -d ${SERVICE[index]} -j KUBE-SVC-BED`,
      "-A KUBE-SVC-BED -j KUBE-MARK-MASQ",
      "-A KUBE-SVC-BED -j KUBE-SEP-BED",
      `-A KUBE-SEP-BED -j DNAT --to-destination ${pods[index]}`,
      "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
      "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
      "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
      "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
      "COMMIT",
      "*filter",
      ...["FIREWALL", "FORWARD"].map((name) => `:KUBE-${name} -`),
      "-P FORWARD DROP",
      "-A FORWARD -j KUBE-FORWARD",
      "-A OUTPUT -j KUBE-FIREWALL",
      "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP",
      "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
      "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
      "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "COMMIT",
      "",
    ].join("\n");
    await bed.router.run(["sh", "-c", `printf %s "$1" | ${command} --noflush`, "sh", text]);
  }
}

/** Cilium: its devices, and marks with an identity (upper half) and a kind (0x0f00) in every packet. */
async function cilium(bed: Bed): Promise<void> {
  await bed.router.run(["ip", "link", "add", "cilium_host", "type", "veth", "peer", "cilium_net"]);
  // Its programs hang at tc; where they are done, netfilter begins.
  await nft(
    bed,
    `table inet marks {
      chain pre { type filter hook prerouting priority raw; policy accept; meta mark set 0xc0de0f00; }
    }`,
  );
}

const NEIGHBOURS: readonly [string, (bed: Bed) => Promise<void>, refusable: number][] = [
  ["OpenWrt: mwan3 (0x3f00), fw4 and pbr (0xff0000)", openWrt, 0],
  ["Kubernetes: kube-proxy's service (0x4000, 0x8000)", kubernetes, FREE.refusable],
  ["Cilium (0xffff0f00)", cilium, FREE.refusable],
];

for (const [name, begin, refusable] of NEIGHBOURS) {
  Deno.test({
    name: `${name}: served as without us, torrents die, rules stay as they were`,
    ignore,
    async fn() {
      await using bed = await Bed.create();
      await begin(bed);
      const theirs = await bed.rules();
      assert.deepEqual(await bed.exchange(), { ...FREE, refusable });
      const blocker = await bed.start();
      await bed.isGuardedBy(blocker, name, { ...GUARDED, refusable });
      assert.match((await bed.doctor()).get("marks")!.detail, /^nobody else uses the bits /);
      assert.doesNotMatch(blocker.log, /WARN|ERROR/);
      assert.equal((await blocker.stop()).code, 0, blocker.log);
      assert.equal(await bed.rules(), theirs);
    },
  });
}

/** A rule that says of every connection, in its mark, what we say of some. */
async function markConnections(bed: Bed, mark: string): Promise<void> {
  await nft(
    bed,
    `table inet other
    delete table inet other
    table inet other {
      chain pre {
        type filter hook prerouting priority -150; policy accept;
        ct mark set ${mark}
      }
    }`,
  );
}

Deno.test({
  name: "a rule that marks every connection with what would be our states: other bits are taken",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await markConnections(bed, "0x82000000");
    const theirs = await bed.rules();
    const blocker = await bed.start();
    await bed.isGuardedBy(blocker, "beside the rule", GUARDED);
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    assert.equal(await bed.rules(), theirs);
  },
});

Deno.test({
  name:
    "such a rule that comes later, clean or BitTorrent: connections' marks are believed no more",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const blocker = await bed.start();
    await markConnections(bed, "0x80000000");
    await blocker.program.printedMatch(
      /ERROR A rule sets bits of ours \(0x82000000\) in connections' marks: nft, table inet other/,
    );
    await bed.isGuardedBy(blocker, "every connection would be BitTorrent", GUARDED);
    await markConnections(bed, "0x02000000");
    await bed.isGuardedBy(blocker, "every connection would be clean", GUARDED);
    const found = (await bed.doctor()).get("marks")!;
    assert.equal(found.status, "problem");
    assert.match(found.detail, /0x82000000.* table inet other: ct mark set/);
    assert.match(found.advice!, /restart takes other bits/);
  },
});

Deno.test({
  name:
    "packets that come with our clean in their mark: an error says what breaks, none is believed",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const blocker = await bed.start();
    await nft(
      bed,
      `table inet other {
        chain pre {
          type filter hook prerouting priority -150; policy accept;
          meta mark set 0x02000001
        }
      }`,
    );
    await bed.isGuardedBy(blocker, "beside the mark", GUARDED);
    await blocker.program.printedMatch(
      /ERROR Packets come with the mark 0x2000001, set by nft, table inet other: .*not believed/,
    );
    const { counters } = JSON.parse(await blocker.command("status", "--json"));
    assert(counters.foreignMarks > 0);
  },
});

/** Rules that look for a connection's mark as a whole, or copy it where it is asked for at once. */
const ASKERS: readonly [string, (bed: Bed) => Promise<void>][] = [
  [
    "iptables: -m connmark --mark 0x1",
    (bed) =>
      restore(bed, [
        "*mangle",
        "-A PREROUTING -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xff",
        "COMMIT",
        "*filter",
        "-P FORWARD DROP",
        "-A FORWARD -m connmark --mark 0x1 -j ACCEPT",
        "COMMIT",
      ]),
  ],
  [
    "iptables: restored in FORWARD, -m mark --mark 1 behind",
    (bed) =>
      restore(bed, [
        "*mangle",
        "-A PREROUTING -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xff",
        "-A FORWARD -j CONNMARK --restore-mark",
        "-A FORWARD -m mark ! --mark 1 -j DROP",
        "COMMIT",
      ]),
  ],
  [
    "nft: ct mark vmap",
    (bed) =>
      nft(
        bed,
        `table inet other {
          chain forward {
            type filter hook forward priority filter; policy drop;
            ct state new ct mark set ct mark or 1
            ct mark vmap { 1 : accept }
          }
        }`,
      ),
  ],
];

for (const [name, begin] of ASKERS) {
  Deno.test({
    name:
      `a rule asks for a connection's whole mark, before and later (${name}): served, torrents die`,
    ignore,
    async fn() {
      await using bed = await Bed.create();
      const blocker = await bed.start();
      await bed.isGuardedBy(blocker, "without the rule", GUARDED);
      await begin(bed);
      const theirs = /WARN +A rule asks for connections' marks as a whole: .*mark/;
      await blocker.program.printedMatch(theirs);
      await bed.isGuardedBy(blocker, "with the rule, later", GUARDED);
      assert.match((await bed.doctor()).get("marks")!.detail, /ask for whole marks of connections/);
      assert.equal((await blocker.stop()).code, 0, blocker.log);
      const again = await bed.start();
      await bed.isGuardedBy(again, "with the rule, before", GUARDED);
      assert.match(again.log, theirs);
      assert.doesNotMatch(again.log, /installed again/);
      assert.equal((await again.stop()).code, 0, again.log);
    },
  });
}

Deno.test({
  name: "marks of connections copied behind the routing, for tc's filters: without ours",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await restore(bed, [
      "*mangle",
      "-A PREROUTING -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xff",
      "-A POSTROUTING -j CONNMARK --restore-mark",
      "COMMIT",
    ]);
    // In place of the qdisc's filter `fw`, which takes a mark as a whole.
    await nft(
      bed,
      `table inet other {
        chain last {
          type filter hook postrouting priority 300; policy accept;
          meta l4proto { tcp, udp } meta mark != 1 drop
        }
      }`,
    );
    const theirs = await bed.rules();
    const blocker = await bed.start();
    await bed.isGuardedBy(blocker, "beside the filter", GUARDED);
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    assert.equal(await bed.rules(), theirs);
  },
});
