/** Who else uses marks, read from listings; which bits are left. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { EnvironmentError, UsageError } from "../../../src/errors.ts";
import { describeForeignMark, wholeAskers } from "../../../src/gateway/rules/agreed_marks.ts";
import {
  chooseMask,
  findMarkUsers,
  type MarkListings,
  type MarkUser,
} from "../../../src/gateway/rules/mark_users.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { MARKS } from "./traffic.ts";

const NOTHING: MarkListings = {
  ...{
    iptables: "",
    iptablesTables: [],
    nft: "",
    ipRule: "",
    tc: "",
    wireGuard: "",
    interfaces: [],
  },
};
const ALL = 0xffff_ffff;

/** Tool, a line as it lists it, bits in packets, overwritten in connections, copied into packets. */
const rows: readonly [keyof MarkListings, string, number, number, number][] = [
  // iptables-save 1.8.9
  [
    "iptables",
    "-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    0,
    0,
    ALL,
  ],
  ["iptables", "-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", 0, 0, 0xff],
  ["iptables", "-A POSTROUTING -j CONNMARK --save-mark", 0, ALL, 0],
  [
    "iptables",
    "-A POSTROUTING -j CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00",
    0,
    0x3f00,
    0,
  ],
  ["iptables", "-A PREROUTING -j CONNMARK --set-xmark 0x1/0xffffffff", 0, ALL, 0],
  ["iptables", "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff", 1, 0, 0],
  ["iptables", "-A PREROUTING -j MARK --set-xmark 0x40000/0xff0000", 0x40000, 0, 0],
  ["iptables", "-A OUTPUT -j MARK --set-xmark 0x696af100/0xffffffff", 0x696af100, 0, 0],
  ["iptables", "-A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT", 0xff0000, 0, 0],
  ["iptables", "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN", 0x4000, 0, 0],
  [
    "iptables",
    "-A DIVERT -p tcp -j TPROXY --on-port 1 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1",
    1,
    0,
    0,
  ],
  // What reads a connection's state of ours is welcome to it: docs/home-router.md.
  ["iptables", "-A FORWARD -m connmark --mark 0x10000000/0x30000000 -j FLOWOFFLOAD", 0, 0, 0],
  ["iptables", "-A BTBLOCKER_MARKED -j MARK --set-xmark 0x0/0x30000000", 0, 0, 0],
  ["iptables", "-A FORWARD -m mark ! --mark 0x0/0x3ff00000 -j BTBLOCKER", 0, 0, 0],
  // nft 1.0.6
  ["nft", "meta mark set 0x6d6f6c65", 0x6d6f6c65, 0, 0],
  [
    "nft",
    "ip saddr 10.78.1.0/24 ct mark set 0x00000f41 meta mark set 0x6d6f6c65",
    0x6d6f6c65,
    ALL,
    0,
  ],
  ["nft", "meta mark set ct mark", 0, 0, ALL],
  ["nft", "meta l4proto udp meta mark set ct mark", 0, 0, ALL],
  ["nft", "meta mark set ct mark & 0x0000ff00", 0, 0, 0xff00],
  ["nft", "meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark", 0xca6c, ALL, 0],
  ["nft", "meta mark set meta mark & 0xffff00ff | 0x00000100", 0x100, 0, 0],
  ["nft", "mark set mark and 0xffff00ff or 0x100", 0x100, 0, 0],
  ["nft", "meta mark & 0x00ff0000 == 0x00040000 accept", 0xff0000, 0, 0],
  ["nft", "ct mark set ct mark & 0xffffff00 | 0x00000001", 0, 0xff, 0],
  ["nft", "ct mark & 0x30000000 == 0x10000000 flow add @f", 0, 0, 0],
  ["nft", "meta mark set ip saddr map { 10.0.0.1 : 0x00000001, 10.0.0.2 : 0x00000002 }", 3, 0, 0],
  ["nft", "meta mark 0x40000000/2 accept", 0xc0000000, 0, 0],
  ["nft", "meta mark { 0x00000001, 0x80000000 } accept", 0x80000001, 0, 0],
  ["nft", "meta mark vmap { 0x02000000 : jump other, 0x00000001 : accept }", 0x02000001, 0, 0],
  ["nft", "ct state established accept", 0, 0, 0],
  // iproute2
  ["ipRule", "5210:\tfrom all fwmark 0x80000/0xff0000 lookup main", 0xff0000, 0, 0],
  ["ipRule", "32764:\tnot from all fwmark 0xca6c lookup 51820", 0xca6c, 0, 0],
  ["ipRule", "32766:\tfrom all lookup main", 0, 0, 0],
  ["tc", "filter parent 1: protocol ip pref 49152 fw chain 0 handle 0x6 classid 1:6", 6, 0, 0],
  [
    "tc",
    "filter parent 1: protocol ip pref 49152 fw chain 0 handle 0x100/0xff00 classid 1:6",
    0xff00,
    0,
    0,
  ],
  ["tc", "\taction order 1:  skbedit mark 7 pipe", 7, 0, 0],
  ["tc", "\taction order 1: connmark zone 0 pipe", 0, 0, ALL],
  // wireguard-tools
  ["wireGuard", "wg0\t0xca6c", 0xca6c, 0, 0],
  ["wireGuard", "wg1\toff", 0, 0, 0],
];

