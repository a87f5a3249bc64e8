/**
 * A program of another before all others at an interface's tcx ingress, until killed; says `first` while
 * it is, then `behind`. Argument: the interface.
 */
import { BpfObject } from "../../ffi/bpf.ts";
import { attachTcx, firstTcxProgram, linkProgram } from "../../ffi/bpf_links.ts";
import { interfaceIndex } from "../../ffi/libc.ts";

const object = new BpfObject(
  Deno.readFileSync(new URL("../../bpf/btblocker_tc.bpf.o", import.meta.url)),
);
object.load();
const index = interfaceIndex(Deno.args[0]);
const link = attachTcx(object.programFd("btblocker_tc"), index);
let told = "";
setInterval(() => {
  const now = firstTcxProgram(index) === linkProgram(link) ? "first" : "behind";
  if (now !== told) console.log(now);
  told = now;
}, 20);
