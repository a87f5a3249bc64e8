/** What can be asked of the bans, and what is answered: the same on the socket, page and command line. */
import { UsageError } from "../errors.ts";
import { type BanKey, isIpv4, parseBanKey } from "../gateway/bans/ban_key.ts";
import type { Ban } from "../gateway/bans/bans.ts";

const BAN_ACTIONS = ["list", "add", "remove", "clear"] as const;
export type BanAction = typeof BAN_ACTIONS[number];

export interface BanRequest {
  readonly action: BanAction;
  readonly addresses: readonly string[];
  /** Of `add`. */
  readonly durationSeconds: number;
  /** Of `remove`: also lift the fleet's bans, everywhere. */
  readonly fleet?: boolean;
}

/** One answer an address (`add`, `remove`), or one in all (`clear`). */
export type BanAnswer =
  /** `who`: in words, where this machine knows. */
  | { readonly type: "ban"; readonly ban: Ban; readonly who: string | null }
  | {
    readonly type: "added";
    readonly address: string;
    readonly untilMs: number;
    /** False when it was banned already and only its end has changed. */
    readonly isNew: boolean;
  }
  | {
    readonly type: "removed";
    readonly address: string;
    readonly wasBanned: boolean;
    /** The prefix whose ban was lifted with it, where its host was banned by that (IPv6). */
    readonly network?: string;
    /** Flows of it that were dropped as BitTorrent, and are judged anew. */
    readonly flows: number;
    /** A wider network whose ban holds for it still, where there is one. */
    readonly within?: string;
    /** Decisions of the fleet taken back, where that was asked for. */
    readonly decisions?: number;
  }
  | { readonly type: "cleared"; readonly bans: number };

/** A request as it came through the socket, checked; throws UsageError. */
export function readBanRequest(value: unknown): BanRequest {
  const { action, addresses, durationSeconds, fleet } = (value ?? {}) as Partial<BanRequest>;
  const isRequest = BAN_ACTIONS.some((known) => known === action) && Array.isArray(addresses) &&
    addresses.every((text) => typeof text === "string") && Number.isFinite(durationSeconds) &&
    (fleet === undefined || typeof fleet === "boolean");
  if (!isRequest) throw new UsageError("Cannot read the request: not one for bans");
  return value as BanRequest;
}

/** Throws UsageError for what cannot be banned or lifted, before anybody is asked. */
export function checkBanRequest({ action, addresses }: BanRequest): void {
  for (const text of addresses) readBanned(action === "remove" ? "unban" : "ban", text);
}

/** Whom a request means. */
export interface Banned {
  readonly key: BanKey;
  /** Just an address: of IPv6, a ban of it is for the prefix that its host has. */
  readonly isAddress: boolean;
}

// Wider ones are nobody's to ban: a slip. Prefix lengths of the 128-bit form.
const WIDEST_IPV4 = 96 + 8;
const WIDEST_IPV6 = 16;

/** An address, a network, or an endpoint, as `list` names them. */
export function readBanned(verb: "ban" | "unban", text: string): Banned {
  const key = parseBanKey(text);
  if (key === null) {
    throw new UsageError(
      `Cannot ${verb} ${text}: expected an address, a network or a port, such as 192.0.2.7, ` +
        "2001:db8::7, 192.0.2.0/24 or 192.0.2.7:6881/udp",
    );
  }
  if (verb === "ban" && key.bits < (isIpv4(key.words) ? WIDEST_IPV4 : WIDEST_IPV6)) {
    throw new UsageError(
      `Cannot ban ${text}: expected a network of at least /8 (IPv4) or /16 (IPv6)`,
    );
  }
  return { key, isAddress: key.bits === 128 && key.protocol === 0 && !text.includes("/") };
}
