import assert from "node:assert/strict";
import { readRuleEvent, type RuleEvent } from "../../../src/gateway/rules/rule_events.ts";

/**
 * What the kernel (6.18) told on the nft group of nfnetlink, byte by byte, while iptables-nft 1.8.9
 * and nft 1.0.6 did what the name says.
 */
const ADD_CHAIN = "40000000000a000402000000385f0000020000020d000100736563757269747900000000" +
  "08000300000000010c0004000000000000000001080002000000000040000000030a000203000000385f0000" +
  "020000020d00010073656375726974790000000006000300580000000c00020000000000000000010800060000000000";
const ADD_RULE = "98000000060a000c020000003d5f0000020000030d000100736563757269747900000000" +
  "06000200580000000c0003000000000000000002600004002c0001000c000100636f756e746572001c000200" +
  "0c00010000000000000000000c0002000000000000000000300001000e000100696d6d656469617465000000" +
  "1c0002000800010000000000100002000c0002000800010000000000";
const FILTER_RULE = "98000000060a000c04000000465f0000020000050b00010066696c74657200000c000200" +
  "464f5257415244000c0003000000000000000002600004002c0001000c000100636f756e746572001c000200" +
  "0c00010000000000000000000c0002000000000000000000300001000e000100696d6d656469617465000000" +
  "1c0002000800010000000000100002000c0002000800010000000000";
const FLUSH_CHAIN = "98000000080a000002000000415f0000020000040d000100736563757269747900000000" +
  "06000200580000000c0003000000000000000002600004002c0001000c000100636f756e746572001c000200" +
  "0c00010000000000000000000c0002000000000000000000300001000e000100696d6d656469617465000000" +
  "1c0002000800010000000000100002000c0002000800010000000000";
const DELETE_CHAIN = "38000000050a0000020000004e5f0000020000070d000100736563757269747900000000" +
  "06000300580000000c0002000000000000000001";
const GENERATION = "380000000f0a0000020000004e5f0000000000070800010000000007080002000000" +
  "5f4e1100030069707461626c65732d6e667400000000";
const FLUSH_RULESET = "38000000020a000001000000525f0000020000080d000100736563757269747900000000" +
  "08000300000000000c0004000000000000000001" +
  "38000000050a000001000000525f0000020000080b00010066696c74657200000c000300464f525741524400" +
  "0c0002000000000000000001" +
  "34000000020a000001000000525f0000020000080b00010066696c746572000008000300000000000c000400" +
  "0000000000000002";

const rows: readonly [string, hex: string, tables: readonly string[], RuleEvent][] = [
  ["a new chain", ADD_CHAIN, ["mangle"], null],
  ["a new rule of ours", ADD_RULE, ["security"], null],
  ["a new rule of others", ADD_RULE, ["mangle"], "change"],
  ["a new rule, then a flush of ours", FILTER_RULE + FLUSH_CHAIN, ["security"], "removal"],
  ["the end of a transaction", GENERATION, ["security"], null],
  ["a flush", FLUSH_CHAIN, ["btblocker_copies", "security"], "removal"],
  ["a flush of another table", FLUSH_CHAIN, ["securit", "security2", "mangle"], "change"],
  ["a chain taken out", DELETE_CHAIN, ["security"], "removal"],
  ["flush ruleset, ours first", FLUSH_RULESET, ["security"], "removal"],
  ["flush ruleset, ours last", FLUSH_RULESET, ["filter"], "removal"],
  ["messages that were lost", "", ["security"], "removal"],
  ["a message that is cut", FLUSH_CHAIN.slice(0, 60), ["mangle"], "removal"],
];

for (const [name, hex, tables, expected] of rows) {
  Deno.test(`readRuleEvent(): ${name}, for ${tables}: ${expected}`, () => {
    assert.equal(readRuleEvent(Uint8Array.fromHex(hex), tables), expected);
  });
}

Deno.test("readRuleEvent(): whatever bytes come, it ends and does not throw", () => {
  const whole = Uint8Array.fromHex(FLUSH_RULESET);
  for (let run = 0; run < 20_000; run++) {
    const bytes = whole.slice(0, 1 + Math.floor(Math.random() * whole.length));
    for (let change = 0; change < 3; change++) {
      bytes[Math.floor(Math.random() * bytes.length)] = Math.random() * 256;
    }
    readRuleEvent(bytes, ["security"]);
  }
});
