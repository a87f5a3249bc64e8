/**
 * The search for inputs that cost: each target keeps its dearest ones and changes those again. Time is
 * compared with the usual packet's on the same machine, and what seems dear is timed again; it is for
 * `deno task fuzz`, not for a test.
 */
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { inflateBeginning } from "../../src/protocols/websocket_tracker/inflate.ts";
import { COSTLY_INPUTS, type CostlyInput, UPGRADE } from "../bench/costly_inputs.ts";
import { costEngine, packetsOf, play, usualNs, usualPackets } from "../bench/costs.ts";
import { loadCorpus } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface CostTarget {
  readonly name: string;
  readonly seeds: readonly Bytes[];
  /** Packets that an input comes in. */
  packets(input: Bytes): number;
  /** Milliseconds of the input's dearest packet, and of all of them. */
  time(input: Bytes): readonly [dearest: number, all: number];
}

export interface Dearest {
  readonly input: Bytes;
  /** Of its dearest packet. */
  readonly ns: number;
  /** All of it, in the usual packets that it is worth. */
  readonly ratio: number;
}

/** The aim is 20 usual packets. A machine that is busy at the wrong time is no finding. */
const RATIO_LIMIT = 100;
/** The aim is 100 µs. */
const NS_LIMIT = 1_000_000;

const KEPT = 12;
/** How often an input is timed that seems dear; the shortest time counts. */
const CONFIRMATIONS = 12;
const LONGEST_BYTEWISE = 512;
const SEGMENT = 100;

/** Nanoseconds of the packet in which an average byte of the recorded captures travels. */
export async function measureUsual(): Promise<number> {
  const packets = (await loadCorpus()).flat().map(({ packet }) => packet);
  return usualNs(packets, new Engine({ policy: CAPTURE_POLICY }));
}

export async function createCostTargets(): Promise<CostTarget[]> {
  const seeds = (await loadCorpus(40)).flat();
  const payloads = (isTcp: boolean) => [
    ...COSTLY_INPUTS.filter((input) => input.isTcp === isTcp).map(({ payloads }) => payloads[0]),
    ...seeds.filter((seed) => seed.isTcp === isTcp && seed.payload.length > 0)
      .map(({ payload }) => payload),
  ];
  const frames = COSTLY_INPUTS.filter(({ payloads }) => payloads[0] === UPGRADE)
    .map(({ payloads }) => payloads[1]);
  const flow = (isTcp: boolean, isOpened: boolean, payloads: readonly Bytes[]): CostlyInput => ({
    ...{ name: "", isTcp, isOpened, payloads },
  });
  const cut = (input: Bytes, size: number) =>
    Array.from(
      { length: Math.ceil(input.length / size) },
      (_, i) => input.slice(i * size, (i + 1) * size),
    );
  const played = (
    name: string,
    seeds: readonly Bytes[],
    flowOf: (input: Bytes) => CostlyInput,
  ): CostTarget => {
    const engine = costEngine();
    return {
      ...{ name, seeds },
      packets: (input) => flowOf(input).payloads.filter((payload) => payload !== UPGRADE).length,
      time(input) {
        const times = play(packetsOf(flowOf(input)), engine);
        return [times.reduce((most, one) => Math.max(most, one)), times.reduce((a, b) => a + b)];
      },
    };
  };
  const into = new Uint8Array(1024);
  return [
    played("datagrams", payloads(false), (input) => flow(false, false, [input])),
    played("first segments", payloads(true), (input) => flow(true, true, [input])),
    played("joined segments", payloads(true), (input) => flow(true, false, [input])),
    played(
      "one-byte segments",
      payloads(true),
      (input) => flow(true, true, cut(input.slice(0, LONGEST_BYTEWISE), 1)),
    ),
    played(
      "streams of HTTP",
      payloads(true).filter((payload) =>
        /^(GET|POST|HTTP)/.test(String.fromCharCode(...payload.slice(0, 4)))
      ),
      (input) => flow(true, true, cut(input.slice(0, 8192), SEGMENT)),
    ),
    played("frames of WebSocket", frames, (input) => flow(true, true, [UPGRADE, input])),
    {
      ...{ name: "inflateBeginning", seeds: frames.map((frame) => frame.slice(6)) },
      packets: () => 1,
      time(input) {
        const began = performance.now();
        inflateBeginning(input, 0, Math.min(input.length, 512), into);
        const took = performance.now() - began;
        return [took, took];
      },
    },
  ];
}

