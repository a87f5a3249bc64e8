/** Who stands behind an address, as far as this machine knows. */

/** Which table knows: the kind of what {@link Person.id} is. */
export const SOURCES = ["wireguard", "openvpn", "ppp", "dhcp", "neighbour", "process"] as const;
export type Source = typeof SOURCES[number];

export interface Person {
  readonly source: Source;
  /** A peer's public key, a certificate's name, a hardware address, a user's number. */
  readonly id: string;
  /** What people call it, where the table has a name. */
  readonly name: string | null;
}

/** `alice (wireguard 4Xq…=)`, or `neighbour 52:54:00:12:34:56` where there is no name. */
export function describePerson({ source, id, name }: Person): string {
  if (name === null || name === id) return `${source} ${id}`;
  return `${name} (${source} ${id})`;
}

/** Longer names are cut: a client chooses its own in DHCP. */
const LONGEST_NAME = 128;

/** A name as a table gives it: no control characters, bounded; null for what is none. */
export function cleanName(text: string): string | null {
  // deno-lint-ignore no-control-regex -- they would reach terminals and logs
  const clean = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, "").trim().slice(0, LONGEST_NAME);
  return clean === "" || clean === "*" ? null : clean;
}

/** A hardware address in its usual form, or null. */
export function hardwareAddress(text: string): string | null {
  const lower = text.toLowerCase();
  return /^([\da-f]{2}:){5}[\da-f]{2}$/.test(lower) && lower !== "00:00:00:00:00:00" ? lower : null;
}
