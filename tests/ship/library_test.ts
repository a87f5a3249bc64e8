/** The library: its examples run, its documentation is whole, and it finds what `analyze` finds. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type CaptureFinding, judgeCapture, LINK_ETHERNET, PacketJudge } from "../../mod.ts";
import { CaptureReader } from "../../src/capture/reader.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Recorded for the tests of captures: real clients. */
const TORRENT = `${ROOT}tests/captures/transmission-tcp-http-tracker.pcap`;
const SOMETHING_ELSE = `${ROOT}tests/captures/coap.pcap`;

async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, text);
  return text;
}

async function findings(capture: string | Uint8Array): Promise<CaptureFinding[]> {
  return await Array.fromAsync(judgeCapture(capture));
}

Deno.test("the library's examples run", async () => {
  // Unchecked: the runner imports every export itself, which makes the examples' imports unused.
  const text = await deno("test", "--quiet", "--doc", "--no-check", "mod.ts");
  assert.match(text, /3 passed/);
});

Deno.test("everything the library exports is documented", async () => {
  await deno("doc", "--lint", "mod.ts");
});

Deno.test("judgeCapture() finds BitTorrent in a file and in its bytes alike", async () => {
  const found = await findings(TORRENT);
  assert(found.length > 0);
  for (const { frame, timeMs, method, sourcePort } of found) {
    assert(frame > 0 && timeMs > 0 && sourcePort > 0 && method.length > 0);
  }
  assert.deepEqual(await findings(await Deno.readFile(TORRENT)), found);
  assert.deepEqual(await findings(SOMETHING_ELSE), []);
});

Deno.test("judgeCapture() refuses what is no capture", async () => {
  await assert.rejects(findings(new Uint8Array(100)), /not a pcap or pcapng capture/);
});

Deno.test("PacketJudge finds, frame by frame, what judgeCapture() finds", async () => {
  const judge = new PacketJudge();
  const frames: number[] = [];
  using reader = await CaptureReader.open(TORRENT);
  assert.equal(reader.next(), true);
  do {
    const frame = reader.bytes.slice(reader.start, reader.end);
    const verdict = judge.judge(frame, reader.timeMs, reader.linkType);
    if (judge.finding === null) continue;
    assert.equal(verdict, "bittorrent");
    frames.push(reader.frameNumber);
  } while (reader.next());
  assert.deepEqual(frames, (await findings(TORRENT)).map(({ frame }) => frame));
});

Deno.test("PacketJudge leaves alone what it cannot read", () => {
  const judge = new PacketJudge();
  for (const length of [0, 1, 20, 60, 1500]) {
    assert.equal(judge.judge(new Uint8Array(length), 0), "inspect");
    assert.equal(judge.judge(new Uint8Array(length).fill(0x45), 0, LINK_ETHERNET), "inspect");
  }
});
