/**
 * Random numbers of `deno task bench:mse` (sfc32, whose period no run exhausts): one seed, one run, so
 * that a flow found can be looked at.
 */
const state = new Uint32Array(4);

/** Begins a run anew. */
export function seed(value: number): void {
  state.set([value, value ^ 0x9e37_79b9, value ^ 0x85eb_ca77, 1]);
  for (let i = 0; i < 16; i++) word();
}

/** 0 … 2^32 - 1. */
function word(): number {
  const sum = (state[0] + state[1] + state[3]++) | 0;
  state[0] = state[1] ^ (state[1] >>> 9);
  state[1] = state[2] + (state[2] << 3);
  state[2] = ((state[2] << 21) | (state[2] >>> 11)) + sum;
  return sum >>> 0;
}

/** 0 … 1, without 1. */
export const random = () => word() / 0x1_0000_0000;

export const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));

export const oneOf = <T>(values: readonly T[]): T => values[between(0, values.length - 1)];

/** Fills a pool, whose length is a multiple of four, with random bytes. */
export function fill(pool: Uint8Array<ArrayBuffer>): void {
  const words = new Uint32Array(pool.buffer, pool.byteOffset, pool.length / 4);
  for (let at = 0; at < words.length; at++) words[at] = word();
}
