/** Fields of SOCKS negotiations, for the page of an analysis. Spec: RFC 1928. */
import type { FieldList } from "../field_list.ts";
import type { Match } from "../match.ts";
import { negotiationLength } from "./negotiation.ts";

const SOCKS4 = 4;
const SOCKS5 = 5;
/** Address types of SOCKS5 and the bytes of an address and a port: RFC 1928, section 5. */
const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { 1: 6, 4: 18 };
const ADDRESS_NAME = 3;

/** RFC 1928, section 4, and SOCKS4; greeting and request often come in two segments. */
export function socksFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const name = bytes[0] === SOCKS4 ? "SOCKS4" : "SOCKS5";
  if (bytes[0] === SOCKS4) {
    list.decisive(0, 2, "SOCKS4: version, command");
    list.decisive(2, 4, "port");
    list.decisive(4, 8, "address");
    const text = (at: number) => (bytes.indexOf(0, at) + 1) || bytes.length; // up to its NUL
    list.named(8, text(8), "user id");
    if (bytes[4] === 0 && bytes[5] === 0) list.named(text(8), text(text(8)), "name (SOCKS4a)");
    return;
  }
  if (bytes[0] !== SOCKS5) return;
  const type = bytes[3];
  const length = type === ADDRESS_NAME ? 1 + bytes[4] + 2 : ADDRESS_LENGTHS[type];
  if (bytes[2] === 0 && length !== undefined && 4 + length <= bytes.length) {
    list.decisive(0, 3, "SOCKS5: version, command or reply, reserved");
    list.decisive(3, 4, "address type");
    list.decisive(4, 4 + length - 2, "address");
    list.decisive(4 + length - 2, 4 + length, "port");
    return;
  }
  const whole = Math.max(
    negotiationLength(bytes, 0, bytes.length, true),
    negotiationLength(bytes, 0, bytes.length, false),
  );
  list.decisive(0, whole > 0 ? whole : bytes.length, `${name}: negotiation`);
}
