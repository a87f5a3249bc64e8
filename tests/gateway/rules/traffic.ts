/** What the tests of the rules guard: marks with a known seal, one queue. */
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import type { GuardedTraffic } from "../../../src/gateway/rules/rule_text.ts";

/** States 0x10000000 and 0x20000000; sealed with 0x05a00000 under 0x0ff00000. */
export const MARKS = marksOf(0x3000_0000, { bits: 0x0ff0_0000, value: 0x05a0_0000 });

export const TRAFFIC: GuardedTraffic = {
  chains: ["FORWARD"],
  queueNumber: 0,
  queueCount: 1,
  marks: MARKS,
  recheck: 0,
  monitorOnly: false,
  whitelistPorts: [],
  stripsCopies: false,
};
