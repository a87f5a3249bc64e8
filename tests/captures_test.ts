/**
 * Our own captures of real programs (tests/captures, recorded by tests/lab/record_captures.ts):
 * every labelled flow is found and no other, through the code of `btblocker analyze`.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { CaptureLabel, FlowLabel } from "./lab/record/labels.ts";
import { analyze } from "../src/cli/analyze.ts";
import { Output } from "../src/cli/output.ts";

const DIRECTORY = fileURLToPath(new URL("./captures/", import.meta.url));
const LABELS: CaptureLabel[] = JSON.parse(await Deno.readTextFile(`${DIRECTORY}labels.json`));
const MAXIMUM_TOTAL_BYTES = 8_000_000;

interface Detection {
  transport: string;
  src: string;
  dst: string;
  method: string;
  reason: string;
  packet: number;
}

/** `analyze --json FILE`, as its rows. */
async function detectionsOf(path: string): Promise<{ detections: Detection[]; packets: number }> {
  const decoder = new TextDecoder();
  let text = "";
  const output = new Output((bytes) => {
    text += decoder.decode(bytes, { stream: true });
    return bytes.length;
  });
  assert.equal(await analyze([path], { json: true }, output), 0, `${path} could not be read`);
  const rows = text.trim().split("\n").map((line) => JSON.parse(line));
  const summary = rows.find((row) => row.type === "summary");
  return {
    detections: rows.filter((row) => row.type === "detection"),
    packets: summary.packets,
  };
}

/** The same text for both directions. */
function flowKey(transport: string, a: string, b: string): string {
  return [transport, ...[a, b].sort()].join(" ");
}

const keyOf = ({ proto, a, b }: FlowLabel) => flowKey(proto, a, b);

for (const label of LABELS) {
  Deno.test(`capture ${label.file}: ${label.flows.length} flows of BitTorrent`, async () => {
    const { detections, packets } = await detectionsOf(`${DIRECTORY}${label.file}`);
    assert.ok(packets >= label.packets, "packets are missing");
    const found = new Map(detections.map((one) => [flowKey(one.transport, one.src, one.dst), one]));
    const missed = label.flows.filter((flow) =>
      flow.decidable !== false && !found.has(keyOf(flow))
    );
    const labelled = new Set(label.flows.map(keyOf));
    const flagged = [...found].filter(([key]) => !labelled.has(key)).map(([, one]) => one);
    assert.deepEqual({ missed, flagged }, { missed: [], flagged: [] });
    if (label.minimumUndecidable !== undefined) {
      const fromFanOut = label.flows.filter((flow) =>
        flow.decidable === false && found.has(keyOf(flow))
      );
      assert.ok(
        fromFanOut.length >= label.minimumUndecidable,
        `${fromFanOut.length} of the encrypted flows to many peers found`,
      );
    }
  });
}

Deno.test("captures: every file is labelled, all together are small", async () => {
  const names: string[] = [];
  let bytes = 0;
  for await (const { name } of Deno.readDir(DIRECTORY)) {
    if (!name.endsWith(".pcap")) continue;
    names.push(name);
    bytes += (await Deno.stat(`${DIRECTORY}${name}`)).size;
  }
  assert.deepEqual(names.sort(), LABELS.map(({ file }) => file).sort());
  assert.ok(bytes < MAXIMUM_TOTAL_BYTES, `${bytes} bytes`);
});
