/** Who else sends packets to our queues, as iptables-save and nft list it. */

import assert from "node:assert/strict";
import { findQueueUsers } from "../../../src/gateway/rules/queue_users.ts";

function ofIptables(rule: string, table = "filter"): string[] {
  const iptables = `*${table}\n:FORWARD ACCEPT [0:0]\n${rule}\nCOMMIT\n`;
  return findQueueUsers({ iptables, iptablesTables: [], nft: "" }, 2, 4);
}

function ofNft(rule: string, table = "inet filter", iptablesTables: string[] = []): string[] {
  const nft = `table ${table} {\n\tchain forward {\n` +
    `\t\ttype filter hook forward priority filter; policy accept;\n\t\t${rule}\n\t}\n}\n`;
  return findQueueUsers({ iptables: "", iptablesTables, nft }, 2, 4);
}

// Queues 2 to 5 are ours. As iptables-save 1.8.9 prints them.
const IPTABLES: readonly (readonly [rule: string, isFound: boolean])[] = [
  ["-A FORWARD -j NFQUEUE --queue-num 2", true],
  ["-A FORWARD -j NFQUEUE --queue-num 5 --queue-bypass", true],
  ["-A FORWARD -p tcp -m tcp --dport 443 -j NFQUEUE --queue-balance 0:2", true],
  ["-A FORWARD -j NFQUEUE --queue-balance 5:9 --queue-bypass --queue-cpu-fanout", true],
  ["-A FORWARD -j NFQUEUE --queue-balance 0:9", true],
  ["-A FORWARD -j NFQUEUE --queue-num 1", false],
  ["-A FORWARD -j NFQUEUE --queue-balance 6:9", false],
  ["-A FORWARD -j NFQUEUE --queue-num 20", false],
  ["-A FORWARD -j NFQUEUE", false], // 0
  ['-A FORWARD -m comment --comment "to queue 3" -j ACCEPT', false],
  ["-A BTBLOCKER_QUEUE -j NFQUEUE --queue-balance 2:5 --queue-bypass", false],
];
for (const [rule, isFound] of IPTABLES) {
  Deno.test(`findQueueUsers() ${isFound ? "finds" : "leaves"} ${rule}`, () =>
    assert.deepEqual(ofIptables(rule), isFound ? [rule] : []));
}

// As `nft list ruleset` of 0.9.8 and 1.0.6 prints them.
const NFT: readonly (readonly [rule: string, isFound: boolean])[] = [
  ["queue num 2", true],
  ["tcp dport 443 queue num 0-2 bypass,fanout", true],
  ["counter packets 0 bytes 0 queue flags bypass to 5", true],
  ["queue flags bypass,fanout to 5-9", true],
  ["queue to symhash mod 4 offset 3", true],
  ["queue flags bypass to numgen inc mod 3", true],
  ["queue to tcp dport map { 80 : 1, 443 : 2 }", true],
  ["queue to 1", false],
  ["queue flags bypass to 6-9", false],
  ["queue to symhash mod 2", false],
  ["queue to tcp dport map { 80 : 1, 443 : 6 }", false],
  ['ct mark set 0x2 accept comment "no queue here"', false],
];
for (const [rule, isFound] of NFT) {
  Deno.test(`findQueueUsers() ${isFound ? "finds" : "leaves"} nft's ${rule}`, () =>
    assert.deepEqual(ofNft(rule), isFound ? [`nft, table inet filter: ${rule}`] : []));
}

Deno.test("findQueueUsers() leaves our own table of nft, and iptables' tables as nft lists them", () => {
  assert.deepEqual(ofNft("queue flags bypass to 2-5", "inet btblocker"), []);
  assert.deepEqual(ofNft("queue to 2", "ip security", ["ip security"]), []);
});

Deno.test("findQueueUsers() tells equal rules of both families once", () => {
  const rule = "-A FORWARD -j NFQUEUE --queue-num 2";
  assert.deepEqual(ofIptables(`${rule}\nCOMMIT\n*filter\n${rule}`), [rule]);
});
