/**
 * Nanoseconds per payload-bearing packet through parse, flow table and all detectors, one thread:
 *
 *   deno task bench [CORPUS]
 *
 * CORPUS is a directory with `labels.json` and the captures in it or in `pcap/`; by default the
 * project's own. Frames are read into memory first: reading files is measured by `bench:analyze`.
 *
 * Then the dearest inputs that are known, beside the usual packet: the one of the project's captures in
 * which an average byte travels. The aim is below 20 times that for each 1400 bytes, and below 100 µs.
 */
import { commandLine } from "../../scripts/arguments.ts";
import { CaptureReader } from "../../src/capture/reader.ts";
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { parseFrame } from "../../src/packet/link.ts";
import { Packet } from "../../src/packet/packet.ts";
import { loadCorpus } from "../fuzz/corpus.ts";
import { corpusFiles, median } from "./corpus.ts";
import { COSTLY_INPUTS } from "./costly_inputs.ts";
import { costEngine, costOf, packetsOf, usualNs } from "./costs.ts";

const RUNS = 5;
/** Each set is repeated until it has so many payload packets, so that the compiler is warm. */
const MIN_PACKETS = 300_000;

interface FrameSet {
  bytes: Uint8Array;
  /** start, end, linkType of each frame. */
  frames: Int32Array;
  times: Float64Array;
  /** Number of the first frame of each capture. */
  captures: number[];
}

async function load(paths: string[]): Promise<FrameSet> {
  const chunks: Uint8Array[] = [];
  const frames: number[] = [];
  const times: number[] = [];
  const captures: number[] = [];
  let length = 0;
  for (const path of paths) {
    captures.push(times.length);
    using reader = await CaptureReader.open(path);
    while (reader.next()) {
      const frame = reader.bytes.slice(reader.start, reader.end);
      chunks.push(frame);
      frames.push(length, length + frame.length, reader.linkType);
      times.push(reader.timeMs);
      length += frame.length;
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return { bytes, frames: Int32Array.from(frames), times: Float64Array.from(times), captures };
}

/** Payload of 1400 random bytes on one long flow that is never released (every packet inspected). */
function randomFlow(): FrameSet {
  const frameLength = 20 + 8 + 1400;
  const count = 2000;
  const bytes = new Uint8Array(count * frameLength);
  const frames = new Int32Array(count * 3);
  for (let i = 0; i < count; i++) {
    const at = i * frameLength;
    for (let cut = 28; cut < frameLength; cut += 700) {
      crypto.getRandomValues(bytes.subarray(at + cut, at + Math.min(cut + 700, frameLength)));
    }
    bytes.set([0x45, 0, frameLength >> 8, frameLength & 255, 0, 0, 0, 0, 64, 17], at);
    bytes.set([10, 0, 0, 1, 10, 0, 0, 2, 0x27, 0x10, 0x27, 0x11], at + 12);
    bytes.set([(frameLength - 20) >> 8, (frameLength - 20) & 255], at + 24);
    frames.set([at, at + frameLength, 101], i * 3);
  }
  return { bytes, frames, times: new Float64Array(count), captures: [0] };
}

interface Measure {
  nsPerPacket: number;
  megabytesPerSecond: number;
}

function run(set: FrameSet, engine: Engine): Measure {
  const packet = new Packet();
  let payloadPackets = 0;
  let payloadBytes = 0;
  let ns = 0;
  while (payloadPackets < MIN_PACKETS) {
    engine.clear(); // every pass meets all flows for the first time
    const before = engine.counters.payloadPackets;
    const { bytes, frames, times } = set;
    const began = performance.now();
    for (let i = 0; i < times.length; i++) {
      if (!parseFrame(packet, bytes, frames[i * 3], frames[i * 3 + 1], frames[i * 3 + 2])) continue;
      packet.timeMs = times[i];
      engine.judge(packet);
      payloadBytes += packet.payloadEnd - packet.payloadStart;
    }
    ns += (performance.now() - began) * 1e6;
    payloadPackets += engine.counters.payloadPackets - before;
  }
  return { nsPerPacket: ns / payloadPackets, megabytesPerSecond: (payloadBytes * 1000) / ns };
}

const { clean, torrent } = corpusFiles(commandLine("deno task bench [CORPUS]", {}, 1).words[0]);

const sets: (readonly [string, FrameSet])[] = [
  [`clean captures (${clean.length})`, await load(clean)],
  [`BitTorrent captures (${torrent.length})`, await load(torrent)],
  ["random payload, 1400 bytes, one flow", randomFlow()],
];
console.log(`${RUNS} runs, median; ns per payload-bearing packet`);
// One engine, as a gateway has. A pass before the counted ones touches its memory for the first time.
const engine = new Engine({ policy: CAPTURE_POLICY });
for (const [name, set] of sets) {
  run(set, engine);
  const measures = Array.from({ length: RUNS }, () => run(set, engine));
  const ns = median(measures.map(({ nsPerPacket }) => nsPerPacket));
  const rate = median(measures.map(({ megabytesPerSecond }) => megabytesPerSecond));
  console.log(
    `${name.padEnd(40)} ${ns.toFixed(0).padStart(6)} ns ${rate.toFixed(0).padStart(7)} MB/s`,
  );
}

const usual = usualNs(
  (await loadCorpus()).flat().map(({ packet }) => packet),
  new Engine({
    policy: CAPTURE_POLICY,
  }),
);
console.log(
  `\nusual packet ${usual.toFixed(0)} ns; of costly inputs: ns a packet, the dearest one, ratio`,
);
for (const input of COSTLY_INPUTS) {
  const { meanNs, dearestNs, dearestShareNs } = costOf(packetsOf(input), costEngine());
  const ratio = dearestShareNs / usual;
  console.log(
    `${input.name.padEnd(48)} ${meanNs.toFixed(0).padStart(7)} ${
      dearestNs.toFixed(0).padStart(7)
    } ` +
      ratio.toFixed(1).padStart(6),
  );
}
