/** libbpf: programs attached to interfaces, at XDP and at tc ingress. For the main thread, see `bpf.ts`. */
import { BpfError, libbpf, objectInfo, withLog } from "./bpf.ts";
import { EEXIST } from "./errno.ts";

/** XDP_FLAGS_* of linux/if_link.h */
export const XDP_GENERIC = 1 << 1;
export const XDP_NATIVE = 1 << 2;
export const XDP_OFFLOAD = 1 << 3;
const XDP_UPDATE_IF_NOEXIST = 1 << 0;
const ATTACH_TYPE_XDP = 37; // BPF_XDP
const LINK_OPTIONS_LENGTH = 32;

/**
 * Attaches an XDP program for as long as the descriptor returned is open (the kernel detaches when
 * the process dies). Never replaces another program: the kernel answers EBUSY or EEXIST.
 *
 * @param mode {@link XDP_GENERIC}, {@link XDP_NATIVE} or {@link XDP_OFFLOAD}
 */
export function attachXdp(program: number, interfaceIndex: number, mode: number): number {
  const options = new Uint8Array(LINK_OPTIONS_LENGTH);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(LINK_OPTIONS_LENGTH), true);
  view.setUint32(8, mode, true);
  const bpf = libbpf();
  const link = bpf.bpf_link_create(program, interfaceIndex, ATTACH_TYPE_XDP, options);
  if (link >= 0) return link;
  throw new BpfError(-link, "attach XDP", attachRefusal(program, interfaceIndex, mode));
}

/**
 * Why the driver refuses: creating a link does not tell, attaching over netlink does. Should that
 * succeed, it is undone at once.
 */
function attachRefusal(program: number, interfaceIndex: number, mode: number): string {
  const bpf = libbpf();
  const flags = mode | XDP_UPDATE_IF_NOEXIST;
  const [result, log] = withLog(() => bpf.bpf_xdp_attach(interfaceIndex, program, flags, null));
  if (result >= 0) bpf.bpf_xdp_attach(interfaceIndex, -1, mode, null);
  return log;
}

const ATTACH_TYPE_TCX_INGRESS = 46; // BPF_TCX_INGRESS
const FIRST = 1 << 3; // BPF_F_BEFORE, of nobody in particular: before the programs of others

/**
 * Attaches a program of tc to an interface's ingress (Linux 6.6) for as long as the descriptor
 * returned is open. Programs of others stay, behind it. EINVAL before Linux 6.6.
 */
export function attachTcx(program: number, interfaceIndex: number): number {
  const options = new Uint8Array(LINK_OPTIONS_LENGTH);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(LINK_OPTIONS_LENGTH), true);
  view.setUint32(8, FIRST, true);
  const type = ATTACH_TYPE_TCX_INGRESS;
  const link = libbpf().bpf_link_create(program, interfaceIndex, type, options);
  if (link >= 0) return link;
  throw new BpfError(-link, "attach to tc ingress", "");
}

/** Number of the first program at an interface's tcx ingress; 0 for none, and where that cannot be told. */
export function firstTcxProgram(interfaceIndex: number): number {
  const ids = new Uint32Array(1);
  // With more programs than there is room for the answer is ENOSPC, and the first is told.
  const type = ATTACH_TYPE_TCX_INGRESS;
  libbpf().bpf_prog_query(interfaceIndex, type, 0, null, ids, Uint32Array.of(ids.length));
  return ids[0];
}

/** Of our filter at tc ingress, always the same, so that a start replaces what a crash left. */
const FILTER_HANDLE = 0x6274; // "bt"
const FILTER_PRIORITY = 1;
const TC_INGRESS = 1 << 0; // BPF_TC_INGRESS
const TC_REPLACE = 1 << 0; // BPF_TC_F_REPLACE

/** struct bpf_tc_hook: size, ifindex, attach_point, parent */
function tcHook(interfaceIndex: number): Uint8Array<ArrayBuffer> {
  const hook = new Uint8Array(24);
  const view = new DataView(hook.buffer);
  view.setBigUint64(0, BigInt(hook.length), true);
  view.setUint32(8, interfaceIndex, true);
  view.setUint32(12, TC_INGRESS, true);
  return hook;
}

/** struct bpf_tc_opts: size, prog_fd, flags, prog_id, handle, priority */
function tcOptions(program = 0, flags = 0): Uint8Array<ArrayBuffer> {
  const options = new Uint8Array(32);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(options.length), true);
  view.setUint32(8, program, true);
  view.setUint32(12, flags, true);
  view.setUint32(20, FILTER_HANDLE, true);
  view.setUint32(24, FILTER_PRIORITY, true);
  return options;
}

/**
 * Attaches a program of tc as a filter of the interface's clsact qdisc, in place of an earlier one of
 * ours. The filter stays until it is detached, and the qdisc for good: others may have filters there.
 */
export function attachClsact(program: number, interfaceIndex: number): void {
  const hook = tcHook(interfaceIndex);
  const created = libbpf().bpf_tc_hook_create(hook);
  if (created < 0 && created !== -EEXIST) throw new BpfError(-created, "make a clsact qdisc", "");
  const result = libbpf().bpf_tc_attach(hook, tcOptions(program, TC_REPLACE));
  if (result < 0) throw new BpfError(-result, "attach to tc ingress", "");
}

/** Number of the program in our place of an interface's clsact qdisc, 0 for none. */
export function clsactProgram(interfaceIndex: number): number {
  const options = tcOptions();
  if (libbpf().bpf_tc_query(tcHook(interfaceIndex), options) < 0) return 0;
  return new DataView(options.buffer).getUint32(16, true);
}

/** Detaches our filter; one that is gone is no error. */
export function detachClsact(interfaceIndex: number): void {
  libbpf().bpf_tc_detach(tcHook(interfaceIndex), tcOptions());
}

/** Interface that a link is attached to; 0 once that is gone. */
export function linkInterface(link: number): number {
  const info = objectInfo(link, "a BPF link");
  return new DataView(info.buffer).getUint32(16, true);
}

/** Number of the program that a link attaches. */
export function linkProgram(link: number): number {
  return new DataView(objectInfo(link, "a BPF link").buffer).getUint32(8, true);
}

const QUERY_OPTIONS_LENGTH = 32;

/** Number of an XDP program attached to the interface in any mode; 0 for none; or -errno. */
export function attachedProgram(interfaceIndex: number): number {
  const options = new Uint8Array(QUERY_OPTIONS_LENGTH);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(QUERY_OPTIONS_LENGTH), true);
  const result = libbpf().bpf_xdp_query(interfaceIndex, 0, options);
  if (result < 0) return result;
  // prog_id is 0 where programs are attached in several modes: then each mode's own.
  for (let at = 8; at < 24; at += 4) {
    if (view.getUint32(at, true) !== 0) return view.getUint32(at, true);
  }
  return 0;
}
