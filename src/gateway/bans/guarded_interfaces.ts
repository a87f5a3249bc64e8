/**
 * The interfaces where banned addresses are dropped: what is attached to each, and why nothing is where
 * nothing is. They come and go; {@link GuardedInterfaces.refresh} is called every second.
 *
 * The way to a program costs a packet more than an empty program does, so none is attached while nobody
 * is banned: each interface is tried once as it appears, and attached again with the next ban.
 */
import { EnvironmentError } from "../../errors.ts";
import type { LogLine } from "../../log_line.ts";
import { BpfError, programName } from "../../../ffi/bpf.ts";
import { attachedProgram } from "../../../ffi/bpf_links.ts";
import { EBUSY, EEXIST } from "../../../ffi/errno.ts";
import { interfaceIndex } from "../../../ffi/libc.ts";
import { interfaceDriver } from "../../../ffi/libc_net.ts";
import {
  type Attachment,
  type AttachMode,
  candidates,
  comesAndGoes,
  type XdpMode,
} from "./attachment.ts";

export interface GuardOptions {
  /** Asked at each {@link GuardedInterfaces.refresh}: the interface of the default route may change. */
  readonly interfaces: () => readonly string[];
  readonly mode: Exclude<XdpMode, "off">;
  readonly log: LogLine;
  /** How long the program stays after the last ban; {@link LINGER_MS} unless given. */
  readonly lingerMs?: number;
}

/**
 * A program goes so long after the last ban. Attaching and detaching cost a grace period of the kernel
 * each, some 13 ms an interface, under the lock that all changes of the network take: of short bans that
 * follow each other no more than one a minute pays that.
 */
const LINGER_MS = 60_000;

/** The rest of the process gets a turn after so long: with hundreds of interfaces attaching takes seconds. */
const TURN_MS = 50;

/** Attaches the program to an interface. Throws BpfError where kernel or driver refuse. */
export type AttachIn = (mode: AttachMode, name: string, index: number) => Attachment;

/** What is known of one interface. */
export interface XdpAttachment {
  readonly name: string;
  /** Whether the program is on it now. */
  readonly isAttached: boolean;
  /** 0 while there is no such interface. */
  readonly index: number;
  /** The mode it runs in while anybody is banned, null where nothing can be attached. */
  readonly mode: AttachMode | null;
  /** Why this mode was taken, null where nothing can be attached. */
  readonly reason: string | null;
  /** Why nothing can be attached; null where it can. */
  readonly problem: string | null;
  /** Why a better mode was refused (XDP_MODE=auto); null where it was not. */
  readonly refusal: string | null;
}

interface Slot extends Omit<XdpAttachment, "isAttached"> {
  /** Null where nothing is attached: it cannot be (`problem`), or nobody is banned. */
  readonly attachment: Attachment | null;
  /** Another program's number where that is what stands in the way, else 0. */
  readonly foreignProgram: number;
  /** Something was attached here before: a refusal may end as it came. */
  readonly hasWorked: boolean;
}

type NewSlot = Omit<Slot, "hasWorked">;

export class GuardedInterfaces implements Disposable {
  readonly #options: GuardOptions;
  readonly #attachIn: AttachIn;
  readonly #isAnybodyBanned: () => boolean;
  readonly #slots = new Map<string, Slot>();
  #lastBanMs = -Infinity;
  #isWanted = false;
  /** A refusal ends the start by one error: no warning before it. */
  #isStrict = false;

  /**
   * Attaches nothing yet ({@link refresh} does).
   *
   * @param isAnybodyBanned whether the program has anybody to drop; asked at each refresh
   */
  constructor(options: GuardOptions, attachIn: AttachIn, isAnybodyBanned: () => boolean) {
    this.#options = options;
    this.#attachIn = attachIn;
    this.#isAnybodyBanned = isAnybodyBanned;
  }

