/**
 * Sends UDP packets from 10.9.1.2 into veth `v0`, from inside the kernel, where this thread receives
 * them too; prints packets a second of its processor time, which other work on the machine leaves alone.
 * In short turns, the fastest counts: in a long one the kernel gives the receiving to a thread of its own.
 * Arguments: object with the bare programs, the other end's MAC address, how many.
 */
import { BpfObject } from "../../ffi/bpf.ts";
import { interfaceIndex } from "../../ffi/libc.ts";
import { sendLiveFrames } from "../bpf/test_run.ts";
import { bytes } from "../gateway/bytes.ts";

const TURN = 50_000;
const [object, mac, count] = Deno.args;
using bare = new BpfObject(Deno.readFileSync(object));
bare.setConstants(new Uint8Array(Uint32Array.of(interfaceIndex("v0")).buffer));
bare.load();
const packet = bytes(
  `${mac} 020000000002 0800 4500 002e 0001 0000 4011 64aa 0a090102 0a090101 1ae1 4e20 001a 0000` +
    "00".repeat(18),
);
/** Nanoseconds that the main thread has run. */
const ran = () => Number(Deno.readTextFileSync(`/proc/${Deno.pid}/schedstat`).split(" ")[0]);
let best = 0;
for (let sent = 0; sent < Number(count); sent += TURN) {
  const start = ran();
  sendLiveFrames(bare.programFd("bare_redirect"), packet, TURN);
  best = Math.max(best, TURN / (ran() - start) * 1e9);
}
console.log(best);
