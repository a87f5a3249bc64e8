/**
 * Another program's XDP on an interface, held by a link (as a load balancer or libxdp would), until
 * killed. Argument: the interface.
 */
import { attachXdp, XDP_GENERIC } from "../../ffi/bpf_links.ts";
import { interfaceIndex } from "../../ffi/libc.ts";
import { loadProgram } from "./program.ts";

const program = loadProgram({});
attachXdp(program.l2, interfaceIndex(Deno.args[0]), XDP_GENERIC);
console.log("attached");
setInterval(() => program.l2, 1_000);
