/** A detection with what was done about it: what the console, the logs and the page tell. */
import type { Detection } from "../engine/engine.ts";
import { PROTOCOL_TCP } from "../packet/packet.ts";
import { formatEndpoint } from "../packet/address.ts";
import type { Found } from "../who/who.ts";

/** One address that was banned for a detection. */
export interface BanRecord {
  /** The address, or `ip:port` where bans are for endpoints. */
  readonly target: string;
  readonly seconds: number;
}

export interface DetectionRecord {
  /** Wall clock, milliseconds since 1970. */
  readonly timeMs: number;
  /** Interface the packet came in on (or goes out of), empty when not known. */
  readonly interface: string;
  readonly detection: Detection;
  /** `monitored`: accepted, as MONITOR_ONLY asks. */
  readonly action: "dropped" | "monitored";
  /** Empty where the policy or the white list bans nobody. */
  readonly bans: readonly BanRecord[];
  /** Who has one of the addresses, where this machine knows. */
  readonly who: Found | null;
}

/** `TCP` or `UDP`. */
export function transportOf(detection: Detection): "TCP" | "UDP" {
  return detection.protocol === PROTOCOL_TCP ? "TCP" : "UDP";
}

export function sourceOf(detection: Detection): string {
  return formatEndpoint(detection.source, detection.sourcePort);
}

export function destinationOf(detection: Detection): string {
  return formatEndpoint(detection.destination, detection.destinationPort);
}

/** The reason, with the client where it is known: `handshake, qBittorrent 4.5.2`. */
export function reasonOf(detection: Detection): string {
  const { match, client } = detection;
  return client === null ? match.reason : `${match.reason}, ${client}`;
}
