import assert from "node:assert/strict";
import {
  FlowRecord,
  HINTED,
  HTTP,
  MID_STREAM,
  OPENING_JUDGED,
} from "../../src/engine/flow_record.ts";
import { encryptedMayWait, isTcpSpent, isUdpSpent } from "../../src/engine/release.ts";

/** Counts packets of one length until the flow is let go, at most so many. */
function packetsUntil(
  isSpent: (flow: FlowRecord) => boolean,
  flags: number,
  length: number,
  answered = true,
) {
  const flow = new FlowRecord(1);
  flow.raise(flags);
  if (answered) flow.count(1, 1);
  for (let packets = 1; packets <= 100_000; packets++) {
    flow.count(0, length);
    if (isSpent(flow)) return packets;
  }
  return Infinity;
}

const udp = (isYoung: boolean) => (flow: FlowRecord) => isUdpSpent(flow, isYoung);
const tcp = (flow: FlowRecord) => isTcpSpent(flow, 0, false);
const budgets: readonly (readonly [string, number, number])[] = [
  ["both sides opened with something else", packetsUntil(tcp, OPENING_JUDGED * 3, 1), 1],
  ["small packets of one direction", packetsUntil(tcp, OPENING_JUDGED, 1), 8],
  ["HTTP both ways", packetsUntil(tcp, OPENING_JUDGED * 3 | HTTP * 3, 1), 8],
  ["4 KiB of one direction", packetsUntil(tcp, OPENING_JUDGED, 1024), 4],
  ["an opening that is cut", packetsUntil(tcp, 0, 1024), 8],
  ["nobody answers", packetsUntil(tcp, OPENING_JUDGED, 1, false), 64],
  ["nobody answers, 64 KiB", packetsUntil(tcp, OPENING_JUDGED, 8192, false), 8],
  ["joined in the middle, 64 KiB both ways", packetsUntil(tcp, MID_STREAM, 8192), 8],
  [
    "encrypted BitTorrent is possible",
    packetsUntil((flow) => isTcpSpent(flow, 0, true), 0, 9),
    Infinity,
  ],
  ["UDP without a hint", packetsUntil(udp(false), 0, 1), 7],
  ["UDP, 8 KiB", packetsUntil(udp(false), 0, 4096), 2],
  ["UDP with a hint", packetsUntil(udp(false), HINTED, 4096), 63],
  ["UDP with a hint of just now", packetsUntil(udp(true), HINTED, 4096), 1023],
  ["UDP, nobody answers", packetsUntil(udp(false), 0, 1, false), 64],
];
for (const [name, packets, expected] of budgets) {
  Deno.test(`release: ${name}`, () => assert.equal(packets, expected));
}

Deno.test("release: an encrypted flow is looked at for 32 KiB, with lengths of BitTorrent for a MiB", () => {
  const flow = new FlowRecord(1);
  flow.count(0, 32_767);
  assert.equal(encryptedMayWait(flow, false), true);
  flow.count(1, 1);
  assert.equal(encryptedMayWait(flow, false), false);
  assert.equal(encryptedMayWait(flow, true), true);
  flow.count(1, (1 << 20) - 32_768);
  assert.equal(encryptedMayWait(flow, true), false);
});
