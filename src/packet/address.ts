/** `::ffff:0:0/96`, the third word of an IPv4-mapped address. */
export const MAPPED = 0x0000_ffff;

/** Text of the address in four words from `at`: dotted for IPv4, RFC 5952 for IPv6. */
export function formatAddress(words: Int32Array, at: number): string {
  if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED) {
    const word = words[at + 3];
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
  }
  const groups: number[] = [];
  for (let word = 0; word < 4; word++) {
    groups.push((words[at + word] >>> 16) & 0xffff, words[at + word] & 0xffff);
  }
  const { start, length } = longestZeroRun(groups);
  const hex = (from: number, to: number) =>
    groups.slice(from, to).map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(0, 8);
  return `${hex(0, start)}::${hex(start + length, 8)}`;
}

/** `ip:port`, `[v6]:port`. */
export function formatEndpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
    if (end > start) start = end;
  }
  return best;
}

/** Parses dotted IPv4 or IPv6 text into four words (IPv4 mapped), or null. */
export function parseAddress(text: string): Int32Array | null {
  const words = new Int32Array(4);
  if (!text.includes(":")) {
    const word = parseIpv4(text);
    if (word === null) return null;
    words[2] = MAPPED;
    words[3] = word;
    return words;
  }
  const groups = parseIpv6(text);
  if (groups === null) return null;
  for (let word = 0; word < 4; word++) {
    words[word] = (groups[word * 2] << 16) | groups[word * 2 + 1];
  }
  return words;
}

function parseIpv4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    word = (word << 8) | Number(part);
  }
  return word;
}

function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const isOne = halves.length === 1;
  const left = parseGroups(halves[0], isOne);
  const right = isOne ? [] : parseGroups(halves[1], true);
  if (left === null || right === null) return null;
  const missing = 8 - left.length - right.length;
  if (isOne ? missing !== 0 : missing < 1) return null;
  return [...left, ...new Array(missing).fill(0), ...right];
}

/** Groups of hexadecimal digits, the last of which may be a dotted IPv4 address at the end. */
function parseGroups(text: string, isEnd: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const word = isEnd && index === parts.length - 1 ? parseIpv4(part) : null;
      if (word === null) return null;
      groups.push(word >>> 16, word & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}
