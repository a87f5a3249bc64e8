/** Literal packets of senders that may be banned, and the programs' bans, for tests. */
import type { BanScope } from "../../src/gateway/bans/ban_policy.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans } from "../../src/gateway/bans/bans.ts";
import { bytes } from "../gateway/bytes.ts";
import { isTestableAtTc, type loadProgram } from "./program.ts";

// Headers, typed from the specifications. Checksums are not looked at.
const MACS = "02 00 00 00 00 01 02 00 00 00 00 02"; // IEEE 802.3: destination, source
export const IPV4 = "0800";
export const IPV6 = "86dd";
export const VLAN = "8100 0064"; // IEEE 802.1Q: TPID, TCI of VLAN 100
export const SERVICE_VLAN = "88a8 00c8"; // IEEE 802.1ad: VLAN 200
export const FROM = "0a090102"; // 10.9.1.2
export const REVERSED = "0201090a"; // 2.1.9.10, the same bytes the other way round
export const TO = "c0a80101";
// RFC 791: version 4, IHL 5, total length 32, protocol UDP, TTL 64
export const ip4 = (source: string) => `4500 0020 0001 0000 4011 0000 ${source} ${TO}`;
// IHL 6: a router alert option (RFC 2113) before the end of the header
export const ip4Options = (source: string) =>
  `4600 0024 0001 0000 4011 0000 ${source} ${TO} 94040000`;
// IHL 15: the longest header
export const ip4Longest = (source: string) =>
  `4f00 0048 0001 0000 4011 0000 ${source} ${TO} ${"01".repeat(40)}`;
// fragment offset 185 (RFC 791): payload where ports would be
export const ip4LaterFragment = (source: string) => `4500 0020 0001 00b9 4011 0000 ${source} ${TO}`;
export const ip4Tcp = (source: string) => `4500 0028 0001 0000 4006 0000 ${source} ${TO}`;
export const FROM6 = "20010db8000000000000000000000007"; // 2001:db8::7
export const OTHER6 = "20010db8000000000000000000000008";
export const TO6 = "20010db8000000000000000000000001";
// RFC 8200: version 6, payload length 12, next header, hop limit 64
export const ip6 = (source: string, next = "11") => `60000000 000c ${next} 40 ${source} ${TO6}`;
export const HOP_BY_HOP = "11 00 0502 0000 0100"; // router alert (RFC 2711), then UDP
export const FIRST_FRAGMENT = "11 00 0001 00000007"; // offset 0, more follow; then UDP
export const LATER_FRAGMENT = "11 00 05a8 00000007"; // offset 181
export const AUTHENTICATION = "11 04 0000 00000001 00000001 000000000000000000000000"; // RFC 4302, 24 bytes
export const UDP = "1ae1 4e20 000c 0000 64313a61"; // RFC 768: from port 6881 to 20000, 4 bytes
export const TCP = "1ae1 4e20 00000001 00000000 5002 2000 0000 0000"; // RFC 9293: SYN from port 6881

export const L2 = "l2";
export const L3 = "l3";
/** The packet goes to the program of XDP, and where it can to that of tc. */
export const entriesOf = ({ entry, packet }: Case) =>
  entry === L2 && isTestableAtTc(bytes(packet)) ? [L2, "tc"] as const : [entry];
export const eth = (type: string, rest: string) => `${MACS} ${type} ${rest}`;

export interface Case {
  readonly name: string;
  readonly entry: typeof L2 | typeof L3;
  readonly packet: string;
  /** With 10.9.1.2 and 2001:db8::7 banned. */
  readonly wanted: "drop" | "pass";
}

export function caseOf(
  name: string,
  entry: Case["entry"],
  packet: string,
  wanted: Case["wanted"],
): Case {
  return { name, entry, packet, wanted };
}

export const SECOND = 1_000; // in the milliseconds of bans
/** A second ago: the programs read the clock once a tick, so that one that ends now drops a little longer. */
export const ENDED = -SECOND;

export function bansOver(
  program: ReturnType<typeof loadProgram>,
  scope: BanScope,
  limit = 64,
): Bans {
  return new Bans({
    table: BanTable.buffer(limit),
    scope,
    maps: program.maps,
    inForce: program.inForce,
  });
}
