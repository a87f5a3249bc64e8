/** As many programs of others at an interface's tcx ingress as the kernel takes, until killed. Argument: the interface. */
import { BpfError, BpfObject } from "../../ffi/bpf.ts";
import { attachTcx } from "../../ffi/bpf_links.ts";
import { interfaceIndex } from "../../ffi/libc.ts";

const ERANGE = 34;
const bytes = Deno.readFileSync(new URL("../../bpf/btblocker_tc.bpf.o", import.meta.url));
const held: BpfObject[] = [];
try {
  for (;;) {
    const object = new BpfObject(bytes);
    object.load();
    held.push(object);
    attachTcx(object.programFd("btblocker_tc"), interfaceIndex(Deno.args[0]));
  }
} catch (error) {
  if (!(error instanceof BpfError) || error.errno !== ERANGE) throw error;
}
console.log("attached");
setInterval(() => held.length, 1_000);
