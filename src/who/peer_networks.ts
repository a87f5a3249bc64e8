/** Which person's network an address lies in: the longest prefix, as WireGuard itself chooses. */
import { formatAddress, parseAddress } from "../packet/address.ts";
import { maskWord, parseNetwork } from "../gateway/network/networks.ts";
import type { Person } from "./person.ts";
import type { PeerNetwork } from "./vpn.ts";

export class PeerNetworks {
  /** People by network address, by prefix length of the 128-bit form, longest first. */
  readonly #byLength: readonly (readonly [bits: number, people: Map<string, Person>])[];

  constructor(networks: Iterable<PeerNetwork>) {
    const byLength = new Map<number, Map<string, Person>>();
    for (const { network, person } of networks) {
      const parsed = parseNetwork(network);
      if (parsed === null) continue;
      const people = byLength.get(parsed.bits) ?? new Map<string, Person>();
      byLength.set(parsed.bits, people.set(formatAddress(parsed.words, 0), person));
    }
    this.#byLength = [...byLength].sort(([one], [other]) => other - one);
  }

  find(address: string): Person | null {
    const words = parseAddress(address);
    if (words === null) return null;
    for (const [bits, people] of this.#byLength) {
      for (let word = 0; word < 4; word++) words[word] &= maskWord(bits, word);
      const person = people.get(formatAddress(words, 0));
      if (person !== undefined) return person;
    }
    return null;
  }
}
