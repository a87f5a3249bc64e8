/**
 * UDP through SOCKS5. Spec: RFC 1928, section 7. Every datagram to and from the relay starts with
 * reserved 2, fragment 1, address type 1, address, port 2. Zeros at the start are common, so the
 * header by itself means nothing: only what the detectors find inside counts.
 */
const RESERVED_LENGTH = 2;
const ADDRESS_TYPE = 3;
const ADDRESS = 4;
const PORT_LENGTH = 2;

const IPV4 = 1;
const DOMAIN_NAME = 3;
const IPV6 = 4;

/** Start of the datagram inside the SOCKS5 header at `start`, or -1 when there is no such header. */
export function innerDatagram(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < ADDRESS + 4 + PORT_LENGTH) return -1;
  // Fragment 0: not fragmented; relays drop fragments, as RFC 1928 allows.
  for (let i = 0; i <= RESERVED_LENGTH; i++) if (bytes[start + i] !== 0) return -1;
  let length = 0;
  switch (bytes[start + ADDRESS_TYPE]) {
    case IPV4:
      length = 4;
      break;
    case IPV6:
      length = 16;
      break;
    case DOMAIN_NAME:
      length = bytes[start + ADDRESS] + 1;
      if (length === 1) return -1;
      break;
    default:
      return -1;
  }
  const inner = start + ADDRESS + length + PORT_LENGTH;
  return inner < end ? inner : -1;
}

/** Where the datagram begins that `fits`: in a SOCKS5 header, or at 0. */
export function datagramStart(bytes: Uint8Array, fits: (at: number) => boolean): number {
  const inner = innerDatagram(bytes, 0, bytes.length);
  return inner >= 0 && fits(inner) ? inner : 0;
}
