/** Whether nft's listing of a table shows that it holds our rules. */
import assert from "node:assert/strict";
import { holdsNftRules, nftMarks, nftText } from "../../../src/gateway/rules/nft_text.ts";
import type { GuardedTraffic } from "../../../src/gateway/rules/rule_text.ts";
import { createRouter, liveImpossible } from "../live.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { MARKS, TRAFFIC } from "./traffic.ts";

/** As nft 1.0.6 lists the table, and as nft(8) and its source have the queue statement. */
const LISTING = `table inet btblocker {
	chain BTBLOCKER_SERVICE {
		ct mark set ct mark & 0xdfffffff | 0x10000000
	}

	chain BTBLOCKER_QUEUE {
		meta nfproto ipv4 meta length 40 tcp flags ! fin,syn,rst tcp doff 5 return
		meta nfproto ipv4 meta length 52 tcp flags ! fin,syn,rst tcp doff 8 return
		meta nfproto ipv6 meta length 60 tcp flags ! fin,syn,rst tcp doff 5 return
		meta nfproto ipv6 meta length 72 tcp flags ! fin,syn,rst tcp doff 8 return
		meta l4proto { tcp, udp } queue flags bypass to 0-2
		meta l4proto { ipencap, ipv6, gre } queue flags bypass to 0-2
	}

	chain BTBLOCKER_MARKED {
		meta mark & 0x3ff00000 == 0x15a00000 ct mark set ct mark & 0xdfffffff | 0x10000000
		meta mark & 0x3ff00000 == 0x25a00000 ct mark set ct mark & 0xefffffff | 0x20000000
		meta mark & 0x3ff00000 == 0x25a00000 drop
		meta mark & 0x0ff00000 == 0x05a00000 meta mark set meta mark & 0xc00fffff
		meta mark & 0x3ff00000 == 0x00000000 return
		meta l4proto { tcp, udp } th dport { 53, 443 } ct direction original counter packets 0 bytes 0 goto BTBLOCKER_SERVICE
		meta l4proto { tcp, udp } th sport { 53, 443 } ct direction reply counter packets 0 bytes 0 goto BTBLOCKER_SERVICE
		meta mark & 0x30000000 == 0x00000000 ct mark & 0x30000000 == 0x10000000 return
		meta mark & 0x30000000 == 0x00000000 ct mark & 0x30000000 == 0x20000000 drop
		goto BTBLOCKER_QUEUE
	}

	chain BTBLOCKER {
		tcp flags syn / fin,syn,rst,ack ct mark & 0x30000000 != 0x00000000 ct mark set ct mark & 0xcfffffff
		meta l4proto udp ct state related ct status ! confirmed meta mark & 0x3ff00000 == 0x00000000 ct mark & 0x30000000 != 0x00000000 ct mark set ct mark & 0xcfffffff
		ct mark & 0x30000000 == 0x10000000 meta mark & 0x3ff00000 == 0x00000000 return
		meta mark & 0x3ff00000 != 0x00000000 goto BTBLOCKER_MARKED
		meta l4proto { tcp, udp } th dport { 53, 443 } ct direction original counter packets 0 bytes 0 goto BTBLOCKER_SERVICE
		meta l4proto { tcp, udp } th sport { 53, 443 } ct direction reply counter packets 0 bytes 0 goto BTBLOCKER_SERVICE
		ct mark & 0x30000000 == 0x20000000 drop
		goto BTBLOCKER_QUEUE
	}

	chain FORWARD {
		type filter hook forward priority security; policy accept;
		jump BTBLOCKER
	}
}
`;
const LISTED = { ...TRAFFIC, queueCount: 3, whitelistPorts: [443, 53] };

Deno.test("holdsNftRules() knows its rules in the words of either nft", () => {
  assert(holdsNftRules(LISTING, LISTED));
  const old = LISTING.replaceAll("queue flags bypass to 0-2", "queue num 0-2 bypass");
  assert(holdsNftRules(old, LISTED));
  const one = LISTING.replaceAll("to 0-2", "to 7");
  assert(holdsNftRules(one, { ...LISTED, queueNumber: 7, queueCount: 1 }));
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
  ["another mask", LISTING.replaceAll("meta mark & 0x30000000", "meta mark & 0xc0000000")],
  ["another seal", LISTING.replaceAll("0x0ff00000", "0x000ff000")],
  ["other services", LISTING.replaceAll("{ 53, 443 }", "{ 53, 444 }")],
  ["a rule that was removed", LISTING.replace(/\t\tct mark .* drop\n/, "")],
];

for (const [name, listing] of others) {
  Deno.test(`holdsNftRules() is false of ${name}`, () => {
    assert.notEqual(listing, LISTING);
    assert.equal(holdsNftRules(listing, LISTED), false);
  });
}

Deno.test("nftMarks() reads the marks of a listed table", () => {
  assert.deepEqual(nftMarks(LISTING), MARKS);
  assert.equal(nftMarks("table inet btblocker {\n}\n"), null);
});

Deno.test("holdsNftRules() is false of the rules for other settings", () => {
  assert.equal(holdsNftRules(LISTING, { ...LISTED, monitorOnly: true }), false);
  assert.equal(holdsNftRules(LISTING, { ...LISTED, recheck: 1 << 20 }), false);
  assert.equal(holdsNftRules(LISTING, { ...LISTED, chains: ["FORWARD", "INPUT"] }), false);
  assert.equal(holdsNftRules(LISTING, { ...LISTED, queueCount: 2 }), false);
  assert.equal(holdsNftRules(LISTING, { ...LISTED, whitelistPorts: [443] }), false);
  assert.equal(holdsNftRules(LISTING, { ...LISTED, stripsCopies: true }), false);
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
      { whitelistPorts: [443, 22, 8443], stripsCopies: true },
      { whitelistPorts: [443], marks: marksOf(0xc000_0000, { bits: 0x3ff0_0000, value: 1 << 20 }) },
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
      assert.deepEqual(nftMarks(listed), traffic.marks);
      assert.equal(holdsNftRules(listed, traffic), false);
    }
  },
});
