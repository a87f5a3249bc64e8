/**
 * What a load balancer says before it passes on somebody's stream: whose it is. Spec: HAProxy's "The
 * PROXY protocol", versions 1 (a line of text) and 2 (a header of bytes). nginx, cloud load balancers and
 * tunnels to servers at home speak it too.
 */
import { ascii, u16be } from "../../packet/bytes.ts";
import { CUT, lineBehind, mayBegin, NONE } from "./reading.ts";

const LINE = ascii("PROXY ");
/** Version 1, section 2.1: its longest line. */
const LONGEST_LINE = 107;
/** Version 2, section 2.2. */
const SIGNATURE = ascii("\r\n\r\n\0\r\nQUIT\n");
const COMMAND = SIGNATURE.length;
const LENGTH = COMMAND + 2;
const HEADER_LENGTH = LENGTH + 2;
/** Of what follows: addresses, and what else is told of a connection over TLS. */
const LONGEST_REST = 2048;
const VERSION2 = 0x20;
/** Commands LOCAL and PROXY. */
const LAST_COMMAND = 0x21;

/** Whether a stream may begin with it, by its first byte. */
export function isProxyHeader(first: number): boolean {
  return first === LINE[0] || first === SIGNATURE[0];
}

/** Position behind the header. */
export function proxyHeader(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] === LINE[0]) {
    const after = lineBehind(bytes, start, end, LINE);
    const length = after === CUT ? end - start : after - start;
    return length > LONGEST_LINE ? NONE : after;
  }
  if (!mayBegin(bytes, start, end, SIGNATURE)) return NONE;
  if (end - start < HEADER_LENGTH) return CUT;
  const command = bytes[start + COMMAND];
  if (command < VERSION2 || command > LAST_COMMAND) return NONE;
  const rest = u16be(bytes, start + LENGTH);
  if (rest > LONGEST_REST) return NONE;
  const after = start + HEADER_LENGTH + rest;
  return after <= end ? after : CUT;
}
