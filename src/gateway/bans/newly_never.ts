/** What of a set of networks is new since the last look: a change of one address is one to act on. */
import type { Cidr, Networks } from "../network/networks.ts";

export class NewlyNever {
  #known = new Set<string>();
  #fresh: readonly Cidr[] = [];
  #generation = -1;

  /**
   * Networks that came in since the look before the last: a worker may have banned by what held until
   * a moment after the last.
   */
  look(never: Networks): readonly Cidr[] {
    const before = this.#fresh;
    this.#fresh = this.#newIn(never);
    return [...before, ...this.#fresh];
  }

  #newIn(never: Networks): readonly Cidr[] {
    if (never.generation === this.#generation) return [];
    this.#generation = never.generation;
    const known = new Set<string>();
    const fresh = never.all().filter(({ words: [first, second, third, last], bits }) => {
      const key = `${first},${second},${third},${last}/${bits}`;
      known.add(key);
      return !this.#known.has(key);
    });
    this.#known = known;
    return fresh;
  }
}
