/** Which messages of the routing socket concern us (rtnetlink(7)). */
import { CUT, netlinkMessages } from "../netlink.ts";
import { isDefaultLike } from "./routes.ts";

const AF_INET = 2;
const NEW_ROUTE = 24;
const DELETE_ROUTE = 25;

/**
 * Whether a datagram tells of anything but a route that is no default one: a router with a full table
 * hears of those all the time. An empty datagram means that some were lost.
 */
export function needsReading(datagram: Uint8Array): boolean {
  let isEmpty = true;
  for (const { type, body } of netlinkMessages(datagram)) {
    isEmpty = false;
    // struct rtmsg: u8 family, u8 destination prefix length, …
    if (type === CUT || body.byteLength < 2) return true;
    if (type !== NEW_ROUTE && type !== DELETE_ROUTE) return true;
    if (isDefaultLike(body.getUint8(0) === AF_INET, body.getUint8(1))) return true;
  }
  return isEmpty;
}
