/** The target that a client's negotiation with a proxy names: an address, or a name. */
import { i32be, u16be } from "../../packet/bytes.ts";
import { parseAddress } from "../../packet/address.ts";
import { MAPPED } from "../../packet/packet.ts";
import { decimalAt, HttpHead, WHOLE_HEAD } from "../http.ts";
import {
  ADDRESS_IPV4,
  ADDRESS_IPV6,
  ADDRESS_NAME,
  isSocks4a,
  socks5RequestAt,
  VERSION4,
  VERSION5,
  VLESS_VERSION,
  vlessPort,
} from "./negotiation.ts";
import { isProxyHeader } from "./proxy_protocol.ts";
import { isSam, samDestination } from "./sam.ts";

/** VLESS numbers its addresses otherwise: 2 is a name, 3 is IPv6. */
const VLESS_TYPES = [0, ADDRESS_IPV4, ADDRESS_NAME, ADDRESS_IPV6];
const COLON = 0x3a;
const BRACKET = 0x5b;
/** A name stands as a multicast address that nobody can be called at, its hash behind the first byte. */
const NAME = 0xff << 24;
const LONGEST_ADDRESS = 45;
/** Of destinations that have no ports, as I2P's. */
const NO_PORT = 0xffff;
/** In the place of a port: what follows is another's than the sender's, a load balancer say. */
export const ANOTHERS = -1;

const head = new HttpHead();

/**
 * Reads the target of a client's whole negotiation `[start, end)`, as `negotiationLength` has measured
 * it, into the four words from `at`, as in `Packet.address`; of a name its hash, whatever its letters'
 * case. Returns the port, 0 where it is written otherwise, and {@link ANOTHERS}; then there is no address.
 */
export function readTarget(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Int32Array,
  at: number,
): number {
  switch (bytes[start]) {
    case VERSION5: {
      const type = socks5RequestAt(bytes, start) + 3;
      readAddress(bytes[type], bytes, type + 1, into, at);
      return u16be(bytes, end - 2);
    }
    case VERSION4:
      if (isSocks4a(bytes, start)) {
        readText(bytes, bytes.indexOf(0, start + 8) + 1, end - 1, into, at);
      } else readAddress(ADDRESS_IPV4, bytes, start + 4, into, at);
      return u16be(bytes, start + 2);
    case VLESS_VERSION: {
      const port = vlessPort(bytes, start);
      readAddress(VLESS_TYPES[bytes[port + 2]], bytes, port + 3, into, at);
      return u16be(bytes, port);
    }
    default:
      if (isProxyHeader(bytes[start])) return ANOTHERS;
      if (!isSam(bytes, start, end)) return readAuthority(bytes, start, end, into, at);
      readText(bytes, samDestination(bytes, start, end), end, into, at);
      return NO_PORT;
  }
}

/** `host:port` of a CONNECT request. */
function readAuthority(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Int32Array,
  at: number,
): number {
  if (head.request(bytes, start, end) !== WHOLE_HEAD) return 0;
  const { targetStart, targetEnd } = head;
  const colon = bytes.lastIndexOf(COLON, targetEnd - 1);
  if (bytes[targetStart] === BRACKET) readText(bytes, targetStart + 1, colon - 1, into, at);
  else readText(bytes, targetStart, colon, into, at);
  return decimalAt(bytes, colon + 1, targetEnd) & 0xffff;
}

/** An address behind its type, as SOCKS5 numbers them. */
function readAddress(
  type: number,
  bytes: Uint8Array,
  from: number,
  into: Int32Array,
  at: number,
): void {
  if (type === ADDRESS_NAME) {
    readText(bytes, from + 1, from + 1 + bytes[from], into, at);
  } else if (type === ADDRESS_IPV6) {
    for (let word = 0; word < 4; word++) into[at + word] = i32be(bytes, from + word * 4);
  } else {
    into[at] = into[at + 1] = 0;
    into[at + 2] = MAPPED;
    into[at + 3] = i32be(bytes, from);
  }
}

/** A name, or an address in letters. */
function readText(
  bytes: Uint8Array,
  from: number,
  end: number,
  into: Int32Array,
  at: number,
): void {
  const address = end - from <= LONGEST_ADDRESS
    ? parseAddress(String.fromCharCode(...bytes.subarray(from, end)))
    : null;
  if (address !== null) {
    into.set(address, at);
    return;
  }
  for (let word = 0; word < 4; word++) {
    let hash = 0x811c_9dc5 ^ word;
    for (let i = from; i < end; i++) {
      const byte = bytes[i];
      hash = Math.imul(hash ^ (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte), 0x0100_0193);
      hash ^= hash >>> 15;
    }
    into[at + word] = hash;
  }
  into[at] = NAME | (into[at] & 0x00ff_ffff);
}
