/** WireGuard in user space (wireguard-go): for programs that are WireGuard with rules of their own. */

import type { Host } from "../../../src/demo/network.ts";
import { until } from "../../until.ts";
import type { Bed } from "./bed.ts";

export interface Key {
  /** A file. */
  readonly private: string;
  readonly public: string;
}

export async function newKey(bed: Bed): Promise<Key> {
  const file = await Deno.makeTempFile({ dir: bed.network.directory, suffix: ".key" });
  const made = `umask 077; wg genkey > ${file}; wg pubkey < ${file}`;
  return { private: file, public: (await bed.router.run(["sh", "-c", made])).trim() };
}

/** Interfaces' control sockets are the machine's: a name of its own for each. */
export function deviceName(label: string): string {
  return `${label}${Deno.pid % 1_000_000}`;
}

export interface Device {
  readonly key: Key;
  readonly port?: number;
  readonly mark?: number;
  readonly addresses: readonly string[];
  /** As for `wg set`, after `peer KEY`. */
  readonly peers: readonly (readonly [Key, ...string[]])[];
}

/** Starts a device and waits until it is up. */
export async function startDevice(host: Host, name: string, device: Device): Promise<void> {
  const program = host.spawn(["wireguard-go", "-f", name]);
  await until(
    () => host.run(["wg", "show", name]).then(() => true, () => false),
    () => program.text(),
  );
  await host.run([
    ...["wg", "set", name, "private-key", device.key.private],
    ...device.port === undefined ? [] : ["listen-port", String(device.port)],
    ...device.mark === undefined ? [] : ["fwmark", String(device.mark)],
    ...device.peers.flatMap(([key, ...options]) => ["peer", key.public, ...options]),
  ]);
  for (const address of device.addresses) {
    await host.run(["ip", "address", "add", address, "dev", name]);
  }
  await host.run(["ip", "link", "set", name, "up", "mtu", "1280"]);
}
