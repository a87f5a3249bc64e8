/**
 * Named sets and maps of marks in a listing of nft: a rule that names one is read as if their elements
 * stood in it. Pure.
 */

/** The elements of a named set or map as an anonymous one is written; `{ }` of what is none of marks. */
export type ElementsOf = (table: string, name: string) => string;

/** Tables are named with their family: "inet filter". */
export function nftElements(listing: string): ElementsOf {
  const elements = new Map<string, string>();
  let table = "";
  for (const block of listing.split(/^(?=table |\t(?:set|map) )/m)) {
    table = /^table (\S+ \S+) \{/.exec(block)?.[1] ?? table;
    const name = /^\t(?:set|map) (\S+) \{/.exec(block)?.[1];
    if (name === undefined || !/^\t\ttype(?:of)? .*\bmark\b/m.test(block)) continue;
    const inside = /^\t\telements = (\{[^}]*\})/m.exec(block)?.[1];
    if (inside !== undefined) elements.set(`${table} ${name}`, inside.replaceAll(/\s+/g, " "));
  }
  return (of, name) => elements.get(`${of} ${name}`) ?? "{ }";
}

/** A rule of this table with the elements of what it names in their place. */
export function withElements(line: string, table: string, elementsOf: ElementsOf): string {
  return line.replaceAll(/(?<=\s)@([^\s,{}]+)/g, (_, name: string) => elementsOf(table, name));
}
