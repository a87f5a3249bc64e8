/** The line that an operator sees for every detection. */
import type { Logger } from "@logtape/logtape";
import {
  destinationOf,
  type DetectionRecord,
  reasonOf,
  sourceOf,
  transportOf,
} from "./detection_record.ts";
import { formatDuration, printable } from "../text.ts";
import { describePerson } from "../who/person.ts";

/** The line, in pieces: the log limits lines of one template, and JSON logs keep the fields. */
const TEMPLATE = "[DETECT] {transport} {source} → {destination} {method} ({why}) - {action}";

/**
 * Logs `[DETECT] UDP 192.168.1.100:51234 → 8.8.8.8:6881 dht (get_peers query) - banned
 * 192.168.1.100 for 5h`; in monitor mode it ends in `Monitor only (no ban)`.
 */
export function reportDetection(log: Logger, record: DetectionRecord): void {
  log.info(TEMPLATE, detectionFields(record));
}

/** The fields of the line, in the order in which they stand in it. */
function detectionFields(record: DetectionRecord): Record<string, string> {
  const { detection } = record;
  return {
    transport: transportOf(detection),
    source: sourceOf(detection),
    destination: destinationOf(detection),
    method: detection.match.method,
    why: printable(reasonOf(detection)),
    action: describeAction(record) + describeWho(record),
  };
}

/** The line as it is printed, without time and level. */
export function detectionLine(record: DetectionRecord): string {
  const fields = detectionFields(record);
  return TEMPLATE.replace(/\{(\w+)\}/g, (_, name: string) => fields[name]);
}

/** `, 10.8.0.5 is alice (wireguard xTIB…=)`, or nothing. */
export function describeWho({ who }: Pick<DetectionRecord, "who">): string {
  return who === null ? "" : `, ${who.address} is ${printable(describePerson(who))}`;
}

/** `banned 10.0.0.1 for 5h and 10.0.0.2 for 10h`, `dropped, nobody banned`, `Monitor only (no ban)`. */
export function describeAction({ action, bans }: DetectionRecord): string {
  if (action === "monitored") return "Monitor only (no ban)";
  if (bans.length === 0) return "dropped, nobody banned";
  const isOneTerm = bans.every(({ seconds }) => seconds === bans[0].seconds);
  const targets = bans.map(({ target, seconds }, index) =>
    isOneTerm && index < bans.length - 1 ? target : `${target} for ${formatDuration(seconds)}`
  );
  return `banned ${targets.join(" and ")}`;
}
