/** Users of VPNs, by the address that they have inside. */
import type { People } from "./leases.ts";
import { cleanName, type Person } from "./person.ts";

/** A network that belongs to one WireGuard peer: `10.8.0.5/32`. */
export interface PeerNetwork {
  readonly network: string;
  readonly person: Person;
}

/**
 * `wg show all dump`: a line an interface (5 fields), then a line a peer: interface, public key,
 * preshared key, endpoint, allowed IPs, … The private and preshared keys are not kept.
 *
 * @param names by public key, as {@link wireguardNames} reads them
 */
export function* wireguardPeers(
  dump: string,
  names: ReadonlyMap<string, string>,
): Iterable<PeerNetwork> {
  for (const line of dump.split("\n")) {
    const fields = line.split("\t");
    if (fields.length < 9) continue;
    const [, key, , , allowed] = fields;
    const person: Person = { source: "wireguard", id: key, name: names.get(key) ?? null };
    for (const network of allowed.split(",")) {
      // The whole internet behind a peer is a tunnel of this machine's own, not a person.
      if (network !== "(none)" && !network.endsWith("/0")) yield { network, person };
    }
  }
}

/**
 * Names of a wg-quick file's peers: the comment that stands on or next to `[Peer]`, as people and
 * the usual tools write it (`# alice`, `# Name = alice`, `### Client alice`).
 */
export function wireguardNames(config: string): Map<string, string> {
  const names = new Map<string, string>();
  let comment: string | null = null;
  let isPeer = false;
  for (const line of config.split("\n").map((one) => one.trim())) {
    const noted = /^#+\s*(?:(?:friendly_?name|name|client|user|peer)\s*[=:]?\s*)?(.*?)$/i.exec(
      line,
    );
    if (noted !== null) {
      comment = /^\w+\s*=\s*\S/.test(noted[1]) ? comment : cleanName(noted[1]) ?? comment; // a setting, commented out
      continue;
    }
    const section = /^\[(\w+)\](?:\s*#\s*(.*))?$/i.exec(line);
    if (section !== null) {
      isPeer = section[1].toLowerCase() === "peer";
      if (section[2] !== undefined) comment = cleanName(section[2]);
      if (!isPeer) comment = null;
      continue;
    }
    if (line !== "" && !isPeer) comment = null; // it was about that setting
    const key = /^PublicKey\s*=\s*(\S+)/i.exec(line)?.[1];
    if (key === undefined || !isPeer) continue;
    if (comment !== null) names.set(key, comment);
    comment = null;
  }
  return names;
}

/**
 * OpenVPN's status file, versions 1 to 3 (`status FILE`): the routing table says which common name
 * has which address inside. Networks behind a client (`10.1.0.0/24`, or a `C` at the end for what was
 * learnt) are left out: they are more than one person.
 */
export function* openvpnClients(status: string): People {
  let isRouting = false;
  for (const line of status.split("\n")) {
    if (/^ROUTING TABLE/.test(line)) {
      isRouting = true;
      continue;
    }
    if (/^GLOBAL STATS/.test(line)) isRouting = false;
    const cells = line.split(line.includes("\t") ? "\t" : ",");
    const [address, name] = cells[0] === "ROUTING_TABLE"
      ? cells.slice(1)
      : isRouting && cells.length >= 4
      ? cells
      : [];
    if (address === undefined || !/^[\da-f.:]+$/i.test(address) || !/[.:]/.test(address)) continue;
    if (/^([\da-f]{2}:){5}[\da-f]{2}$/i.test(address)) continue; // bridged: a hardware address
    const id = cleanName(name ?? "");
    if (id !== null) yield [address, { source: "openvpn", id, name: null }];
  }
}

/**
 * pppd's table of its sessions (/run/pppd2.tdb, also of PPPoE, PPTP and L2TP servers that start
 * pppd): texts `…;IFNAME=ppp0;…;IPREMOTE=10.0.0.2;PEERNAME="bob";…` among the bytes of the table.
 */
export function* pppSessions(table: Uint8Array): People {
  const text = new TextDecoder("latin1").decode(table);
  for (const [record] of text.matchAll(/[\w-]+=[^\0]*IPREMOTE=[^\0]*/g)) {
    const values = new Map<string, string>();
    for (const [, key, value] of record.matchAll(/(?:^|;)(\w+)=([^;]*)/g)) values.set(key, value);
    const address = values.get("IPREMOTE");
    const link = values.get("IFNAME");
    if (address === undefined || link === undefined) continue;
    const name = cleanName((values.get("PEERNAME") ?? "").replaceAll('"', ""));
    yield [address, { source: "ppp", id: name ?? link, name: null }];
  }
}
