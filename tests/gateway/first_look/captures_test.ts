/**
 * The first look says clean only where the engine does, over whole captures: a flow that it settles is
 * one in which the engine finds nothing, and the engine behind it finds what it finds alone.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { bpfImpossible } from "../../bpf/possible.ts";
import { CaptureReader } from "../../../src/capture/reader.ts";
import { BITTORRENT, CLEAN, DROP } from "../../../src/engine/engine.ts";
import { CAPTURE_POLICY, type EnginePolicy } from "../../../src/engine/policy.ts";
import { parseFrame } from "../../../src/packet/link.ts";
import { Packet } from "../../../src/packet/packet.ts";
import { flowOf, freshLook, LookedChain } from "./look.ts";

const OURS = fileURLToPath(new URL("../../captures/", import.meta.url));
const SHARED = fileURLToPath(new URL("../../../../shared/", import.meta.url));
const FOLDERS = [OURS, `${SHARED}field/pcap/`, `${SHARED}corpus/pcap/`];
/** Frames of one capture; longer ones have told by then. */
const MOST_FRAMES = 1_500;
const STRICT: EnginePolicy = { ...CAPTURE_POLICY, strict: true };

interface Told {
  settled: number;
  looked: number;
  frames: number;
}

for (const folder of FOLDERS) {
  const isThere = captures(folder).length > 0;
  if (!isThere) console.log(`Captures are skipped: there is no ${folder}`);
  for (const policy of [CAPTURE_POLICY, STRICT]) {
    const name = policy.strict ? "strict" : "default";
    Deno.test({
      name: `the first look settles nothing that the engine finds in ${folder} (${name})`,
      ignore: bpfImpossible !== null || !isThere,
      async fn() {
        const told = { settled: 0, looked: 0, frames: 0 };
        for (const path of captures(folder)) await compare(path, policy, told);
        console.log(JSON.stringify(told));
        assert.ok(told.looked > 0, "nothing is looked at: the test would prove nothing");
        if (folder === OURS) assert.ok(told.settled > 0, "nothing is settled");
      },
    });
  }
}

function captures(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].filter(({ name }) => /\.(pcap|pcapng)$/.test(name))
      .map(({ name }) => folder + name).sort();
  } catch {
    return [];
  }
}

async function compare(path: string, policy: EnginePolicy, told: Told): Promise<void> {
  const look = freshLook();
  const chain = new LookedChain(look, policy);
  const without = new LookedChain(null, policy);
  const packet = new Packet();
  const [alone, behind] = [new Set<string>(), new Set<string>()];
  using reader = await CaptureReader.open(path);
  for (let frame = 0; frame < MOST_FRAMES && reader.next(); frame++) {
    const { bytes, start, end, linkType, timeMs } = reader;
    if (!parseFrame(packet, bytes, start, end, linkType) || packet.tunnelled) continue;
    packet.timeMs = timeMs;
    const ip = ipPacket(bytes, packet.start, end);
    if (ip === null) continue;
    told.frames++;
    const flow = flowOf(packet);
    if ((without.take(ip, timeMs) ?? CLEAN) >= BITTORRENT) {
      alone.add(flow);
      assert.ok(!chain.settled.has(flow), `${path}, frame ${frame + 1}: settled, and BitTorrent`);
    }
    const before = chain.settled.size;
    const verdict = chain.take(ip, timeMs);
    if (verdict === BITTORRENT || verdict === DROP) behind.add(flow);
    if (verdict === null) told.looked++;
    if (chain.settled.size > before) {
      told.settled++;
      assert.ok(!alone.has(flow), `${path}, frame ${frame + 1}: settled after a find`);
    }
  }
  assert.deepEqual([...behind].sort(), [...alone].sort(), path);
}

/** The IP packet at `start`, without what follows it in the frame; null where it is cut. */
function ipPacket(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  const isIpv6 = bytes[start] >> 4 === 6;
  const at = start + (isIpv6 ? 4 : 2);
  const told = (bytes[at] << 8 | bytes[at + 1]) + (isIpv6 ? 40 : 0);
  const length = told === 0 || told === 40 ? end - start : told; // large packets tell 0
  return start + length > end ? null : bytes.slice(start, start + length);
}
