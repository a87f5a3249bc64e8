/** What the operator decides about detection. Bans are the gateway's. */
export interface EnginePolicy {
  /** Also drop what is indistinguishable from random on unknown ports. */
  readonly strict: boolean;
  /** TCP connections older than the blocker are to begin anew. */
  readonly resetOlder?: boolean;
  /**
   * First data of what may be the foremost of several peers is dropped for 0.2 s, to be sent again when the
   * others have shown what they are. Off where what is judged is not dropped: captures, a monitor.
   */
  readonly holds?: boolean;
  /** SOCKS proxies are detections. */
  readonly blockSocks: boolean;
  /** Magnet links and .torrent downloads in plaintext HTTP are detections. */
  readonly blockMentions: boolean;
  /** Ports of services that are never touched, where they are what is called. */
  readonly whitelistPorts: readonly number[];
}

/** A capture is judged for what it holds: every port, the default policy. */
export const CAPTURE_POLICY: EnginePolicy = Object.freeze({
  strict: false,
  blockSocks: false,
  blockMentions: false,
  whitelistPorts: [],
});
