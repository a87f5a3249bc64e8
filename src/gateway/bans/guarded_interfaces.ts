/**
 * The interfaces where banned addresses are dropped: what is attached to each, and why nothing is where
 * nothing is. They come and go; {@link GuardedInterfaces.refresh} is told every second.
 */
import type { LogLine } from "../../log_line.ts";
import { attachedProgram, BpfError, programName } from "../../../ffi/bpf.ts";
import { EBUSY, EEXIST } from "../../../ffi/errno.ts";
import { interfaceIndex } from "../../../ffi/libc.ts";
import { interfaceDriver } from "../../../ffi/libc_net.ts";
import { type Attachment, type AttachMode, candidates, type XdpMode } from "./attachment.ts";

export interface GuardOptions {
  /** Asked at each {@link GuardedInterfaces.refresh}: the interface of the default route may change. */
  readonly interfaces: () => readonly string[];
  readonly mode: Exclude<XdpMode, "off">;
  readonly log: LogLine;
}

/** Attaches the program to an interface. Throws BpfError where kernel or driver refuse. */
export type AttachIn = (mode: AttachMode, name: string, index: number) => Attachment;

/** What is known of one interface. */
export interface XdpAttachment {
  readonly name: string;
  /** 0 while there is no such interface. */
  readonly index: number;
  /** The mode it runs in, null where nothing is attached. */
  readonly mode: AttachMode | null;
  /** Why this mode was taken, null where nothing is attached. */
  readonly reason: string | null;
  /** Why nothing is attached; null where it is. */
  readonly problem: string | null;
  /** Why a better mode was refused (XDP_MODE=auto); null where it was not. */
  readonly refusal: string | null;
}

interface Slot extends XdpAttachment {
  /** Null where nothing is attached. */
  readonly attachment: Attachment | null;
  /** Another program's number where that is what stands in the way, else 0. */
  readonly foreignProgram: number;
}

export class GuardedInterfaces implements Disposable {
  readonly #options: GuardOptions;
  readonly #attachIn: AttachIn;
  readonly #slots = new Map<string, Slot>();

  /** Attaches nothing yet ({@link refresh} does). */
  constructor(options: GuardOptions, attachIn: AttachIn) {
    this.#options = options;
    this.#attachIn = attachIn;
  }

  /** One entry an interface asked for. */
  get attachments(): XdpAttachment[] {
    return [...this.#slots.values()];
  }

  /**
   * Attaches to interfaces that have appeared or were created again, and lets go of those that are
   * gone; some microseconds where nothing changed, so call it every second. What cannot be attached
   * is logged once and left to the bans in user space.
   */
  refresh(): void {
    const wanted = this.#options.interfaces();
    for (const [name, slot] of this.#slots) {
      if (wanted.includes(name)) continue;
      this.#release(slot);
      this.#slots.delete(name);
    }
    for (const name of wanted) this.#refreshInterface(name);
  }

  /** Why an interface that is there refuses, where nobody else's program is in the way; null: none does. */
  get refusal(): string | null {
    for (const { problem, foreignProgram, index } of this.#slots.values()) {
      if (problem !== null && foreignProgram === 0 && index !== 0) return problem;
    }
    return null;
  }

  #refreshInterface(name: string): void {
    const known = this.#slots.get(name);
    const index = interfaceIndex(name);
    if (known !== undefined) {
      const isSame = known.index === index;
      if (isSame && known.attachment?.isOn(index)) return;
      if (isSame && known.attachment === null && !this.#canRetry(known)) return;
      this.#release(known);
    }
    const slot = index === 0 ? missing(name) : this.#attach(name, index);
    this.#slots.set(name, slot);
    this.#report(slot, known);
  }

  /** A refusal stays one until the interface is another, or the program in the way has gone. */
  #canRetry(slot: Slot): boolean {
    return slot.foreignProgram !== 0 && attachedProgram(slot.index) !== slot.foreignProgram;
  }

  #attach(name: string, index: number): Slot {
    const refusals: string[] = [];
    let foreignProgram = 0;
    for (const [mode, reason] of candidates(this.#options.mode, interfaceDriver(name))) {
      const foreign = mode === "tc" ? 0 : attachedProgram(index);
      try {
        if (foreign > 0) throw new ForeignProgram(foreign);
        const attachment = this.#attachIn(mode, name, index);
        const refusal = refusals.length === 0 ? null : refusals.join("; ");
        const fine = { problem: null, foreignProgram: 0 };
        return { name, index, mode, reason, attachment, refusal, ...fine };
      } catch (error) {
        const refused = refusalOf(error, index);
        if (refused instanceof ForeignProgram) {
          foreignProgram = refused.program;
          refusals.push(refused.message);
        } else refusals.push(`${mode} mode: ${refused.reason}`);
      }
    }
    const problem = `Cannot drop banned addresses on ${name}: ${refusals.join("; ")}`;
    return { ...nothingOn(name, index), problem, foreignProgram };
  }

  #report(slot: Slot, before: Slot | undefined): void {
    const { log } = this.#options;
    if (slot.attachment !== null) {
      const refusal = slot.refusal === null ? "" : `; refused: ${slot.refusal}`;
      const where = slot.mode === "tc" ? "tc ingress" : "XDP";
      const how = `${slot.attachment.how}, ${slot.reason}${refusal}`;
      log("info", `Banned addresses are dropped on ${slot.name} by ${where} (${how})`);
      return;
    }
    if (before?.problem === slot.problem) return;
    const rest = slot.index === 0
      ? "bans there hold once it appears"
      : "bans there hold in user space only";
    log("warn", `${slot.problem}; ${rest}`);
  }

  #release(slot: Slot): void {
    slot.attachment?.detach();
  }

  /** Detaches from all. */
  [Symbol.dispose](): void {
    for (const slot of this.#slots.values()) this.#release(slot);
    this.#slots.clear();
  }
}

/** Another's XDP program is on the interface; it is not replaced. */
class ForeignProgram extends Error {
  constructor(readonly program: number) {
    const name = programName(program);
    const what = name === null || name === "" ? "a program" : `program ${name}`;
    super(`${what} (id ${program}) is attached already and is not replaced`);
  }
}

/** What stood in the way: another's program may have come between the look and the attempt. */
function refusalOf(error: unknown, index: number): BpfError | ForeignProgram {
  if (error instanceof ForeignProgram) return error;
  if (!(error instanceof BpfError)) throw error;
  if (error.errno !== EBUSY && error.errno !== EEXIST) return error;
  const other = attachedProgram(index);
  return other > 0 ? new ForeignProgram(other) : error;
}

function nothingOn(name: string, index: number): Omit<Slot, "problem" | "foreignProgram"> {
  return { name, index, mode: null, reason: null, attachment: null, refusal: null };
}

function missing(name: string): Slot {
  return { ...nothingOn(name, 0), problem: `There is no interface ${name}`, foreignProgram: 0 };
}
