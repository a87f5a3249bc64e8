/** Marks that rules take from named sets and maps, compute, or that tc reads: as nft 1.0.6 lists them. */
import assert from "node:assert/strict";
import { wholeAskers } from "../../../src/gateway/rules/agreed_marks.ts";
import {
  chooseMask,
  findMarkUsers,
  type MarkListings,
} from "../../../src/gateway/rules/mark_users.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";

const ALL = 0xffff_ffff;
const NOTHING: MarkListings = {
  ...{ iptables: "", iptablesTables: [], nft: "", ipRule: "", tc: "", wireGuard: "" },
  interfaces: [],
};

const SETS = `\tmap uplinks {
\t\ttype ipv4_addr . inet_service : mark
\t\tflags interval
\t\telements = { 10.0.0.1 . 1-3 : 0x80000000,
\t\t\t     10.0.0.2 . 2 : 0x02000000 }
\t}

\tmap networks {
\t\ttypeof ip6 saddr : meta mark
\t\telements = { fd00:: : 0x00000004, fd00::1 : 0x00000008 }
\t}

\tmap later {
\t\ttype ipv4_addr : mark
\t\tsize 65535
\t\tflags dynamic,timeout
\t\ttimeout 1m
\t}

\tset some {
\t\ttype mark
\t\tflags interval
\t\telements = { 0x00000010, 0x00000100-0x00000200 }
\t}

\tset paired {
\t\ttype mark . inet_proto
\t\telements = { 0x00000080 . tcp }
\t}

\tmap verdicts {
\t\ttype mark : verdict
\t\telements = { 0x00000040 : accept }
\t}

\tset ports {
\t\ttype inet_service
\t\telements = { 22, 80 }
\t}
`;

/** A rule; bits in packets, set in connections by themselves, asked for there. */
const rules: readonly [string, number, number, number][] = [
  ["meta mark set ip saddr . tcp dport map @uplinks", 0x8200_0000, 0, 0],
  ["ct mark set ip saddr . tcp dport map @uplinks", 0, 0x8200_0000, 0],
  ["meta mark set ip6 saddr map @networks", 12, 0, 0],
  ["meta mark set ip saddr map @later", 0, 0, 0],
  ["meta mark @some accept", 0x3ff | 0x10, 0, 0],
  ["meta mark != @some accept", 0x3ff | 0x10, 0, 0],
  ["meta mark . ip protocol @paired accept", 0x80, 0, 0],
  ["meta mark vmap @verdicts", 0x40, 0, 0],
  ["ct mark vmap @verdicts", 0, 0, ALL],
  ["tcp dport @ports meta mark set 0x00000001", 1, 0, 0],
  ["update @later { ip saddr : meta mark }", 0, 0, 0],
  ["meta mark set numgen inc mod 2 offset 256", 0x1ff, 0, 0],
  ["ct mark set jhash ip saddr mod 4", 0, 3, 0],
];
for (const [rule, packets, states, asks] of rules) {
  Deno.test(`findMarkUsers() reads named sets and computed marks: ${rule}`, () => {
    const nft = `table inet other {\n${SETS}\n\tchain pre {\n\t\t${rule}\n\t}\n}\n`;
    const users = findMarkUsers({ ...NOTHING, nft });
    const found = (bits: "packets" | "states" | "asks") =>
      users.reduce((all, one) => all | one[bits], 0) >>> 0;
    assert.deepEqual([found("packets"), found("states"), found("asks")], [packets, states, asks]);
    for (const { who } of users) assert.equal(who, `nft, table inet other: ${rule}`);
  });
}

Deno.test("a named set is its table's", () => {
  const nft = `table ip a {\n${SETS}}\ntable ip b {\n\tchain pre {\n` +
    "\t\tmeta mark set ip saddr map @uplinks\n\t}\n}\n";
  assert.deepEqual(findMarkUsers({ ...NOTHING, nft }), []);
});

Deno.test("auto takes no bits that a named map sets", () => {
  const rule = "ct mark set ip saddr . tcp dport map @uplinks";
  const nft = `table inet other {\n${SETS}\n\tchain pre {\n\t\t${rule}\n\t}\n}\n`;
  assert.equal(chooseMask("auto", findMarkUsers({ ...NOTHING, nft })) & 0x8200_0000, 0);
});

/** iproute2: a filter's or action's lines; bits in packets, set in connections, asked for, copied. */
const filters: readonly [string, number, number, number, number][] = [
  [
    "\taction order 1: ctinfo zone 0 pipe\n" +
    "\t index 1 ref 1 bind 1 dscp 0xfc000000 0x01000000",
    0,
    0,
    0xfd00_0000,
    0,
  ],
  [
    "\taction order 1: ctinfo zone 0 pipe\n\t index 1 ref 1 bind 1 cpmark 0xffffffff",
    0,
    0,
    0,
    ALL,
  ],
  ["  mark 0x0012 0x00ff (success 0)", 0xff, 0, 0, 0],
  ["  ct_mark 0x10/0xf0", 0, 0, 0xf0, 0],
  ["  ct_mark 0x10", 0, 0, ALL, 0],
  ["\taction order 1: ct commit mark 0x4/0xff zone 0 pipe", 0, 4, 0, 0],
  ["\taction order 1: gact action pass\n\t index 1 ref 1 bind 1", 0, 0, 0, 0],
];
for (const [tc, packets, states, asks, copies] of filters) {
  Deno.test(`findMarkUsers() reads tc: ${tc.trim()}`, () => {
    const users = findMarkUsers({ ...NOTHING, tc });
    const found = (bits: "packets" | "states" | "asks" | "copies") =>
      users.reduce((all, one) => all | one[bits], 0) >>> 0;
    assert.deepEqual(
      [found("packets"), found("states"), found("asks"), found("copies")],
      [packets, states, asks, copies],
    );
    const isOfOurs = (asks & 0x8200_0000) !== 0;
    assert.equal(wholeAskers(users, marksOf(0x8200_0000)).length, isOfOurs ? 1 : 0);
  });
}

Deno.test("auto takes no bits by which SQM keeps a flow's DSCP", () => {
  const users = findMarkUsers({ ...NOTHING, tc: filters[0][0] });
  assert.equal(chooseMask("auto", users) & 0xfd00_0000, 0);
});
