/** One of the kernel's ban maps, by its descriptor. */
import {
  deleteElement,
  isEmptyMap,
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
  decodeBits,
  decodeKey,
  encodeBanValue,
  encodeKey,
  IN_FORCE,
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
  readonly #inForce: number | null;
  readonly #element: Uint8Array<ArrayBuffer>;
  readonly #mark = new Uint8Array(4);
  readonly #key: Uint8Array<ArrayBuffer>;
  readonly #value = new Uint8Array(BAN_VALUE_LENGTH);
  readonly #valueView = new DataView(this.#value.buffer);

  /**
   * @param fd good in every thread of the process
   * @param inForce descriptor of `bans_in_force`; null where no program looks there
   */
  constructor(name: BanMapName, fd: number, inForce: number | null = null) {
    this.#name = name;
    this.#fd = fd;
    this.#inForce = inForce;
    this.#element = new Uint8Array(Uint32Array.of(IN_FORCE[name]).buffer);
    this.#key = new Uint8Array(KEY_LENGTHS[name]);
  }

  /**
   * Writes a ban; in force when this returns. One that is there keeps its start, its counters and which
   * one it is, unless it `isNew`. False where the kernel has no room.
   *
   * @param bans see {@link BanValue.bans}
   */
  write(
    key: BanKey,
    untilMs: number,
    nowMs: number,
    reason: number,
    isNew: boolean,
    bans = 0,
  ): boolean {
    const known = isNew ? null : this.read(key);
    const ban = known ?? { sinceMs: nowMs, packets: 0, bytes: 0, lastSeenMs: 0, bans };
    encodeKey(this.#name, this.#key, key);
    encodeBanValue(this.#valueView, { ...ban, untilMs, reason }, key.bits);
    if (updateElement(this.#fd, this.#key, this.#value) < 0) return false;
    this.#say(true);
    return true;
  }

  /** Tells the program whether to look here at all. */
  tellInForce(): void {
    const isEmpty = () => isEmptyMap(this.#fd, this.#key.length);
    // In this order: a ban that is written in between tells itself, or is seen.
    if (isEmpty()) this.#say(false);
    if (!isEmpty()) this.#say(true);
  }

  #say(any: boolean): void {
    if (this.#inForce === null) return;
    this.#mark[0] = any ? 1 : 0;
    updateElement(this.#inForce, this.#element, this.#mark);
  }

  /** False when there was none. */
  delete(key: BanKey): boolean {
    encodeKey(this.#name, this.#key, key);
    return deleteElement(this.#fd, this.#key) === 0;
  }

  /** Returns how many were deleted. */
  deleteWhere(unwanted: (ban: KernelBan) => boolean): number {
    let deleted = 0;
    for (const ban of this.entries()) {
      if (!unwanted(ban)) continue;
      // Looked at again: a worker may have banned it anew meanwhile.
      const value = this.read(ban.key);
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
        const key = decodeKey(this.#name, bytes, 0, 128);
        const value = this.read(key);
        if (value !== null) bans.push({ key, value });
      }
      return bans;
    }
    readElements(this.#fd, length, BAN_VALUE_LENGTH, (keys, at, values, valueAt) => {
      const key = decodeKey(this.#name, keys, at, decodeBits(values, valueAt));
      bans.push({ key, value: decodeBanValue(values, valueAt) });
    });
    return bans;
  }

  /** Null where there is none. */
  read(key: BanKey): BanValue | null {
    encodeKey(this.#name, this.#key, key);
    if (lookupElement(this.#fd, this.#key, this.#value) < 0) return null;
    return decodeBanValue(this.#valueView, 0);
  }
}