for (const [tool, line, packets, connections, copies] of rows) {
  Deno.test(`findMarkUsers() reads ${tool}: ${line.trim()}`, () => {
    const text = tool === "nft"
      ? `table inet other {\n\tchain pre {\n\t\t${line}\n\t}\n}\n`
      : `${line}\n`;
    const users = findMarkUsers({ ...NOTHING, [tool]: text });
    const found = users.map((one) =>
      [one.packets, one.connections, one.copies].map((bits) => bits >>> 0)
    ).filter((bits) => bits.some((word) => word !== 0));
    const expected = [packets, connections, copies];
    assert.deepEqual(found, expected.every((bits) => bits === 0) ? [] : [expected]);
    for (const { who } of users) {
      if (!line.includes("/2")) assert(who.includes(line.trim().split("\t")[0]), who);
    }
  });
}

/** Tool, a line as it lists it, bits of connections' marks that it asks for. */
const askers: readonly ["iptables" | "nft", string, number][] = [
  ["iptables", "-A FORWARD -m connmark --mark 0x1 -j ACCEPT", ALL],
  ["iptables", "-A FORWARD -m connmark ! --mark 0x0 -j ACCEPT", ALL],
  ["iptables", "-A FORWARD -m connmark --mark 0x1/0xff -j ACCEPT", 0xff],
  ["iptables", "-A FORWARD -m mark --mark 0x1 -j ACCEPT", 0],
  ["iptables", "-A PREROUTING -m connmark ! --mark 0x0 -j CONNMARK --restore-mark", 0],
  ["iptables", "-A PREROUTING -m connmark --mark 0x1 -j CONNMARK --restore-mark", ALL],
  ["nft", "ct mark 0x00000001 accept", ALL],
  ["nft", "ct mark != 0x00000000 accept", ALL],
  ["nft", "ct mark { 0x00000001, 0x00000002 } accept", ALL],
  ["nft", "ct mark vmap { 0x00000001 : accept, 0x00000002 : jump other }", ALL],
  ["nft", "meta mark set ct mark map { 0x00000001 : 0x00000100 }", ALL],
  ["nft", "meta mark set ct mark & 0x000000ff map { 0x00000001 : 0x00000100 }", 0xff],
  ["nft", "ct mark & 0x000000ff == 0x00000001 accept", 0xff],
  ["nft", "ct mark 0x00000001 ct mark set ct mark | 0x00000002", ALL],
  ["nft", "ct mark set 0x00000001", 0],
  ["nft", "ct mark set ct mark & 0xffffff00 | 0x00000001", 0],
  ["nft", "ct mark set meta mark", 0],
  ["nft", "meta mark set ct mark", 0],
  ["nft", "meta mark set ct mark & 0x0000ff00", 0],
];
for (const [tool, line, asks] of askers) {
  Deno.test(`findMarkUsers() reads what ${tool} asks of connections: ${line}`, () => {
    const text = tool === "nft"
      ? `table inet other {\n\tchain pre {\n\t\t${line}\n\t}\n}\n`
      : `${line}\n`;
    const users = findMarkUsers({ ...NOTHING, [tool]: text });
    assert.equal(users.reduce((bits, one) => bits | one.asks, 0) >>> 0, asks);
    const isWhole = asks === ALL;
    assert.equal(wholeAskers(users, marksOf(0x8200_0000)).length, isWhole ? 1 : 0);
  });
}

