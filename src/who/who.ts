/**
 * Who an address is, by the tables of this machine: WireGuard's peers, sessions of OpenVPN and pppd,
 * DHCP leases, the neighbour's hardware address; for what this machine sends itself, the process's
 * user. A table is read again when it has changed, at most once a second, and only when
 * somebody is asked for.
 */
import { formatAddress, parseAddress } from "../packet/address.ts";
import { dnsmasqLeases, iscLeases, keaLeases, type People } from "./leases.ts";
import { hardwareAddress, type Person } from "./person.ts";
import { PeerNetworks } from "./peer_networks.ts";
import { personOf, serviceOf, type Socket, socketOf, userNames } from "./processes.ts";
import { openvpnClients, pppSessions, wireguardNames, wireguardPeers } from "./vpn.ts";

const REFRESH_MS = 1_000;
/** WireGuard's table is a program's answer: peers change seldom. */
const PEERS_REFRESH_MS = 5_000;
/** A lease file of a whole town; beyond it nobody is looked up. */
const MOST_BYTES = 64 << 20;
/** Processes looked through for the owner of a socket. */
const MOST_PROCESSES = 4_096;

/** How this machine's tables are read; tests give their own. */
export interface Machine {
  /** The file's bytes, or null where it cannot be read. */
  read(path: string): Uint8Array | null;
  /** Changes when the file does; null where there is none. */
  version(path: string): string | null;
  /** Paths in a directory, none where it cannot be read. */
  list(directory: string): string[];
  /** Where a link points, or null. */
  link(path: string): string | null;
  /** What `wg show all dump` prints, or null where there is no WireGuard. */
  wireguard(): string | null;
  nowMs(): number;
}

const LEASE_FILES: readonly (readonly [string, (text: string, nowS: number) => People])[] = [
  ["/var/lib/misc/dnsmasq.leases", dnsmasqLeases],
  ["/var/lib/dnsmasq/dnsmasq.leases", dnsmasqLeases],
  ["/tmp/dhcp.leases", dnsmasqLeases], // OpenWrt
  ["/var/lib/kea/kea-leases4.csv", keaLeases],
  ["/var/lib/kea/kea-leases6.csv", keaLeases],
  ["/var/lib/dhcp/dhcpd.leases", iscLeases],
  ["/var/lib/dhcpd/dhcpd.leases", iscLeases],
];
const OPENVPN_DIRECTORIES = ["/run/openvpn", "/run/openvpn-server", "/var/log/openvpn"];
const PPP_TABLES = ["/run/pppd2.tdb", "/var/run/pppd2.tdb", "/run/ppp/pppd2.tdb"];

/** A person, and the address that is theirs. */
export interface Found extends Person {
  readonly address: string;
}

export class Who {
  readonly #machine: Machine;
  readonly #decoder = new TextDecoder();
  readonly #files = new Map<string, { version: string; people: Map<string, Person> }>();
  #readMs = -Infinity;
  #people = new Map<string, Person>();
  #peers: PeerNetworks | null = null;
  #peersText = "";
  #peersMs = -Infinity;
  #sockets = new Map<string, { atMs: number; text: string }>();
  #users: { version: string; names: Map<number, string> } | null = null;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Who has an address behind this machine; null where no table knows. */
  of(address: string): Person | null {
    this.#refresh();
    return this.#peers?.find(address) ?? this.#people.get(address) ?? null;
  }

