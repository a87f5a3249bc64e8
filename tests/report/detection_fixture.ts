import type { Detection } from "../../src/engine/engine.ts";
import type { DetectionRecord } from "../../src/report/detection_record.ts";

/** The payload of the original's documented example. */
export const PAYLOAD = Uint8Array.fromHex(
  "00000417271019800000000000000001" + "123456789abcdef02d71423134323 02d".replace(" ", ""),
);

export function detection(changes: Partial<Detection> = {}): Detection {
  return {
    match: {
      method: "udp-tracker",
      kind: "announce",
      strength: "proof",
      reason: "announce request",
    },
    client: "qBittorrent 1.4.2",
    infoHash: null,
    ban: true,
    mayBan: true,
    acted: 1,
    offenders: 1,
    real: 1,
    family: 4,
    protocol: 17,
    source: "192.168.1.100",
    sourcePort: 51234,
    destination: "8.8.8.8",
    destinationPort: 6881,
    address: new Int32Array(8),
    initiatorIsSource: true,
    payload: PAYLOAD,
    payloadLength: PAYLOAD.length,
    ...changes,
  };
}

export function record(
  changes: Partial<DetectionRecord> = {},
  ofDetection: Partial<Detection> = {},
): DetectionRecord {
  return {
    timeMs: new Date(2024, 0, 15, 18, 46, 57, 123).getTime(),
    interface: "ens33",
    detection: detection(ofDetection),
    action: "dropped",
    bans: [{ target: "192.168.1.100", seconds: 18_000 }],
    who: null,
    ...changes,
  };
}