const COPY = "-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff";
/** Rules of one table, and how many of them ask for what a copy in the same hook has brought. */
const copiers: readonly ["iptables" | "nft", readonly string[], number][] = [
  ["iptables", [COPY, "-A PREROUTING -m mark --mark 0x1 -j RETURN"], 1],
  ["iptables", [COPY, "-A PREROUTING -j X", "-A X -g Y", "-A Y -m mark ! --mark 0x10 -j DROP"], 1],
  ["iptables", [COPY, "-A PREROUTING -m mark --mark 0x1/0xff -j RETURN"], 0],
  ["iptables", [COPY, "-A PREROUTING -m mark ! --mark 0x0 -j ACCEPT"], 0],
  ["iptables", [COPY, "-A POSTROUTING -m mark --mark 0xca6c -j CONNMARK --save-mark"], 0],
  ["iptables", [COPY, "-A X -j Y", "-A Y -j X", "-A Y -m mark --mark 0x1 -j DROP"], 0],
  ["nft", ["meta mark set ct mark", "meta mark 0x00000001 accept"], 1],
  ["nft", ["meta mark set ct mark", "meta mark { 0x00000001, 0x00000002 } accept"], 1],
  ["nft", ["meta mark set ct mark", "meta mark vmap { 0x00000001 : accept }"], 1],
  ["nft", ["meta mark set ct mark", "meta mark != 0x00000000 accept"], 0],
  ["nft", ["meta mark set ct mark", "meta mark & 0x000000ff == 0x00000001 accept"], 0],
  ["nft", ["meta mark set ct mark", "ct mark set meta mark"], 0],
  ["nft", ["meta mark set ct mark & 0x000000ff", "meta mark 0x00000001 accept"], 0],
];
for (const [tool, rules, count] of copiers) {
  Deno.test(`wholeAskers() beside a copy, ${tool}: ${rules.slice(1).join("; ")}`, () => {
    const hook = "type filter hook prerouting priority mangle; policy accept;";
    const text = tool === "nft"
      ? `table inet other {\n\tchain pre {\n\t\t${[hook, ...rules].join("\n\t\t")}\n\t}\n}\n`
      : `*mangle\n${rules.join("\n")}\nCOMMIT\n`;
    const users = findMarkUsers({ ...NOTHING, [tool]: text });
    assert.equal(wholeAskers(users, marksOf(0x8200_0000)).length, count);
  });
}

Deno.test("who asks for our bits alone reads what we know; auto takes bits that nobody asks for", () => {
  const line = "-A FORWARD -m connmark --mark 0x2000000/0x82000000 -j FLOWOFFLOAD\n";
  const users = findMarkUsers({ ...NOTHING, iptables: line });
  assert.deepEqual(wholeAskers(users, marksOf(0x8200_0000)), []);
  assert.equal(chooseMask("auto", users) & 0x8200_0000, 0);
});

Deno.test("findMarkUsers() leaves out our own table, and knows Cilium by its devices", () => {
  const own = "table inet btblocker {\n\tchain X {\n\t\tmeta mark set 0x1\n\t}\n}\n";
  assert.deepEqual(findMarkUsers({ ...NOTHING, nft: own }), []);
  const [{ packets }] = findMarkUsers({ ...NOTHING, interfaces: ["lo", "cilium_host"] });
  assert.equal(packets >>> 0, 0xffff_0f00);
});

Deno.test("findMarkUsers() reads a table of iptables in iptables' words alone", () => {
  // tailscaled's rule as iptables-nft-save 1.8.9 and nft 1.0.6 list it.
  const saved = "*mangle\n-A OUTPUT -m conntrack --ctstate NEW -m mark ! --mark 0x0/0xff0000 " +
    "-j CONNMARK --save-mark --nfmask 0xff0000 --ctmask 0xff0000\nCOMMIT\n";
  const listed = (family: string) =>
    `table ${family} mangle {\n\tchain OUTPUT {\n\t\tct state new meta mark & 0x00ff0000 != ` +
    "0x00000000 counter packets 0 bytes 0 ct mark set mark and 0xff0000\n\t}\n}\n";
  const overwritten = (nft: string) =>
    findMarkUsers({ ...NOTHING, iptables: saved, iptablesTables: ["ip mangle"], nft })
      .map(({ connections }) => connections >>> 0);
  assert.deepEqual(overwritten(listed("ip")), [0xff_0000]);
  assert.deepEqual(overwritten(listed("ip6")), [0xff_0000, 0xffff_ffff]);
  assert.deepEqual(overwritten(listed("ip") + listed("inet")), [0xff_0000, 0xffff_ffff]);
});