  /**
   * Whose process sends from a port of this machine.
   *
   * @param transport as the table of the kernel is called
   * @param address as {@link procAddress} writes it
   */
  ofPort(transport: "tcp" | "udp", family: 4 | 6, address: string, port: number): Person | null {
    const socket = this.#socket(transport, family, address, port);
    if (socket === null) return null;
    const user = this.#userNames().get(socket.uid) ?? null;
    return personOf(socket.uid, user, this.#serviceOf(socket.inode));
  }

  #refresh(): void {
    const now = this.#machine.nowMs();
    if (now - this.#readMs < REFRESH_MS) return;
    this.#readMs = now;
    const nowS = Date.now() / 1000;
    const people = new Map<string, Person>();
    const add = (found: ReadonlyMap<string, Person>) => {
      for (const [address, person] of found) people.set(address, person);
    };
    // Who says more of a person comes later and holds.
    add(this.#file("/proc/net/arp", neighbours));
    for (const [path, read] of LEASE_FILES) {
      add(this.#file(path, (bytes) => read(this.#decoder.decode(bytes), nowS)));
    }
    for (const path of PPP_TABLES) add(this.#file(path, pppSessions));
    for (const directory of OPENVPN_DIRECTORIES) {
      for (const path of this.#machine.list(directory)) {
        if (!/status|\.log$/.test(path)) continue;
        add(this.#file(path, (bytes) => openvpnClients(this.#decoder.decode(bytes))));
      }
    }
    this.#people = people;
    this.#readWireguard();
  }

  #readWireguard(): void {
    const now = this.#machine.nowMs();
    if (now - this.#peersMs < PEERS_REFRESH_MS) return;
    this.#peersMs = now;
    const dump = this.#machine.wireguard();
    if (dump === null) {
      this.#peers = null;
      return;
    }
    // Counters of traffic change all the time, peers do not.
    const text = dump.replace(/(\t[^\t]*){4}$/gm, "");
    if (this.#peers !== null && text === this.#peersText) return;
    this.#peersText = text;
    const names = new Map<string, string>();
    for (const path of this.#machine.list("/etc/wireguard")) {
      if (!path.endsWith(".conf")) continue;
      const bytes = this.#machine.read(path);
      if (bytes === null) continue;
      for (const [key, name] of wireguardNames(this.#decoder.decode(bytes))) names.set(key, name);
    }
    this.#peers = new PeerNetworks(wireguardPeers(dump, names));
  }

  /** People of one file, read again when it has changed. */
  #file(path: string, read: (bytes: Uint8Array) => People): ReadonlyMap<string, Person> {
    const version = this.#machine.version(path);
    if (version === null) {
      this.#files.delete(path);
      return new Map();
    }
    const known = this.#files.get(path);
    // What /proc shows has no time of change, and leases end by themselves.
    if (known !== undefined && known.version === version && !path.startsWith("/proc/")) {
      return known.people;
    }
    const bytes = this.#machine.read(path);
    const people = new Map<string, Person>();
    for (
      const [address, person] of bytes === null || bytes.length > MOST_BYTES ? [] : read(bytes)
    ) {
      const words = parseAddress(address);
      if (words !== null) people.set(formatAddress(words, 0), person);
    }
    this.#files.set(path, { version, people });
    return people;
  }

  #socket(transport: "tcp" | "udp", family: 4 | 6, address: string, port: number): Socket | null {
    const names = family === 6 ? [`${transport}6`] : [transport, `${transport}6`];
    for (const name of names) {
      // IPv4 through an IPv6 socket stands mapped, ::ffff:0:0/96.
      const wanted = family === 4 && name.endsWith("6")
        ? `0000000000000000FFFF0000${address}`
        : address;
      const found = socketOf(this.#table(name), wanted, port);
      if (found !== null) return found;
    }
    return null;
  }

  #table(name: string): string {
    const now = this.#machine.nowMs();
    const known = this.#sockets.get(name);
    if (known !== undefined && now - known.atMs < REFRESH_MS / 4) return known.text;
    const bytes = this.#machine.read(`/proc/net/${name}`);
    const text = bytes === null || bytes.length > MOST_BYTES ? "" : this.#decoder.decode(bytes);
    this.#sockets.set(name, { atMs: now, text });
    return text;
  }

  #userNames(): ReadonlyMap<number, string> {
    const version = this.#machine.version("/etc/passwd") ?? "";
    if (this.#users?.version !== version) {
      const bytes = this.#machine.read("/etc/passwd");
      const names = bytes === null ? new Map() : userNames(this.#decoder.decode(bytes));
      this.#users = { version, names };
    }
    return this.#users!.names;
  }

  /** The service of the process that holds a socket open; null where we may not look. */
  #serviceOf(inode: string): string | null {
    const wanted = `socket:[${inode}]`;
    const processes = this.#machine.list("/proc").filter((path) => /^\/proc\/\d+$/.test(path));
    for (const process of processes.slice(-MOST_PROCESSES)) {
      for (const file of this.#machine.list(`${process}/fd`)) {
        if (this.#machine.link(file) !== wanted) continue;
        const bytes = this.#machine.read(`${process}/cgroup`);
        return bytes === null ? null : serviceOf(this.#decoder.decode(bytes));
      }
    }
    return null;
  }
}

/** /proc/net/arp (proc_net_arp): `address type flags hardware-address mask device`. */
function* neighbours(bytes: Uint8Array): People {
  for (const line of new TextDecoder().decode(bytes).split("\n").slice(1)) {
    const [address, , , hardware] = line.trim().split(/\s+/);
    const id = hardwareAddress(hardware ?? "");
    if (id !== null) yield [address, { source: "neighbour", id, name: null }];
  }
}
