/**
 * Clean captures joined in the middle: each is begun at 21 frames, evenly spread, and judged from
 * there, as by a blocker that starts while everything runs. Nothing may be found.
 *
 *     deno task bench:joins [DIRECTORY with labels.json]
 */
import { commandLine } from "../../scripts/arguments.ts";
import { CaptureJudge } from "../../src/capture/capture_judge.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { CaptureReader } from "../../src/capture/reader.ts";
import { corpusFiles } from "./corpus.ts";

const POINTS = 21;

/** Opens a capture and passes over its first frames. */
async function openAt(path: string, frames: number): Promise<CaptureReader> {
  const reader = await CaptureReader.open(path);
  for (let i = 0; i < frames && reader.next(); i++);
  return reader;
}

async function countFrames(path: string): Promise<number> {
  using reader = await CaptureReader.open(path);
  while (reader.next());
  return reader.frameNumber;
}

const { clean } = corpusFiles(commandLine("deno task bench:joins [CORPUS]", {}, 1).words[0]);
let joins = 0;
const flagged = new Set<string>();
for (const path of clean) {
  const frames = await countFrames(path);
  const points = new Set(Array.from({ length: POINTS }, (_, i) => Math.floor(frames * i / POINTS)));
  for (const point of points) {
    using reader = await openAt(path, point);
    const judge = new CaptureJudge(reader, { policy: CAPTURE_POLICY });
    joins++;
    while (judge.next()) {
      const found = judge.detection;
      if (found === null) continue;
      flagged.add(path);
      const { method, reason } = found.match;
      const ends =
        `${found.source}:${found.sourcePort} ${found.destination}:${found.destinationPort}`;
      console.log(
        `${path} from frame ${point}: ${method} (${reason}), frame ${reader.frameNumber}, ${ends}`,
      );
    }
  }
}
console.log(`${clean.length} clean captures, ${joins} joins: ${flagged.size} captures flagged`);
Deno.exit(flagged.size === 0 ? 0 : 1);