  /** Whether the program is wanted on all interfaces, as of the last {@link refresh}. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** One entry an interface asked for. */
  get attachments(): XdpAttachment[] {
    return [...this.#slots.values()].map(({ attachment, ...slot }) => {
      return { ...slot, isAttached: attachment !== null };
    });
  }

  /**
   * Attaches to interfaces that have appeared or were created again, lets go of those that are gone, and
   * of all where nobody has been banned for a while; some microseconds where nothing changed. What cannot
   * be attached is logged once and left to the bans in user space.
   *
   * @param first indices of interfaces whose turn comes first
   * @param turnMs after so long the rest is left to the next call
   * @returns false where there is such a rest
   */
  refresh(first: readonly number[] = [], turnMs: number = TURN_MS): boolean {
    const wanted = this.#options.interfaces();
    for (const [name, slot] of this.#slots) {
      if (wanted.includes(name)) continue;
      slot.attachment?.detach();
      this.#slots.delete(name);
    }
    const now = performance.now();
    if (this.#isAnybodyBanned()) this.#lastBanMs = now;
    this.#isWanted = now - this.#lastBanMs <= (this.#options.lingerMs ?? LINGER_MS);
    const isFirst = (name: string) => first.includes(this.#slots.get(name)?.index ?? 0);
    const [urgent, others] = [wanted.filter(isFirst), wanted.filter((name) => !isFirst(name))];
    for (const name of [...urgent, ...others]) {
      const hasChanged = this.#refreshInterface(name);
      if (hasChanged && performance.now() - now > turnMs) return false;
    }
    return true;
  }

  /**
   * The first {@link refresh}, of all. Where one mode was asked for, an interface that is there and
   * refuses it is an EnvironmentError, unless another's program is in the way.
   */
  start(): void {
    const { mode } = this.#options;
    this.#isStrict = mode !== "auto" && mode !== "generic";
    this.refresh([], Infinity);
    if (!this.#isStrict) return;
    this.#isStrict = false;
    const refused = [...this.#slots.values()].find(isRefusal);
    if (refused === undefined) return;
    throw new EnvironmentError(refused.problem!, "XDP_MODE=auto takes what the interface allows");
  }

  /** Whether anything was attached, detached or tried. */
  #refreshInterface(name: string): boolean {
    const known = this.#slots.get(name);
    const index = interfaceIndex(name);
    if (known !== undefined && known.index === index) {
      const mayRest = known.mode !== null && comesAndGoes(known.mode);
      if (mayRest && !this.#isWanted) return this.#rest(known);
      if (!this.#isToBeAttached(known)) return false;
    }
    known?.attachment?.detach();
    const slot = index === 0 ? missing(name) : this.#attach(name, index);
    const hasWorked = slot.attachment !== null || known?.index === index && known.hasWorked;
    this.#slots.set(name, { ...slot, hasWorked });
    this.#report(slot, known);
    return true;
  }

  /** Nobody is banned. */
  #rest(slot: Slot): boolean {
    if (slot.attachment === null) return false;
    slot.attachment.detach();
    this.#slots.set(slot.name, { ...slot, attachment: null });
    return true;
  }

  /**
   * A refusal from the beginning stays one until the interface is another, or the program in the way has
   * gone; one where something was attached before is tried again.
   */
  #isToBeAttached({ attachment, mode, hasWorked, foreignProgram, index }: Slot): boolean {
    if (attachment !== null) return !attachment.isOn(index);
    if (mode !== null || hasWorked) return true;
    return foreignProgram !== 0 && attachedProgram(index) !== foreignProgram;
  }

  #attach(name: string, index: number): NewSlot {
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

  /** What changed for the operator; that the program comes and goes with the bans does not. */
  #report(slot: NewSlot, before: Slot | undefined): void {
    const { log } = this.#options;
    const { name, index, mode, problem } = slot;
    const isSame = before !== undefined && before.index === index;
    if (mode !== null) {
      if (isSame && before.attachment === null && before.mode === mode) return;
      const refusal = slot.refusal === null ? "" : `; refused: ${slot.refusal}`;
      const where = mode === "tc" ? "tc ingress" : "XDP";
      const how = `${slot.attachment?.how}, ${slot.reason}${refusal}`;
      const when = comesAndGoes(mode) ? "while anybody is banned" : "attached for good";
      log("info", `Banned addresses are dropped on ${name} by ${where} (${how}; ${when})`);
      return;
    }
    if (before?.problem === problem || this.#isStrict && isRefusal(slot)) return;
    if (isSame && before.hasWorked) {
      log("error", `${problem}; bans there hold in user space only until it can be attached again`);
      return;
    }
    const rest = index === 0
      ? "bans there hold once it appears"
      : "bans there hold in user space only";
    log("warn", `${problem}; ${rest}`);
  }

  /** Detaches from all. */
  [Symbol.dispose](): void {
    for (const { attachment } of this.#slots.values()) attachment?.detach();
    this.#slots.clear();
  }
}

/** The interface itself refuses: it is there, and nobody else's program is in the way. */
function isRefusal({ problem, foreignProgram, index }: NewSlot): boolean {
  return problem !== null && foreignProgram === 0 && index !== 0;
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

function nothingOn(name: string, index: number): Omit<NewSlot, "problem" | "foreignProgram"> {
  return { name, index, mode: null, reason: null, attachment: null, refusal: null };
}

function missing(name: string): NewSlot {
  return { ...nothingOn(name, 0), problem: `There is no interface ${name}`, foreignProgram: 0 };
}
