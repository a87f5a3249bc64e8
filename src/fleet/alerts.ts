/**
 * Alerts, by which a machine tells the fleet of its bans. Spec: CrowdSec's `localapi_swagger.yaml`,
 * definitions Alert and Event. Nothing of a packet's payload is in them.
 */
import type { DetectionReport } from "../gateway/queue/worker_protocol.ts";
import type { Method } from "../protocols/match.ts";
import { VERSION } from "../version.ts";
import { SCENARIO_PREFIX } from "./decisions.ts";

/** A ban to be told of, as it is spooled: JSON. */
export interface SharedBan {
  readonly address: string;
  readonly method: Method;
  readonly reason: string;
  readonly client: string | null;
  readonly transport: "tcp" | "udp";
  /** Ends of the flow, `address:port`. */
  readonly source: string;
  readonly destination: string;
  readonly durationMs: number;
  /** When it began: by this machine's clock, and since boot {@link boot}. */
  readonly sinceMs: number;
  readonly sinceBootMs: number;
  /** The kernel's id of this run of the machine. */
  readonly boot: string;
}

/** A detection with a ban, and this moment in both clocks. */
export function sharedBan(
  { detection }: DetectionReport,
  address: string,
  durationMs: number,
  now: { readonly wallMs: number; readonly bootMs: number; readonly boot: string },
): SharedBan {
  const { match, client, protocol, sourcePort, destinationPort } = detection;
  const bracketed = (text: string) => text.includes(":") ? `[${text}]` : text;
  return {
    address,
    method: match.method,
    reason: match.reason,
    client,
    transport: protocol === 6 ? "tcp" : "udp",
    source: `${bracketed(detection.source)}:${sourcePort}`,
    destination: `${bracketed(detection.destination)}:${destinationPort}`,
    durationMs,
    sinceMs: now.wallMs,
    sinceBootMs: now.bootMs,
    boot: now.boot,
  };
}

/** How long ago it began. The boot clock is not set by anybody; after a reboot the other must do. */
export function ageMs(
  ban: SharedBan,
  now: { readonly wallMs: number; readonly bootMs: number; readonly boot: string },
): number {
  const age = ban.boot === now.boot ? now.bootMs - ban.sinceBootMs : now.wallMs - ban.sinceMs;
  return Math.max(0, age);
}

const LONGEST_TEXT = 255;

/**
 * The alert of a ban. The API ends a decision at `stop_at` and its duration after that, so the time
 * must be its own: by another clock the ban would be shorter or longer.
 *
 * @param beganMs when the ban began, by the API's clock
 */
export function alertOf(ban: SharedBan, beganMs: number, machine: string): unknown {
  const time = new Date(beganMs).toISOString();
  const scope = ban.address.includes("/") ? "Range" : "Ip";
  const scenario = SCENARIO_PREFIX + ban.method;
  const meta = (key: string, value: string) => ({ key, value: value.slice(0, LONGEST_TEXT) });
  return {
    scenario,
    scenario_hash: "",
    scenario_version: VERSION,
    message: `${machine} banned ${ban.address} for BitTorrent: ${ban.method}, ${ban.reason}`,
    events_count: 1,
    start_at: time,
    stop_at: time,
    capacity: 0,
    leakspeed: "0s",
    simulated: false,
    events: [{
      timestamp: time,
      meta: [
        meta("machine", machine),
        meta("method", ban.method),
        meta("reason", ban.reason),
        ...ban.client === null ? [] : [meta("client", ban.client)],
        meta("transport", ban.transport),
        meta("source", ban.source),
        meta("destination", ban.destination),
      ],
    }],
    source: {
      scope,
      value: ban.address,
      ...scope === "Ip" ? { ip: ban.address } : { range: ban.address },
    },
    decisions: [{
      duration: `${Math.max(1, Math.round(ban.durationMs / 1000))}s`,
      origin: "crowdsec", // what its metrics call decisions of a machine's own
      scenario,
      scope,
      type: "ban",
      value: ban.address,
    }],
  };
}

/** A line of the spool; null for one that is cut or of another version. */
export function readSharedBan(line: string): SharedBan | null {
  try {
    const ban = JSON.parse(line) as SharedBan;
    const texts = [ban.address, ban.method, ban.reason, ban.source, ban.destination, ban.boot];
    const numbers = [ban.durationMs, ban.sinceMs, ban.sinceBootMs];
    const isBan = texts.every((text) => typeof text === "string") &&
      numbers.every(Number.isFinite) && (ban.client === null || typeof ban.client === "string");
    return isBan ? ban : null;
  } catch {
    return null;
  }
}
