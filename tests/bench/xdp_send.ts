/**
 * Sends UDP packets from 10.9.1.2 into veth `v0`, from inside the kernel; prints packets a second.
 * Arguments: object with the bare programs, the other end's MAC address, how many.
 */
import { BpfObject } from "../../ffi/bpf.ts";
import { interfaceIndex } from "../../ffi/libc.ts";
import { sendLiveFrames } from "../bpf/test_run.ts";
import { bytes } from "../gateway/bytes.ts";

const [object, mac, count] = Deno.args;
using bare = new BpfObject(Deno.readFileSync(object));
bare.setConstants(new Uint8Array(Uint32Array.of(interfaceIndex("v0")).buffer));
bare.load();
const packet = bytes(
  `${mac} 020000000002 0800 4500 002e 0001 0000 4011 64aa 0a090102 0a090101 1ae1 4e20 001a 0000` +
    "00".repeat(18),
);
const start = performance.now();
sendLiveFrames(bare.programFd("bare_redirect"), packet, Number(count));
console.log(Number(count) / (performance.now() - start) * 1000);
