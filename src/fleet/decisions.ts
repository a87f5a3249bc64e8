/**
 * Decisions of a CrowdSec Local API, read from its JSON. Spec: CrowdSec's `localapi_swagger.yaml`,
 * definitions Decision and DecisionsStreamResponse.
 */
import { type Cidr, formatNetwork, parseNetwork } from "../gateway/network/networks.ts";

/** A ban decided somewhere in the fleet. */
export interface Decision {
  /** Unique in one database of the API. */
  readonly id: number;
  /** The address or network in one spelling, as {@link formatNetwork}. */
  readonly key: string;
  readonly network: Cidr;
  /** What is left of it; not above 0 where it has ended. */
  readonly durationMs: number;
  readonly scenario: string;
}

/** What came since the last question. */
export interface News {
  readonly added: readonly Decision[];
  readonly deleted: readonly Decision[];
  /** Entries that are no bans of an address or network, or cannot be read. */
  readonly skipped: number;
}

/** FLEET_SCOPE: whose decisions count. */
export type FleetScope = "btblocker" | "all";

/** What our scenarios begin with; the method of the detection follows. */
export const SCENARIO_PREFIX = "btblocker/";

const MS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 1e-3, "µs": 1e-3, "μs": 1e-3, ns: 1e-6 };
const LONGEST_DURATION = 64;

/** Milliseconds of a Go duration (`time.ParseDuration`): `3h59m58.7s`, `-1.2s`. NaN for none. */
export function parseGoDuration(text: string): number {
  if (text.length > LONGEST_DURATION) return NaN;
  const [, sign, rest] = /^([-+]?)(.*)$/.exec(text) ?? [];
  if (rest === "0") return 0;
  if (!/^(\d+(\.\d*)?(h|ms|m|s|us|µs|μs|ns))+$/.test(rest)) return NaN;
  let sum = 0;
  for (const [, count, , unit] of rest.matchAll(/(\d+(\.\d*)?)(h|ms|m|s|us|µs|μs|ns)/g)) {
    sum += Number(count) * MS[unit as keyof typeof MS];
  }
  return sign === "-" ? -sum : sum;
}

/** The answer of `/v1/decisions/stream`; throws TypeError for what is none. */
export function readNews(answer: unknown, scope: FleetScope): News {
  const { new: added = null, deleted = null } = (answer ?? {}) as Record<string, unknown>;
  const isList = (value: unknown) => value === null || Array.isArray(value);
  if (
    typeof answer !== "object" || answer === null || Array.isArray(answer) || !isList(added) ||
    !isList(deleted)
  ) {
    throw new TypeError("not a stream of decisions");
  }
  let skipped = 0;
  const read = (values: unknown) =>
    ((values ?? []) as unknown[]).flatMap((value) => {
      const decision = readDecision(value, scope);
      if (decision === null) skipped++;
      return decision === null ? [] : [decision];
    });
  return { added: read(added), deleted: read(deleted), skipped };
}

/** Null for what is no ban of an address or a network, or not of the scope. */
export function readDecision(value: unknown, scope: FleetScope): Decision | null {
  if (typeof value !== "object" || value === null) return null;
  const { id, duration, scenario, scope: kind, type, value: target, simulated } = value as Record<
    string,
    unknown
  >;
  if (
    !Number.isSafeInteger(id) || typeof duration !== "string" || typeof scenario !== "string" ||
    typeof kind !== "string" || typeof type !== "string" || typeof target !== "string"
  ) return null;
  if (type.toLowerCase() !== "ban" || simulated === true) return null;
  if (scope === "btblocker" && !scenario.startsWith(SCENARIO_PREFIX)) return null;
  if (!["ip", "range"].includes(kind.toLowerCase())) return null;
  const network = parseNetwork(target);
  const durationMs = parseGoDuration(duration);
  if (network === null || Number.isNaN(durationMs)) return null;
  return { id: id as number, key: formatNetwork(network), network, durationMs, scenario };
}
