/**
 * Ports of this machine itself that a banned address reaches all the same (WHITELIST_PORTS): who is
 * banned must still be able to log in. The kernel's side is in bpf/bans.h.
 */
import { check } from "../../../ffi/errno.ts";
import { deleteElement, readKeys, updateElement } from "../../../ffi/bpf.ts";

/** The maps' names in the programs. */
export const OPEN_PORT_MAPS = ["own_addresses", "open_ports"] as const;

const ADDRESS_LENGTH = 16;
const PORT_WORDS = 2048;

/** Opens just these ports. @param map descriptor of `open_ports` */
export function writeOpenPorts(map: number, ports: readonly number[]): void {
  const words = new Uint32Array(PORT_WORDS);
  for (const port of ports) words[port >> 5] |= 1 << (port & 31);
  for (const [index, word] of words.entries()) {
    const [key, value] = [index, word].map((number) =>
      new Uint8Array(Uint32Array.of(number).buffer)
    );
    check(updateElement(map, key, value), "say which ports stay open to banned addresses");
  }
}

/**
 * Says which addresses are this machine's own, and that no others are.
 *
 * @param map descriptor of `own_addresses`
 * @param addresses four words each
 */
export function writeOwnAddresses(map: number, addresses: readonly Int32Array[]): void {
  const keys = new Map(addresses.map((words) => {
    const key = new Uint8Array(ADDRESS_LENGTH);
    const view = new DataView(key.buffer);
    for (let word = 0; word < 4; word++) view.setInt32(word * 4, words[word], false);
    return [key.toHex(), key];
  }));
  const value = new Uint8Array(4);
  for (const key of keys.values()) {
    check(updateElement(map, key, value), "say which addresses are this machine's own");
  }
  for (const key of readKeys(map, ADDRESS_LENGTH)) {
    if (!keys.has(key.toHex())) deleteElement(map, key);
  }
}
