/** Whether nft's listing of a table shows that it holds our rules. */
import assert from "node:assert/strict";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { holdsNftRules, nftText } from "../../../src/gateway/rules/nft_text.ts";
import type { GuardedTraffic } from "../../../src/gateway/rules/rule_text.ts";
import { createRouter, liveImpossible } from "../live.ts";

const TRAFFIC: GuardedTraffic = {
  chains: ["FORWARD"],
  queueNumber: 0,
  queueCount: 3,
  marks: marksOf(0x3000_0000),
  recheck: 0,
  monitorOnly: false,
};

/** As nft 1.0.6 lists the table, and as nft(8) and its source have the queue statement. */
const LISTING = `table inet btblocker {
	chain BTBLOCKER {
		tcp flags syn / fin,syn,rst,ack ct mark & 0x30000000 != 0x00000000 ct mark set ct mark & 0xcfffffff
		ct mark & 0x30000000 == 0x10000000 meta mark & 0x30000000 == 0x00000000 return
		ct mark & 0x30000000 == 0x20000000 drop
		meta mark & 0x30000000 == 0x10000000 ct mark set ct mark & 0xdfffffff | 0x10000000
		meta mark & 0x30000000 == 0x20000000 ct mark set ct mark & 0xefffffff | 0x20000000
		meta mark & 0x30000000 == 0x20000000 drop
		meta mark & 0x30000000 == 0x00000000 meta nfproto ipv4 meta length 40 tcp flags ! fin,syn,rst tcp doff 5 return
		meta mark & 0x30000000 == 0x00000000 meta nfproto ipv4 meta length 52 tcp flags ! fin,syn,rst tcp doff 8 return
		meta mark & 0x30000000 == 0x00000000 meta nfproto ipv6 meta length 60 tcp flags ! fin,syn,rst tcp doff 5 return
		meta mark & 0x30000000 == 0x00000000 meta nfproto ipv6 meta length 72 tcp flags ! fin,syn,rst tcp doff 8 return
		meta mark & 0x30000000 == 0x00000000 meta l4proto { tcp, udp } queue flags bypass to 0-2
		meta mark & 0x30000000 == 0x00000000 meta l4proto { ipencap, ipv6, gre } queue flags bypass to 0-2
		meta mark set meta mark & 0xcfffffff
	}

	chain FORWARD {
		type filter hook forward priority security; policy accept;
		jump BTBLOCKER
	}
}
`;

Deno.test("holdsNftRules() knows its rules in the words of either nft", () => {
  assert(holdsNftRules(LISTING, TRAFFIC));
  const old = LISTING.replaceAll("queue flags bypass to 0-2", "queue num 0-2 bypass");
  assert(holdsNftRules(old, TRAFFIC));
  const one = LISTING.replaceAll("to 0-2", "to 7");
  assert(holdsNftRules(one, { ...TRAFFIC, queueNumber: 7, queueCount: 1 }));
});

const others: readonly [string, string][] = [
  ["nothing", ""],
  ["an empty table", "table inet btblocker {\n}\n"],
  ["an emptied chain", LISTING.replace(/(chain BTBLOCKER \{\n)[^}]*\{[^]*?\n\t\}/, "$1\t}")],
  ["no hook chain", LISTING.slice(0, LISTING.indexOf("\tchain FORWARD")) + "}\n"],
  ["an emptied hook chain", LISTING.replace("\t\tjump BTBLOCKER\n", "")],
  ["another hook", LISTING.replace("FORWARD", "INPUT").replace("hook forward", "hook input")],
  ["other queues", LISTING.replaceAll("to 0-2", "to 0-3")],
  ["a queue that drops where nobody listens", LISTING.replaceAll("flags bypass to", "to")],
  ["another mask", LISTING.replaceAll("0x30000000", "0xc0000000")],
  ["a rule that was removed", LISTING.replace(/\t\tct mark .* drop\n/, "")],
];

for (const [name, listing] of others) {
  Deno.test(`holdsNftRules() is false of ${name}`, () => {
    assert.notEqual(listing, LISTING);
    assert.equal(holdsNftRules(listing, TRAFFIC), false);
  });
}

Deno.test("holdsNftRules() is false of the rules for other settings", () => {
  assert.equal(holdsNftRules(LISTING, { ...TRAFFIC, monitorOnly: true }), false);
  assert.equal(holdsNftRules(LISTING, { ...TRAFFIC, recheck: 1 << 20 }), false);
  assert.equal(holdsNftRules(LISTING, { ...TRAFFIC, chains: ["FORWARD", "INPUT"] }), false);
  assert.equal(holdsNftRules(LISTING, { ...TRAFFIC, queueCount: 2 }), false);
});

const impossible = liveImpossible("nft");
if (impossible !== null) console.log(`nft's own listing skipped: ${impossible}`);

Deno.test({
  name: "holdsNftRules() knows what nft lists, with counters in the place of queues",
  ignore: impossible !== null,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    const settings: Partial<GuardedTraffic>[] = [
      { queueCount: 1 },
      { chains: ["INPUT", "OUTPUT"], queueCount: 4, recheck: 1 << 20 },
      { monitorOnly: true, marks: marksOf(0x0300) },
    ];
    for (const changes of settings) {
      const traffic = { ...TRAFFIC, ...changes };
      const counting = nftText(traffic)
        .replaceAll(/queue num (\S+) bypass/g, 'counter accept comment "$1"');
      await router.run(["sh", "-c", 'printf %s "$0" | nft -f -', counting]);
      const listed = await router.run(["nft", "list", "table", "inet", "btblocker"]);
      const queueing = listed
        .replaceAll(/counter packets .* comment "(\S+)"/g, "queue flags bypass to $1");
      assert(holdsNftRules(queueing, traffic), listed);
      assert.equal(holdsNftRules(listed, traffic), false);
    }
  },
});
