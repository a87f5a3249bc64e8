/** Which messages of the routing socket concern us (rtnetlink(7)). */

// struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port
const HEADER_LENGTH = 16;
const TYPE = 4;
// struct rtmsg: u8 family, u8 destination prefix length, …
const DESTINATION_BITS = HEADER_LENGTH + 1;

const NEW_ROUTE = 24;
const DELETE_ROUTE = 25;

/**
 * Whether a datagram tells of anything but a route other than a default one: a router with a full
 * table hears of those all the time. An empty datagram means that some were lost.
 */
export function needsReading(datagram: Uint8Array): boolean {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  if (view.byteLength < HEADER_LENGTH) return true;
  for (let at = 0; at + HEADER_LENGTH <= view.byteLength;) {
    const length = view.getUint32(at, true);
    const type = view.getUint16(at + TYPE, true);
    const isRoute = type === NEW_ROUTE || type === DELETE_ROUTE;
    if (length < HEADER_LENGTH || at + DESTINATION_BITS >= view.byteLength) return true;
    if (!isRoute || view.getUint8(at + DESTINATION_BITS) === 0) return true;
    at += (length + 3) & ~3; // NLMSG_ALIGN
  }
  return false;
}