/** Longest payload that a packet can have. */
const LONGEST = 65_400;

/**
 * Looks for dear inputs of `target` for `milliseconds`, beginning with `dearest`, which is kept sorted.
 * Throws when one is beyond the limits however often it is timed.
 */
export function searchCost(
  target: CostTarget,
  dearest: Dearest[],
  usual: number,
  milliseconds: number,
  seed: number,
): number {
  const random = new Random(seed);
  const end = performance.now() + milliseconds;
  let inputs = 0;
  for (; performance.now() < end; inputs++) {
    if (inputs === WARM) confirm(target, dearest, usual);
    const from = dearest.length > 0 && !random.chance(3)
      ? random.pick(dearest).input
      : random.pick(target.seeds);
    const input = inputs < target.seeds.length && dearest.length < KEPT
      ? target.seeds[inputs].slice(0, LONGEST)
      : mutate(from, random, target.seeds).slice(0, LONGEST);
    if (input.length === 0) continue;
    const least = dearest.length < KEPT ? 0 : dearest[dearest.length - 1].ratio;
    let found = measure(target, input, usual, 1);
    if (found.ratio <= least && found.ns <= NS_LIMIT) continue;
    found = shorter(found, measure(target, input, usual, CONFIRMATIONS));
    if (inputs > WARM && isBeyond(found)) {
      // Code that is compiled anew is slow for milliseconds: so that it is not that.
      const patience = performance.now() + PATIENCE_MS;
      while (performance.now() < patience) found = shorter(found, measure(target, input, usual, 1));
      if (isBeyond(found)) {
        throw new Error(
          `${target.name}: ${found.ns.toFixed(0)} ns, ${found.ratio.toFixed(1)} usual packets, ` +
            `seed ${seed}: ${input.toHex()}`,
        );
      }
    }
    if (found.ratio <= least) continue;
    dearest.push(found);
    dearest.sort((a, b) => b.ratio - a.ratio);
    dearest.length = Math.min(dearest.length, KEPT);
  }
  return inputs;
}

/** Inputs after which the code is compiled; what seemed dear before is timed anew. */
const WARM = 3000;

const PATIENCE_MS = 500;

function isBeyond({ ns, ratio }: Dearest): boolean {
  return ns > NS_LIMIT || ratio > RATIO_LIMIT;
}

function shorter(one: Dearest, other: Dearest): Dearest {
  return {
    input: one.input,
    ns: Math.min(one.ns, other.ns),
    ratio: Math.min(one.ratio, other.ratio),
  };
}

/** The shortest of `times`. */
function measure(target: CostTarget, input: Bytes, usual: number, times: number): Dearest {
  let ns = Infinity;
  let all = Infinity;
  for (let n = 0; n < times; n++) {
    const [one, whole] = target.time(input);
    ns = Math.min(ns, one * 1e6);
    all = Math.min(all, whole * 1e6);
  }
  return { input, ns, ratio: all / (usual * usualPackets(target.packets(input), input.length)) };
}

/** Times kept inputs again: compiled, most are cheaper than when they were found. */
export function confirm(target: CostTarget, dearest: Dearest[], usual: number): void {
  for (const [i, { input }] of dearest.entries()) {
    dearest[i] = measure(target, input, usual, CONFIRMATIONS);
  }
  dearest.sort((a, b) => b.ratio - a.ratio);
}
