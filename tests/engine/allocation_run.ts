/**
 * Judges a million packets of flows that come and go, then five times a million between `begin` and
 * `end`. Run by allocation_test.ts with `--trace-gc`: what the garbage collector does between those
 * lines is what packets allocate, but for what is not compiled yet.
 */
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";

const engine = new Engine({ policy: CAPTURE_POLICY, flows: 4096 });
const packet = new Packet();
const bytes = crypto.getRandomValues(new Uint8Array(1500));
const openings = ["GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "\x16\x03\x01\x02\0\x01", "d1:ad"]
  .map((text) => Uint8Array.from(text, (char) => char.charCodeAt(0)));

const header = Uint8Array.of(0x45, 0, 0x05, 0xdc, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0);

function judge(count: number): void {
  for (let i = 0; i < count; i++) {
    const isTcp = (i & 1) === 0;
    const headers = isTcp ? 40 : 28;
    bytes.set(header);
    bytes[9] = isTcp ? 6 : 17;
    bytes[14] = i >> 10;
    bytes[16] = 192;
    bytes[20] = 40 + (i & 7); // source port
    bytes[22] = 50;
    if (isTcp) {
      bytes[32] = 0x50;
      bytes[33] = (i & 0x3f0) === 0 ? 0x02 : 0x10;
    } else {
      bytes[24] = 0;
      bytes[25] = 0;
    }
    bytes.set(openings[i % openings.length], headers);
    if (i % 5 === 0) bytes[headers] = 0x80 | i; // something random
    parseIp(packet, bytes, 0, bytes.length);
    packet.timeMs = 1_700_000_000_000 + i;
    engine.judge(packet);
  }
}

judge(1_000_000);
for (let round = 0; round < 5; round++) {
  console.log("begin");
  judge(1_000_000);
  console.log("end");
}
console.log(
  `judged ${engine.counters.packets} ${engine.counters.flows} ${engine.counters.detections}`,
);
