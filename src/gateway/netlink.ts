/**
 * Messages of netlink (netlink(7)) and their attributes: built, and walked within a datagram of the
 * kernel. What reads one message a packet (queue_message.ts) or a ban (route_answer.ts) walks by
 * itself, without an object for each.
 */

/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port; host order. */
const HEADER = 16;
/** struct nlattr: u16 length with this header, u16 type. */
const ATTRIBUTE_HEADER = 4;
const ATTRIBUTE_TYPE = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;

/** A type that no message has: the rest of the datagram cannot be read. */
export const CUT = -1;

export interface NetlinkMessage {
  readonly type: number;
  /** Behind the header, empty for {@link CUT}. */
  readonly body: DataView;
}

/**
 * The messages of a datagram, in order. A length that cannot be ends them with one of type
 * {@link CUT}; fewer bytes than a header are padding.
 */
export function* netlinkMessages(datagram: Uint8Array): Generator<NetlinkMessage> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  for (let at = 0; at + HEADER <= view.byteLength;) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > view.byteLength) {
      yield { type: CUT, body: part(view, at, 0) };
      return;
    }
    yield { type: view.getUint16(at + 4, true), body: part(view, at + HEADER, length - HEADER) };
    at = aligned(at + length);
  }
}

export interface NetlinkAttribute {
  /** Without the flags for nesting and byte order. */
  readonly type: number;
  readonly value: DataView;
}

/** The attributes from `start` on; the first that does not fit ends them. */
export function* netlinkAttributes(body: DataView, start: number): Generator<NetlinkAttribute> {
  for (let at = start; at + ATTRIBUTE_HEADER <= body.byteLength;) {
    const length = body.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER || at + length > body.byteLength) return;
    yield {
      type: body.getUint16(at + 2, true) & ATTRIBUTE_TYPE,
      value: part(body, at + ATTRIBUTE_HEADER, length - ATTRIBUTE_HEADER),
    };
    at = aligned(at + length);
  }
}

/** A message to the kernel: `header` is what its family begins with, the attributes follow. */
export function netlinkRequest(
  type: number,
  flags: number,
  header: Uint8Array,
  attributes: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + header.length + attributes.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_REQUEST | flags, true);
  bytes.set(header, HEADER);
  bytes.set(attributes, HEADER + header.length);
  return bytes;
}

/** An attribute with its padding. */
export function netlinkAttribute(type: number, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(aligned(ATTRIBUTE_HEADER + value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ATTRIBUTE_HEADER + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, ATTRIBUTE_HEADER);
  return bytes;
}

/** A view of `length` bytes of another, from `at` on. */
export function part(view: DataView, at: number, length: number): DataView {
  return new DataView(view.buffer, view.byteOffset + at, length);
}

/** The bytes that a view shows, not copied. */
export function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Messages, attributes and next hops are padded to four bytes. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}
