/** Whose socket on this machine has sent a packet: the owner, and the service it runs in. */
import type { Person } from "./person.ts";
import { cleanName } from "./person.ts";

/** A row of /proc/net/tcp and its like. */
export interface Socket {
  /** `0100007F`: 32-bit words in the machine's byte order, in hexadecimal. */
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: string;
}

/** Rows of /proc/net/tcp, tcp6, udp, udp6 (proc_net_tcp(5)): address, state, …, uid, timeout, inode. */
export function* sockets(table: string): Iterable<Socket> {
  for (const line of table.split("\n")) {
    const found = /^\s*\d+: ([\dA-F]+):([\dA-F]{4}) \S+ \S+ \S+ \S+ \S+\s+(\d+)\s+\d+ (\d+)/.exec(
      line,
    );
    if (found === null) continue;
    const [, address, port, uid, inode] = found;
    yield { address, port: parseInt(port, 16), uid: Number(uid), inode };
  }
}

/**
 * The socket of a local port. Two processes may share a port with different addresses; one that is
 * bound to the very address counts more than one that is bound to all.
 *
 * @param address as the table writes it, see {@link procAddress}
 */
export function socketOf(table: string, address: string, port: number): Socket | null {
  let any: Socket | null = null;
  for (const socket of sockets(table)) {
    if (socket.port !== port) continue;
    if (socket.address === address) return socket;
    if (/^0+$/.test(socket.address)) any = socket;
  }
  return any;
}

/**
 * An address as /proc/net writes it: 32-bit words in the byte order of the machine (little-endian
 * wherever Deno runs).
 *
 * @param words the address in network order, one word for IPv4 or four for IPv6
 */
export function procAddress(words: readonly number[]): string {
  return words.map((word) => {
    const swapped =
      ((word & 0xff) << 24 | (word & 0xff00) << 8 | word >>> 8 & 0xff00 | word >>> 24) >>> 0;
    return swapped.toString(16).toUpperCase().padStart(8, "0");
  }).join("");
}

/** Names of users by number, of a file like /etc/passwd (passwd(5)). */
export function userNames(passwd: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of passwd.split("\n")) {
    const [name, , uid] = line.split(":");
    if (uid !== undefined && /^\d+$/.test(uid) && !names.has(Number(uid))) {
      names.set(Number(uid), name);
    }
  }
  return names;
}

/** The service or container of a cgroup: the path's end of /proc/PID/cgroup (cgroups(7)). */
export function serviceOf(cgroup: string): string | null {
  const path = /^0::(.*)$/m.exec(cgroup)?.[1] ?? /^1:name=systemd:(.*)$/m.exec(cgroup)?.[1];
  return path === undefined || path === "/" ? null : cleanName(path);
}

/** The user as a person; the service goes with the name. */
export function personOf(uid: number, user: string | null, service: string | null): Person {
  const parts = [user, service].filter((part) => part !== null);
  return {
    source: "process",
    id: `uid ${uid}`,
    name: parts.length === 0 ? null : parts.join(", "),
  };
}
