/**
 * By which hooks of netfilter each rule of a listing is reached, directly or by chains that jump: who
 * copies a mark and who asks for it meet only in one. Pure.
 */

const HOOKS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/** Whether one of these bits is of the hook that comes before the choice of a route. */
export function isPrerouting(hooks: number): boolean {
  return (hooks & 1 << HOOKS.indexOf("PREROUTING")) !== 0;
}

/** Bits of the hooks by which a chain is entered, as its table's name and its own. */
type HooksOf = (table: string, chain: string) => number;

/** Collects who jumps where, then tells what leads to what. */
class ChainGraph {
  /** By the chain that is jumped to. */
  readonly #callers = new Map<string, Set<string>>();
  readonly #own = new Map<string, number>();

  /** The chain is a hook's. */
  hangs(table: string, chain: string, hook: string): void {
    const index = HOOKS.indexOf(hook.toUpperCase());
    if (index >= 0) this.#own.set(`${table} ${chain}`, 1 << index);
  }

  jumps(table: string, from: string, to: string): void {
    const key = `${table} ${to}`;
    const callers = this.#callers.get(key) ?? new Set();
    this.#callers.set(key, callers.add(`${table} ${from}`));
  }

  readonly hooksOf: HooksOf = (table, chain) => {
    const seen = new Set([`${table} ${chain}`]);
    let bits = 0;
    for (const one of seen) { // grows as it is gone through
      bits |= this.#own.get(one) ?? 0;
      for (const caller of this.#callers.get(one) ?? []) seen.add(caller);
    }
    return bits;
  };
}

/** One rule of iptables-save, with its hooks. */
export interface HookedRule {
  readonly line: string;
  readonly hooks: number;
}

/** The rules of iptables-save, of all families and back ends one after another. */
export function iptablesRules(saved: string): HookedRule[] {
  const graph = new ChainGraph();
  const rules: { line: string; table: string; chain: string }[] = [];
  let table = "";
  for (const [index, line] of saved.split("\n").entries()) {
    if (line.startsWith("*")) table = `${index}`; // tables of one name are of several families
    if (!line.startsWith("-A ")) continue;
    const chain = line.split(" ", 2)[1];
    graph.hangs(table, chain, chain);
    const to = / -[jg] (\S+)/.exec(line)?.[1];
    if (to !== undefined) graph.jumps(table, chain, to);
    rules.push({ line, table, chain });
  }
  return rules.map(({ line, table, chain }) => ({ line, hooks: graph.hooksOf(table, chain) }));
}

/** The hooks of nft's chains, tables named with their family: "inet filter". */
export function nftHooks(listing: string): HooksOf {
  const graph = new ChainGraph();
  let [table, chain] = ["", ""];
  for (const line of listing.split("\n").map((line) => line.trim())) {
    const [, kind, family, name] = /^(table|chain) (?:(\w+) )?(\S+) \{/.exec(line) ?? [];
    if (kind === "table") table = `${family} ${name}`;
    else if (kind === "chain") chain = name;
    else {
      const hook = /^type \w+ hook (\w+) /.exec(line)?.[1];
      if (hook !== undefined) graph.hangs(table, chain, hook);
      for (const [, to] of line.matchAll(/\b(?:jump|goto) ([^\s,}]+)/g)) {
        graph.jumps(table, chain, to);
      }
    }
  }
  return graph.hooksOf;
}
