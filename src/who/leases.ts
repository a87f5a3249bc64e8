/** Leases of DHCP servers: which hardware address, and which name, has an address now. */
import { cleanName, hardwareAddress, type Person } from "./person.ts";

/** People by address, the newest entry of an address last. */
export type People = Iterable<readonly [address: string, person: Person]>;

function lease(id: string, name: string): Person {
  return {
    source: "dhcp",
    id: hardwareAddress(id) ?? cleanName(id) ?? "unknown",
    name: cleanName(name),
  };
}

/**
 * dnsmasq's lease file: `expiry hardware-address address name client-id` a line; IPv6 leases stand
 * behind a line `duid …`, with an association number in place of the hardware address.
 *
 * @param nowS Unix time; a lease that has ended is nobody's (0 is one that never does)
 */
export function* dnsmasqLeases(text: string, nowS: number): People {
  for (const line of text.split("\n")) {
    const [expiry, id, address, name, client] = line.split(" ");
    if (address === undefined || !/^\d+$/.test(expiry)) continue;
    if (expiry !== "0" && Number(expiry) < nowS) continue;
    yield [address, lease(address.includes(":") ? client ?? id : id, name ?? "")];
  }
}

/**
 * Kea's lease files (kea-leases4.csv, kea-leases6.csv): a head of column names, the last line of an
 * address holds. `expire` is Unix time, `state` 0 for a lease that is in use.
 */
export function* keaLeases(text: string, nowS: number): People {
  const lines = text.split("\n");
  const columns = lines[0].split(",");
  const at = (name: string) => columns.indexOf(name);
  const [address, hardware, expire, name, state, duid] = [
    at("address"),
    at("hwaddr"),
    at("expire"),
    at("hostname"),
    at("state"),
    at("duid"),
  ];
  if (address < 0 || expire < 0) return;
  for (const line of lines.slice(1)) {
    const cells = line.split(",");
    if (cells.length < columns.length) continue; // cut while it was written
    if (Number(cells[expire]) < nowS || (state >= 0 && cells[state] !== "0")) continue;
    const id = cells[hardware] || cells[duid] || "";
    yield [cells[address], lease(id, cells[name] ?? "")];
  }
}

const ISC_LEASE = /^lease ([\da-f.:]+) \{\n([^}]*)\}/gim;

/** ISC dhcpd's lease file: `lease ADDRESS { … }` blocks, the last one of an address holds. */
export function* iscLeases(text: string, nowS: number): People {
  for (const [, address, body] of text.matchAll(ISC_LEASE)) {
    if (!/^\s*binding state active;/m.test(body)) continue;
    const ends = /^\s*ends \d (\d+)\/(\d+)\/(\d+) (\d+):(\d+):(\d+);/m.exec(body);
    if (ends !== null) {
      const [year, month, day, hour, minute, second] = ends.slice(1).map(Number);
      if (Date.UTC(year, month - 1, day, hour, minute, second) / 1000 < nowS) continue;
    }
    const hardware = /^\s*hardware \w+ ([\da-f:]+);/im.exec(body)?.[1] ?? "";
    const name = /^\s*client-hostname "([^"]*)";/m.exec(body)?.[1] ?? "";
    yield [address, lease(hardware, name)];
  }
}
