/**
 * The kernel's first look, loaded and pinned where the rules find it: flows that open, both ways, as no
 * BitTorrent does are released without a trip to user space. openings.ts has what those are.
 */
import { type BpfObject, lookupElement, pin } from "../../../ffi/bpf.ts";
import { EnvironmentError } from "../../errors.ts";
import { possibleCpus } from "../bans/possible_cpus.ts";
import type { XdpFilter } from "../bans/xdp.ts";
import type { FirstLookRules } from "../rules/rule_text.ts";
import { OPENING_KINDS, type OpeningKind } from "./openings.ts";

const OBJECT = new URL("../../../bpf/btblocker_look.bpf.o", import.meta.url);
const PROGRAMS = { look: "btblocker_look", settled: "btblocker_settled" } as const;
/** Its rules would judge what a bridge passes on by the bridge, which is one interface for both ends. */
const BRIDGED_TRAFFIC = ["iptables", "ip6tables"].map((tables) => {
  return `/proc/sys/net/bridge/bridge-nf-call-${tables}`;
});

/** What was settled in the kernel since the start. */
export interface FirstLookCounters {
  /** Packets that made no trip to user space. */
  readonly packets: number;
  /** Flows released, by what they opened with. */
  readonly flows: Readonly<Record<OpeningKind, number>>;
}

export class FirstLook implements Disposable {
  /** For the rules. */
  readonly rules: FirstLookRules;
  readonly #object: BpfObject;

  private constructor(object: BpfObject, rules: FirstLookRules) {
    this.#object = object;
    this.rules = rules;
  }

  /**
   * Loads and pins the programs, which look for bans in the maps of `filter`. Throws EnvironmentError
   * where the kernel, the rights or the bpffs do not allow it.
   */
  static open(filter: XdpFilter): FirstLook {
    if (filter.pins === null) throw new EnvironmentError("there is no bpffs to pin it in");
    const object = filter.loadBeside(OBJECT);
    const paths = { look: `${filter.pins}/look`, settled: `${filter.pins}/settled` };
    try {
      for (const name of ["look", "settled"] as const) {
        remove(paths[name]);
        pin(object.programFd(PROGRAMS[name]), paths[name]);
      }
      return new FirstLook(object, { ...paths, sparesBridged: BRIDGED_TRAFFIC.some(isOn) });
    } catch (error) {
      object[Symbol.dispose]();
      throw error;
    }
  }

  /** Descriptor of the notes, good in every thread of the process until disposed. */
  get notes(): number {
    return this.#object.mapFd("noted_flows");
  }

  get counters(): FirstLookCounters {
    const words = 1 + OPENING_KINDS.length; // struct look_counters, one a CPU
    const value = new BigUint64Array(words * possibleCpus());
    const map = this.#object.mapFd("look_counters");
    lookupElement(map, new Uint8Array(4), new Uint8Array(value.buffer));
    const sum = (word: number) => {
      let total = 0;
      for (let at = word; at < value.length; at += words) total += Number(value[at]);
      return total;
    };
    const flows = OPENING_KINDS.map((kind, index) => [kind, sum(1 + index)]);
    return { packets: sum(0), flows: Object.fromEntries(flows) };
  }

  /** The rules that name the programs must be gone. */
  [Symbol.dispose](): void {
    remove(this.rules.look);
    remove(this.rules.settled);
    this.#object[Symbol.dispose]();
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isOn(path: string): boolean {
  try {
    return Deno.readTextFileSync(path).trim() === "1";
  } catch {
    return false; // nothing bridged comes to iptables
  }
}
