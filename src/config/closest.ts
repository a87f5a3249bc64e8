/** Which known name was meant by an unknown one. */

/** Changed, added, left out and swapped neighbouring letters between two words. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(
        last[column] + 1,
        current[column - 1] + 1,
        last[column - 1] + (isSame ? 0 : 1),
      );
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] &&
        a[row - 2] === b[column - 1];
      if (isSwap) cost = Math.min(cost, beforeLast[column - 2] + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length];
}

/** Words below this length are mistaken for one another with two letters changed. */
const LONG_WORD = 10;

/**
 * Whether `name` is `known` misspelt: a letter or, in long names, two; a longer or shorter ending
 * (QUEUE_NUMBER); the words in another order; with the program's name in front.
 */
function isMisspelling(name: string, known: string): boolean {
  const a = name.toLowerCase().replaceAll("-", "_");
  const b = known.toLowerCase().replaceAll("-", "_");
  if (a === b || a === `btblocker_${b}`) return true;
  if (Math.abs(a.length - b.length) > 4) return false;
  if (/^[a-z]+$/.test(a.startsWith(b) ? a.slice(b.length) : "")) return true;
  if (a.split("_").sort().join() === b.split("_").sort().join()) return true;
  return editDistance(a, b) <= (b.length >= LONG_WORD ? 2 : 1);
}

/** The known name that `name` most likely means, or null. */
export function closest(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of known) {
    if (!isMisspelling(name, candidate)) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
