/**
 * How the program gets onto one interface: which place is best for its driver (XDP_MODE=auto), and
 * attaching there. A link ends with the process; only the filter of tc before Linux 6.6 stays, and the
 * bans in its map end by themselves.
 */
import { BpfError, programName } from "../../../ffi/bpf.ts";
import {
  attachClsact,
  attachTcx,
  attachXdp,
  clsactProgram,
  detachClsact,
  firstTcxProgram,
  linkInterface,
  linkProgram,
  XDP_GENERIC,
  XDP_NATIVE,
  XDP_OFFLOAD,
} from "../../../ffi/bpf_links.ts";
import { EINVAL } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/libc.ts";
import { hardwareType } from "../../../ffi/libc_net.ts";

/** XDP_MODE */
export type XdpMode = "auto" | "tc" | "generic" | "native" | "offload" | "off";

/** Where banned senders can be dropped: before the stack (tc ingress), in it, the driver, the card. */
export type AttachMode = Exclude<XdpMode, "auto" | "off">;

/**
 * Drivers of cards that give up no offload for a native program: segmentation, checksums and receive
 * scaling stay (Linux 6.12, their ndo_bpf). Where receive coalescing (LRO) or the MTU is in the way
 * these refuse, and tc is taken. Others switch off what a router lives by: bnxt_en, qede and vmxnet3
 * their hardware GRO or LRO, virtio_net the host's joined packets, veth those of the other end; ena
 * takes half its queues, hv_netvsc copies each packet that passes.
 *
 * Most of these cards reset their rings at attaching: for a moment, up to some seconds with igb, igc
 * and ixgbe, whose link goes down and up, no packet passes.
 */
const KEEPS_OFFLOADS: ReadonlySet<string> = new Set([
  ...["mlx5_core", "ice", "i40e", "ixgbe", "igb", "igc", "sfc", "nfp"],
]);

/** Places to try on an interface, the best first, each with the reason to take it. */
export function candidates(
  asked: Exclude<XdpMode, "off">,
  driver: string | null,
): readonly (readonly [mode: AttachMode, reason: string])[] {
  if (asked !== "auto") return [[asked, "as XDP_MODE says"]];
  const generic = ["generic", "tc is refused"] as const;
  const kind = driver === null || driver === "" ? "no driver" : `driver ${driver}`;
  if (driver === null || !KEEPS_OFFLOADS.has(driver)) {
    return [["tc", `${kind}: XDP would cost offloads or a copy of each packet`], generic];
  }
  return [
    ["native", `${kind} keeps its offloads with XDP`],
    ["tc", "native XDP is refused"],
    generic,
  ];
}

/**
 * Whether nobody notices that a program of this mode comes and goes: tc and generic XDP are pointers in
 * the stack (tcx_link_attach, generic_xdp_install). A driver resets its rings or its link for a native
 * one, a card is programmed anew for an offloaded one: there it stays from the start to the stop.
 */
export function comesAndGoes(mode: AttachMode): boolean {
  return mode === "tc" || mode === "generic";
}

// ARPHRD_* of linux/if_arp.h
const WITH_ETHERNET_HEADER = new Map([[1, "Ethernet"], [772, "loopback"]]);
const WITHOUT_LINK_HEADER = new Map([
  [65534, "WireGuard, TUN"],
  [512, "PPP"],
  [519, "raw IP"],
  [768, "IPIP"],
  [769, "IPv6 tunnel"],
  [776, "6in4"],
  [778, "GRE"],
  [823, "GRE over IPv6"],
]);

/** Whether XDP has a program for devices of a hardware type (ARPHRD_*); tc has one for all. */
export function isSupportedHardware(type: number): boolean {
  return WITH_ETHERNET_HEADER.has(type) || WITHOUT_LINK_HEADER.has(type);
}

/** Descriptors of the loaded programs. */
export interface Programs {
  readonly l2: number;
  readonly l3: number;
  readonly tc: number;
}

/** The program on an interface. */
export interface Attachment {
  /** How in detail: "tcx", "clsact", "native mode". */
  readonly how: string;
  /** Whether it is there still; an interface may go, come back, or lose its filters. */
  isOn(index: number): boolean;
  detach(): void;
}

const MODE_FLAGS = { native: XDP_NATIVE, generic: XDP_GENERIC, offload: XDP_OFFLOAD } as const;

/**
 * Attaches in one mode. Throws BpfError where kernel or driver refuse.
 *
 * @param withoutTcx as before Linux 6.6; for tests
 */
export function attach(
  mode: AttachMode,
  programs: Programs,
  name: string,
  index: number,
  withoutTcx = false,
): Attachment {
  if (mode === "tc") return attachTc(programs.tc, index, withoutTcx);
  const type = hardwareType(name);
  if (!isSupportedHardware(type)) {
    const reason = `XDP has no program for devices of hardware type ${type}`;
    throw new BpfError(EINVAL, "attach XDP", `Kernel error message: ${reason}`);
  }
  const program = WITH_ETHERNET_HEADER.has(type) ? programs.l2 : programs.l3;
  return linkOf(attachXdp(program, index, MODE_FLAGS[mode]), `${mode} mode`);
}

function linkOf(link: number, how: string): Attachment {
  return {
    how,
    isOn: (index) => linkInterface(link) === index,
    detach: () => close(link),
  };
}

/** On only while it comes first: one before it may let packets pass without asking it. */
function tcxOf(link: number): Attachment {
  const attachment = linkOf(link, "tcx");
  const isFirst = (index: number) => [0, linkProgram(link)].includes(firstTcxProgram(index));
  return { ...attachment, isOn: (index) => attachment.isOn(index) && isFirst(index) };
}

function attachTc(program: number, index: number, withoutTcx: boolean): Attachment {
  if (!withoutTcx) {
    try {
      return tcxOf(attachTcx(program, index));
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== EINVAL) throw error;
    }
  }
  const there = clsactProgram(index);
  const owner = there === 0 ? null : programName(there);
  if (owner !== null && owner !== "btblocker_tc") {
    throw new BpfError(EINVAL, "attach to tc", `Kernel error message: our place is ${owner}'s`);
  }
  attachClsact(program, index);
  return {
    how: "clsact",
    isOn: (index) => clsactProgram(index) !== 0,
    detach: () => detachClsact(index),
  };
}
