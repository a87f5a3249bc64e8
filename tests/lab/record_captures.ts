/**
 * Records the captures of tests/captures with real programs in network namespaces, and writes
 * their labels. Root; programs as `scripts/install_test_tools.sh` installs them.
 *
 *     deno run -A tests/lab/record_captures.ts [--directory DIR] [--labels-only] [NAME…]
 *
 * With names only those whose name contains one of them; their labels replace the older ones.
 * `--labels-only` labels the captures that are there again.
 */

import { commandLine } from "../../scripts/arguments.ts";
import { Lab } from "./lab.ts";
import { BITTORRENT } from "./record/bittorrent.ts";
import { OTHERS } from "./record/others.ts";
import { listFlows } from "./record/flows.ts";
import { type CaptureLabel, labelFlows } from "./record/labels.ts";
import { Recorder, type Scenario } from "./record/scenario.ts";

const USAGE = "deno task captures [--directory tests/captures] [--labels-only] [NAME…]";
const { values, words } = commandLine(USAGE, {
  directory: { type: "string", default: "tests/captures" },
  "labels-only": { type: "boolean", default: false },
}, Infinity);
const { directory } = values;
const wanted = [...BITTORRENT, ...OTHERS].filter(({ name }) =>
  words.length === 0 || words.some((part) => name.includes(part))
);

await Deno.mkdir(directory, { recursive: true });
let failures = 0;
for (const scenario of wanted) {
  const began = performance.now();
  try {
    const path = `${directory}/${scenario.name}.pcap`;
    if (!values["labels-only"]) await record(scenario, path);
    const label = labelOf(scenario, await Deno.readFile(path));
    await saveLabel(label);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const kinds = label.flows.map((f) => f.decidable === false ? `(${f.kind})` : f.kind);
    console.log(
      `${scenario.name}: ${label.packets} packets, ${label.payloadFlows} flows, ${seconds} s, ` +
        (kinds.length > 0 ? [...new Set(kinds)].join(" ") : "clean"),
    );
  } catch (error) {
    failures++;
    console.error(`${scenario.name}: FAILED: ${error instanceof Error ? error.message : error}`);
  }
}
if (failures > 0) Deno.exit(1);

async function record(scenario: Scenario, path: string): Promise<void> {
  await using lab = await Lab.create({ outer: scenario.outer, offload: false });
  const recorder = new Recorder(lab, `${lab.directory}/capture.pcap`);
  if (!scenario.truth.midStream) await recorder.start();
  await scenario.run(lab, recorder);
  await recorder.stop();
  await Deno.copyFile(recorder.file, path);
}

function labelOf(scenario: Scenario, capture: Uint8Array): CaptureLabel {
  const all = listFlows(capture);
  const withPayload = all.filter((flow) => flow.payloadPackets[0] + flow.payloadPackets[1] > 0);
  const flows = labelFlows(withPayload, scenario.truth);
  return {
    file: `${scenario.name}.pcap`,
    source: scenario.source,
    label: flows.length === 0
      ? "clean"
      : flows.length === withPayload.length
      ? "bittorrent"
      : "mixed",
    flows,
    payloadFlows: withPayload.length,
    packets: all.reduce((sum, flow) => sum + flow.packets[0] + flow.packets[1], 0),
    minimumUndecidable: scenario.minimumUndecidable,
  };
}

async function saveLabel(label: CaptureLabel): Promise<void> {
  const path = `${directory}/labels.json`;
  let labels: CaptureLabel[] = [];
  try {
    labels = JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  labels = labels.filter((other) => other.file !== label.file);
  labels.push(label);
  labels.sort((a, b) => a.file < b.file ? -1 : 1);
  // One capture a line: readable in a diff, and small.
  const lines = labels.map((one) => JSON.stringify(one));
  await Deno.writeTextFile(path, `[\n${lines.join(",\n")}\n]\n`);
}
