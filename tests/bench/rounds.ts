/** Rivals measured in turns, and the table of their medians. */
export interface Rival {
  readonly name: string;
  readonly measure: () => number | Promise<number>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * percent / 100))];
}

/** Medians by name; one round that does not count comes first. */
export async function takeTurns(rivals: readonly Rival[], rounds: number): Promise<number[]> {
  const values = rivals.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, { measure }] of rivals.entries()) {
      const value = await measure();
      if (round >= 0) values[index].push(value);
    }
  }
  return values.map(median);
}
