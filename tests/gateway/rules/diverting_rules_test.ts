/** Transparent proxies on the router, as iptables-save and nft list their rules. */

import assert from "node:assert/strict";
import { findDivertingRules } from "../../../src/gateway/rules/diverting_rules.ts";

// Of redsocks' and TPROXY's documentation, and what is like them and no proxy.
const IPTABLES: readonly (readonly [rules: string, isFound: boolean])[] = [
  [
    "-A PREROUTING -i lan0 -p tcp -j TPROXY --on-port 1234 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1",
    true,
  ],
  ["-A PREROUTING -i lan0 -p tcp -j REDIRECT --to-ports 12345", true],
  [
    "-A PREROUTING -i lan0 -p tcp -j REDSOCKS\n-A REDSOCKS -p tcp -j REDIRECT --to-ports 12345",
    true,
  ],
  ["-A OUTPUT -p tcp -j REDSOCKS\n-A REDSOCKS -p tcp -j REDIRECT --to-ports 12345", false],
  ["-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080", false],
  ["-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT", false],
  ["-A PREROUTING -p tcp -m socket --transparent -j MARK --set-xmark 0x1/0xffffffff", false],
];
for (const [rules, isFound] of IPTABLES) {
  Deno.test(`findDivertingRules() ${isFound ? "finds" : "leaves"} ${rules.split("\n").at(-1)}`, () => {
    const iptables = `*nat\n:PREROUTING ACCEPT [0:0]\n${rules}\nCOMMIT\n`;
    const found = findDivertingRules({ iptables, iptablesTables: [], nft: "" });
    assert.deepEqual(found, isFound ? rules.split("\n").slice(-1) : []);
  });
}

const NFT: readonly (readonly [rule: string, hook: string, isFound: boolean])[] = [
  ["meta l4proto tcp tproxy to :1234 meta mark set 0x00000001 accept", "prerouting", true],
  ["tcp dport 0-65535 tproxy ip to 127.0.0.1:1234", "prerouting", true],
  ["ip protocol tcp redirect to :12345", "prerouting", true],
  ["ip protocol tcp redirect to :12345", "output", false],
  ["tcp dport 80 redirect to :8080", "prerouting", false],
];
for (const [rule, hook, isFound] of NFT) {
  Deno.test(`findDivertingRules() ${isFound ? "finds" : "leaves"} nft's ${rule} in ${hook}`, () => {
    const nft = `table inet proxy {\n\tchain c {\n` +
      `\t\ttype filter hook ${hook} priority mangle; policy accept;\n\t\t${rule}\n\t}\n}\n`;
    const found = findDivertingRules({ iptables: "", iptablesTables: [], nft });
    assert.deepEqual(found, isFound ? [`nft, table inet proxy: ${rule}`] : []);
  });
}
