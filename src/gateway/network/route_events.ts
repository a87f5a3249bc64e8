/** Which messages of the routing socket concern us (rtnetlink(7)). */
import { isDefaultLike } from "./routes.ts";

// struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port
const HEADER_LENGTH = 16;
const TYPE = 4;
// struct rtmsg: u8 family, u8 destination prefix length, …
const DESTINATION_BITS = HEADER_LENGTH + 1;

const AF_INET = 2;
const NEW_ROUTE = 24;
const DELETE_ROUTE = 25;

/**
 * Whether a datagram tells of anything but a route that is no default one: a router with a full table
 * hears of those all the time. An empty datagram means that some were lost.
 */
export function needsReading(datagram: Uint8Array): boolean {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  if (view.byteLength < HEADER_LENGTH) return true;
  for (let at = 0; at + HEADER_LENGTH <= view.byteLength;) {
    const length = view.getUint32(at, true);
    const type = view.getUint16(at + TYPE, true);
    const isRoute = type === NEW_ROUTE || type === DELETE_ROUTE;
    if (length < HEADER_LENGTH || at + DESTINATION_BITS >= view.byteLength) return true;
    const isIpv4 = view.getUint8(at + HEADER_LENGTH) === AF_INET;
    if (!isRoute || isDefaultLike(isIpv4, view.getUint8(at + DESTINATION_BITS))) return true;
    at += (length + 3) & ~3; // NLMSG_ALIGN
  }
  return false;
}
