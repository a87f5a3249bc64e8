import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CaptureReader } from "../../../src/capture/reader.ts";
import { type Detection, Engine } from "../../../src/engine/engine.ts";
import { CAPTURE_POLICY, type EnginePolicy } from "../../../src/engine/policy.ts";
import { parseFrame } from "../../../src/packet/link.ts";
import { Packet } from "../../../src/packet/packet.ts";

export const CAPTURES = fileURLToPath(new URL("../../captures/", import.meta.url));

/** What the engine detects at frame `frame` (from 1) of a file in tests/captures. */
export async function detectionAt(
  capture: string,
  frame: number,
  policy: Partial<EnginePolicy> = {},
): Promise<Detection> {
  using reader = await CaptureReader.open(CAPTURES + capture);
  const engine = new Engine({ policy: { ...CAPTURE_POLICY, ...policy }, flows: 4096 });
  const packet = new Packet();
  while (reader.frameNumber < frame && reader.next()) {
    if (!parseFrame(packet, reader.bytes, reader.start, reader.end, reader.linkType)) continue;
    packet.timeMs = reader.timeMs;
    engine.judge(packet);
  }
  assert.ok(engine.detection !== null, `${capture}: nothing at frame ${frame}`);
  return engine.detection;
}
