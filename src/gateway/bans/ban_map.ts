/** One of the kernel's ban maps, by its descriptor. */
import {
  deleteElement,
  lookupElement,
  readElements,
  readKeys,
  updateElement,
} from "../../../ffi/bpf.ts";
import {
  BAN_VALUE_LENGTH,
  type BanMapName,
  type BanValue,
  decodeBanValue,
  decodeKey,
  encodeBanValue,
  encodeKey,
  KEY_LENGTHS,
} from "./ban_codec.ts";
import type { BanKey } from "./ban_key.ts";

/** A ban as the kernel's map has it. */
export interface KernelBan {
  readonly key: BanKey;
  readonly value: BanValue;
}

export class BanMap {
  readonly #fd: number;
  readonly #name: BanMapName;
  readonly #key: Uint8Array<ArrayBuffer>;
  readonly #value = new Uint8Array(BAN_VALUE_LENGTH);
  readonly #valueView = new DataView(this.#value.buffer);

  /** @param fd good in every thread of the process */
  constructor(name: BanMapName, fd: number) {
    this.#name = name;
    this.#fd = fd;
    this.#key = new Uint8Array(KEY_LENGTHS[name]);
  }

  /**
   * Writes a ban; in force when this returns. One that is there keeps its start and counters, unless
   * it `isNew`. False where the kernel has no room.
   */
  write(key: BanKey, untilMs: number, nowMs: number, reason: number, isNew: boolean): boolean {
    const known = isNew ? null : this.#read(key);
    const ban = known ?? { sinceMs: nowMs, packets: 0, bytes: 0, lastSeenMs: 0 };
    encodeKey(this.#key, key);
    encodeBanValue(this.#valueView, { ...ban, untilMs, reason });
    return updateElement(this.#fd, this.#key, this.#value) >= 0;
  }

  /** False when there was none. */
  delete(key: BanKey): boolean {
    encodeKey(this.#key, key);
    return deleteElement(this.#fd, this.#key) === 0;
  }

  /** Returns how many were deleted. */
  deleteWhere(unwanted: (ban: KernelBan) => boolean): number {
    let deleted = 0;
    for (const ban of this.entries()) {
      if (!unwanted(ban)) continue;
      // Looked at again: a worker may have banned it anew meanwhile.
      const value = this.#read(ban.key);
      if (value === null || !unwanted({ key: ban.key, value })) continue;
      if (this.delete(ban.key)) deleted++;
    }
    return deleted;
  }

  /** All, ended ones too. Those written meanwhile may or may not be among them. */
  entries(): KernelBan[] {
    const bans: KernelBan[] = [];
    const { length } = this.#key;
    if (this.#name === "blocked_networks") { // a trie has no batches before Linux 5.13
      for (const bytes of readKeys(this.#fd, length)) {
        const key = decodeKey(this.#name, bytes, 0);
        const value = this.#read(key);
        if (value !== null) bans.push({ key, value });
      }
      return bans;
    }
    readElements(this.#fd, length, BAN_VALUE_LENGTH, (keys, at, values, valueAt) => {
      const key = decodeKey(this.#name, keys, at);
      bans.push({ key, value: decodeBanValue(values, valueAt) });
    });
    return bans;
  }

  #read(key: BanKey): BanValue | null {
    encodeKey(this.#key, key);
    if (lookupElement(this.#fd, this.#key, this.#value) < 0) return null;
    return decodeBanValue(this.#valueView, 0);
  }
}