Deno.test("findMarkUsers() reads any text without a throw", () => {
  const words = fc.constantFrom(
    "meta",
    "ct",
    "mark",
    "set",
    "&",
    "|",
    "0x10",
    "-A",
    "-j",
    "MARK",
    "CONNMARK",
    "--set-xmark",
    "map",
    "{",
    "}",
    ":",
    "table",
    "chain",
    "fwmark",
    "\n",
    "/",
    "handle",
    "fw",
  );
  fc.assert(fc.property(fc.array(words), (some) => {
    const text = some.join(" ");
    findMarkUsers({
      ...NOTHING,
      iptables: text,
      nft: text,
      ipRule: text,
      tc: text,
      wireGuard: text,
      interfaces: [],
    });
  }));
});

function userOf(packets: number): MarkUser {
  return {
    who: `a rule with ${packets.toString(16)}`,
    packets: packets | 0,
    connections: 0,
    states: 0,
    copies: 0,
    asks: 0,
    asksPackets: false,
    hooks: 0,
  };
}

Deno.test("chooseMask(auto) takes what no well-known program uses, and always the same", () => {
  assert.equal(chooseMask("auto", []), 0x8200_0000);
  assert.equal(chooseMask("auto", [userOf(0xca6c)]), 0x8200_0000);
});

const connectionMarks: readonly [keyof MarkListings, string, number][] = [
  ["iptables", "-A PREROUTING -j CONNMARK --set-xmark 0x80000001/0xffffffff", 0x8000_0001],
  ["iptables", "-A PREROUTING -j CONNMARK --set-xmark 0x2000000/0x2000000", 0x0200_0000],
  ["iptables", "-A PREROUTING -j CONNMARK --set-xmark 0x0/0xffffffff", 0],
  ["nft", "ct mark set 0x80000000", 0x8000_0000],
  ["nft", "ct mark set ct mark & 0x0fffffff | 0x80000000", 0x8000_0000],
  ["nft", "ct mark set meta mark", 0],
];
for (const [tool, line, states] of connectionMarks) {
  Deno.test(`chooseMask() spares what a rule writes into connections' marks: ${line}`, () => {
    const text = tool === "nft" ? `table ip x {\n\tchain y {\n\t\t${line}\n\t}\n}\n` : line;
    const users = findMarkUsers({ ...NOTHING, [tool]: text });
    assert.equal((users[0].states) >>> 0, states);
    assert.equal(chooseMask("auto", users) & states, 0);
    if (states !== 0) assert.throws(() => chooseMask(0x8200_0000, users), /others use these bits/);
  });
}

Deno.test("chooseMask(auto) takes two bits that nobody uses", () => {
  fc.assert(fc.property(fc.array(fc.nat(ALL), { maxLength: 3 }), (marks) => {
    const users = marks.map(userOf);
    const taken = marks.reduce((bits, mark) => bits | mark, 0);
    const free = (~taken >>> 0).toString(2).replaceAll("0", "").length;
    if (free < 2) return assert.throws(() => chooseMask("auto", users), EnvironmentError);
    const mask = chooseMask("auto", users);
    assert.equal(mask & taken, 0);
    assert.equal(mask.toString(2).replaceAll("0", "").length, 2);
  }));
});

Deno.test("chooseMask() refuses a mask that others use, and names them", () => {
  assert.equal(chooseMask(0x3000_0000, [userOf(0x0fff_ffff)]), 0x3000_0000);
  const users = [userOf(0x6d6f_6c65), userOf(1)];
  assert.throws(() => chooseMask(0x3000_0000, users), (error) => {
    assert(error instanceof UsageError);
    assert.match(error.message, /MARK_MASK=0x30000000: others use .*\(a rule with 6d6f6c65\)/);
    return true;
  });
});

Deno.test("describeForeignMark() knows our own verdict that another program's rule has brought back", () => {
  for (const mark of [MARKS.sealedClear, MARKS.sealedDrop]) {
    assert.match(
      describeForeignMark(mark, MARKS, []),
      /a rule of another program .* queue of ours/,
    );
  }
});

Deno.test("describeForeignMark() names the mark, who sets it and what it means", () => {
  const shared = describeForeignMark(0x6d6f_6c65, MARKS, [userOf(0x6d6f_6c65), userOf(1)]);
  assert.match(shared, /mark 0x6d6f6c65, set by a rule with 6d6f6c65: its bits 0x20000000 are of/);
  assert.match(shared, /not believed/);
  const sealed = describeForeignMark(0x0010_0000, MARKS, []);
  assert.match(
    sealed,
    /mark 0x100000, set by another program: its bits 0x100000 are those by which/,
  );
  assert.doesNotMatch(sealed, /not believed/);
});
