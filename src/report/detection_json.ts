/**
 * A detection as JSON: one record in the detection log, the status page's API, the webhook and
 * `analyze --json`, each with an envelope of its own around it. docs/detection.schema.json describes
 * them. Names are those of Suricata's EVE log where it has them.
 */
import { formatIsoTime } from "../text.ts";
import type { Method, Strength } from "../protocols/match.ts";
import type { Found } from "../who/who.ts";
import { type DetectionRecord, transportOf } from "./detection_record.ts";

export interface DetectionJson {
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  readonly event_type: "detection";
  /** Interface that the packet came in by, empty where it is not known. */
  readonly in_iface: string;
  readonly proto: "TCP" | "UDP";
  readonly src_ip: string;
  readonly src_port: number;
  readonly dest_ip: string;
  readonly dest_port: number;
  readonly method: Method;
  readonly strength: Strength;
  /** In words. */
  readonly reason: string;
  readonly client: string | null;
  /** The torrent's info-hash (v1 or v2) in hexadecimal, where the packet carries one. */
  readonly info_hash: string | null;
  /** Who has one of the addresses, where this machine knows. */
  readonly who: Found | null;
  /** `monitored`: accepted, as MONITOR_ONLY asks. */
  readonly action: "dropped" | "monitored";
  /** Whether somebody was banned for it. */
  readonly ban: boolean;
  readonly bans: readonly { readonly target: string; readonly seconds: number }[];
}

export function detectionJson(record: DetectionRecord): DetectionJson {
  const { detection, who, bans } = record;
  const { method, strength, reason } = detection.match;
  return {
    timestamp: formatIsoTime(record.timeMs),
    event_type: "detection",
    in_iface: record.interface,
    proto: transportOf(detection),
    src_ip: detection.source,
    src_port: detection.sourcePort,
    dest_ip: detection.destination,
    dest_port: detection.destinationPort,
    ...{ method, strength, reason },
    client: detection.client,
    info_hash: detection.infoHash,
    who,
    action: record.action,
    ban: bans.length > 0,
    bans: bans.map(({ target, seconds }) => ({ target, seconds })),
  };
}
