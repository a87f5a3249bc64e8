/** What a machine in a fleet tells of its part in it. */
import type { Trouble } from "../backoff.ts";

/** Each half is null where the settings give no right to it. Times are ISO 8601. */
export interface FleetState {
  /** As CrowdSec's machine: it reports its bans. */
  readonly reports: FleetReports | null;
  /** As CrowdSec's bouncer: it takes over those of others. */
  readonly takesOver: FleetTakeover | null;
}

/** How the calls of one half go. Counts are since the start. */
export interface FleetCalls {
  /** The last call was answered well. Whoever has nothing to report makes none. */
  readonly connected: boolean;
  /** Null before the first. */
  readonly lastSuccess: string | null;
  /** The last one, also when it is over; null where there was none. */
  readonly lastFailure: FleetFailure | null;
  readonly failures: Readonly<Record<Trouble, number>>;
}

export interface FleetFailure {
  readonly time: string;
  readonly trouble: Trouble;
  /** In words, a part of the API's answer among them. */
  readonly problem: string;
}

export interface FleetReports extends FleetCalls {
  /** Bans not reported yet. */
  readonly waiting: number;
  /** Bans never reported because too many waited. */
  readonly lost: number;
}

export interface FleetTakeover extends FleetCalls {
  /** Addresses and networks that the fleet has decisions about. */
  readonly held: number;
}
