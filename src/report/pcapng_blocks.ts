/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian. Each block is: type, total
 * length, fixed fields, data, options, total length again.
 */

const SECTION_HEADER_BLOCK = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION_BLOCK = 1;
const ENHANCED_PACKET_BLOCK = 6;

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const VERSION_1_0 = 1; // major 2 bytes, minor 2 bytes
const LENGTH_UNKNOWN = 0xffff_ffff; // one half of the section's length, which is -1

/** Packets that begin with their IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101;

/** Interfaces of a section count from 0. */
const INTERFACE = 0;

const OPTION_END = 0;
const OPTION_COMMENT = 1;
const OPTION_USER_APPLICATION = 4; // of a section
/** An option's length has 16 bits. */
const MAX_OPTION_LENGTH = 0xffff;

/** Type and length before the fields, length behind the options. */
const BLOCK_OVERHEAD = 12;
const FIELDS = 8;
const OPTION_HEADER_LENGTH = 4; // code 2, length 2

/** Where a section's first option, the application's name, has its code and its value. */
const APPLICATION_OPTION = FIELDS + 16;
const APPLICATION_VALUE = APPLICATION_OPTION + OPTION_HEADER_LENGTH;

const TWO_TO_32 = 2 ** 32;
const NO_DATA = new Uint8Array(0);
const encoder = new TextEncoder();

/** The beginning of a section: what follows depends on nothing before it. */
export function sectionHeader(application: string): Uint8Array {
  const fields = [BYTE_ORDER_MAGIC, VERSION_1_0, LENGTH_UNKNOWN, LENGTH_UNKNOWN];
  return block(SECTION_HEADER_BLOCK, fields, NO_DATA, [[OPTION_USER_APPLICATION, application]]);
}

/** Whether the bytes begin as {@link sectionHeader} does for an application of that name. */
export function isSectionOf(application: string, bytes: Uint8Array): boolean {
  const name = encoder.encode(application);
  if (bytes.length < APPLICATION_VALUE + name.length) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(0, true) === SECTION_HEADER_BLOCK &&
    view.getUint32(FIELDS, true) === BYTE_ORDER_MAGIC &&
    view.getUint16(APPLICATION_OPTION, true) === OPTION_USER_APPLICATION &&
    name.every((byte, index) => bytes[APPLICATION_VALUE + index] === byte);
}

/** The section's one interface: raw IP packets, times in microseconds (pcapng's own unit). */
export function interfaceDescription(snapLength: number): Uint8Array {
  return block(INTERFACE_DESCRIPTION_BLOCK, [LINKTYPE_RAW, snapLength], NO_DATA, []);
}

export interface PcapngPacket {
  /** Unix time in milliseconds. */
  readonly timeMs: number;
  /** The captured bytes. */
  readonly bytes: Uint8Array;
  /** Of the whole packet. */
  readonly length: number;
  /** Shown beside the packet; cut at 65,535 bytes. */
  readonly comment: string;
}

/** An enhanced packet block, of the section's interface. */
export function packetBlock(packet: PcapngPacket): Uint8Array {
  const micros = Math.max(0, Math.round(packet.timeMs * 1000));
  const fields = [
    INTERFACE,
    Math.floor(micros / TWO_TO_32),
    micros % TWO_TO_32,
    packet.bytes.length,
    packet.length,
  ];
  const options: BlockOption[] = packet.comment === "" ? [] : [[OPTION_COMMENT, packet.comment]];
  return block(ENHANCED_PACKET_BLOCK, fields, packet.bytes, options);
}

type BlockOption = readonly [code: number, value: string];

function block(
  type: number,
  fields: readonly number[],
  data: Uint8Array,
  options: readonly BlockOption[],
): Uint8Array {
  const values = options.map(([code, text]) => [code, encodeText(text)] as const);
  const optionsLength = values.length === 0 ? 0 : values.reduce(
    (sum, [, value]) => sum + OPTION_HEADER_LENGTH + padded(value.length),
    OPTION_HEADER_LENGTH, // the end
  );
  const fieldsLength = fields.length * 4;
  const length = BLOCK_OVERHEAD + fieldsLength + padded(data.length) + optionsLength;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  fields.forEach((field, index) => view.setUint32(FIELDS + index * 4, field, true));
  let at = FIELDS + fieldsLength;
  bytes.set(data, at);
  at += padded(data.length);
  for (const [code, value] of values) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + OPTION_HEADER_LENGTH);
    at += OPTION_HEADER_LENGTH + padded(value.length);
  }
  if (values.length > 0) view.setUint32(at, OPTION_END, true);
  view.setUint32(length - 4, length, true);
  return bytes;
}

/** Cut before a character that does not fit. */
function encodeText(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  let end = Math.min(bytes.length, MAX_OPTION_LENGTH);
  while (end < bytes.length && (bytes[end] & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** Data and options end on a multiple of four bytes. */
function padded(length: number): number {
  return (length + 3) & ~3;
}
