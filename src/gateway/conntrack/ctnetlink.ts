/**
 * Messages of ctnetlink (linux/netfilter/nfnetlink_conntrack.h): the connections with a mark, and a
 * mark taken from one. Netlink's own fields are in host order, the attributes big-endian.
 */

import { i32be } from "../../packet/bytes.ts";

const NLMSG_HEADER = 16; // u32 length, u16 type, u16 flags, u32 sequence, u32 port
const NFGENMSG = 4; // u8 family, u8 version, u16 resource id
const ATTRIBUTE_HEADER = 4; // u16 length (with this header), u16 type
const ATTRIBUTE_TYPE = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
const NLA_F_NESTED = 0x8000;

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_NEW = NFNL_SUBSYS_CTNETLINK << 8;
const IPCTNL_MSG_CT_GET = IPCTNL_MSG_CT_NEW | 1;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_DUMP = 0x300;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_MARK = 8;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;

const AF_INET6 = 10;
const AF_INET = 2;
const MAPPED = 0x0000_ffff; // third word of ::ffff:a.b.c.d

/** One end of a connection in one direction; the address as everywhere, IPv4 mapped. */
export interface End {
  readonly words: Int32Array;
  readonly port: number;
}

/** A connection that conntrack remembers. */
export interface Connection {
  /** The kernel's number of it. */
  readonly id: number;
  readonly protocol: number;
  readonly mark: number;
  /** Source and destination as first seen, then of the answers: address translation shows here. */
  readonly ends: readonly [End, End, End, End];
  /** Attributes that name it to the kernel, as they came: CTA_TUPLE_ORIG and CTA_ZONE. */
  readonly name: Uint8Array<ArrayBuffer>;
  readonly family: number;
}

/** Asks for all connections whose mark is `mark` under `mask`. */
export function dumpRequest(mark: number, mask: number): Uint8Array<ArrayBuffer> {
  const flags = NLM_F_REQUEST | NLM_F_DUMP;
  return message(IPCTNL_MSG_CT_GET, flags, 0, markAttributes(mark, mask));
}

/** Clears the bits of `mask` in the mark of a connection; others' stay. */
export function clearRequest({ family, name }: Connection, mask: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array([...name, ...markAttributes(0, mask)]);
  return message(IPCTNL_MSG_CT_NEW, NLM_F_REQUEST | NLM_F_ACK, family, body);
}

function markAttributes(mark: number, mask: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * (ATTRIBUTE_HEADER + 4));
  const view = new DataView(bytes.buffer);
  for (const [at, type, value] of [[0, CTA_MARK, mark], [8, CTA_MARK_MASK, mask]]) {
    view.setUint16(at, ATTRIBUTE_HEADER + 4, true);
    view.setUint16(at + 2, type, true);
    view.setInt32(at + ATTRIBUTE_HEADER, value, false);
  }
  return bytes;
}

function message(
  type: number,
  flags: number,
  family: number,
  attributes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(NLMSG_HEADER + NFGENMSG + attributes.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  bytes[NLMSG_HEADER] = family;
  bytes.set(attributes, NLMSG_HEADER + NFGENMSG);
  return bytes;
}

/** The connections in one datagram of an answer; what cannot be read is left out. */
export function connectionsIn(datagram: Uint8Array): Connection[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const connections: Connection[] = [];
  for (let at = 0; at + NLMSG_HEADER + NFGENMSG <= datagram.length;) {
    const end = at + view.getUint32(at, true);
    if (end < at + NLMSG_HEADER || end > datagram.length) break;
    if (view.getUint16(at + 4, true) === IPCTNL_MSG_CT_NEW && end >= at + NLMSG_HEADER + NFGENMSG) {
      const family = datagram[at + NLMSG_HEADER];
      const one = readConnection(datagram, at + NLMSG_HEADER + NFGENMSG, end, family);
      if (one !== null) connections.push(one);
    }
    at = end + (-end & 3);
  }
  return connections;
}

function readConnection(
  bytes: Uint8Array,
  start: number,
  end: number,
  family: number,
): Connection | null {
  if (family !== AF_INET && family !== AF_INET6) return null;
  let [id, mark, protocol] = [0, 0, 0];
  const ends: End[] = [];
  const name: number[] = [];
  for (const { type, raw, at, length } of attributes(bytes, start, end)) {
    if (type === CTA_ID && length === 4) id = i32be(bytes, at);
    else if (type === CTA_MARK && length === 4) mark = i32be(bytes, at);
    else if (type === CTA_ZONE) name.push(...raw);
    else if (type === CTA_TUPLE_ORIG || type === CTA_TUPLE_REPLY) {
      const tuple = readTuple(bytes, at, at + length);
      if (tuple === null) return null;
      if (type === CTA_TUPLE_ORIG) name.push(...raw);
      protocol = tuple.protocol;
      ends.push(tuple.source, tuple.destination);
    }
  }
  if (ends.length !== 4) return null;
  const [a, b, c, d] = ends;
  return { id, protocol, mark, ends: [a, b, c, d], name: new Uint8Array(name), family };
}

function readTuple(
  bytes: Uint8Array,
  start: number,
  end: number,
): { source: End; destination: End; protocol: number } | null {
  let [source, destination]: (Int32Array | null)[] = [null, null];
  let [protocol, sourcePort, destinationPort] = [0, 0, 0];
  for (const part of attributes(bytes, start, end)) {
    for (const { type, at, length } of attributes(bytes, part.at, part.at + part.length)) {
      if (part.type === CTA_TUPLE_IP) {
        const words = readAddress(bytes, at, length);
        if (type === CTA_IP_V4_SRC || type === CTA_IP_V6_SRC) source = words;
        if (type === CTA_IP_V4_DST || type === CTA_IP_V6_DST) destination = words;
      } else if (part.type === CTA_TUPLE_PROTO) {
        const port = length >= 2 ? (bytes[at] << 8) | bytes[at + 1] : 0;
        if (type === CTA_PROTO_NUM && length >= 1) protocol = bytes[at];
        if (type === CTA_PROTO_SRC_PORT) sourcePort = port;
        if (type === CTA_PROTO_DST_PORT) destinationPort = port;
      }
    }
  }
  if (source === null || destination === null) return null;
  return {
    source: { words: source, port: sourcePort },
    destination: { words: destination, port: destinationPort },
    protocol,
  };
}

function readAddress(bytes: Uint8Array, at: number, length: number): Int32Array | null {
  if (length === 4) return Int32Array.of(0, 0, MAPPED, i32be(bytes, at));
  if (length !== 16) return null;
  return Int32Array.from([0, 4, 8, 12], (word) => i32be(bytes, at + word));
}

interface Attribute {
  readonly type: number;
  /** With its header and padding. */
  readonly raw: Uint8Array;
  /** The value. */
  readonly at: number;
  readonly length: number;
}

function* attributes(bytes: Uint8Array, start: number, end: number): Generator<Attribute> {
  for (let at = start; at + ATTRIBUTE_HEADER <= end;) {
    const length = bytes[at] | (bytes[at + 1] << 8);
    if (length < ATTRIBUTE_HEADER || at + length > end) return;
    const next = at + length + (-length & 3);
    yield {
      type: (bytes[at + 2] | (bytes[at + 3] << 8)) & ATTRIBUTE_TYPE & ~NLA_F_NESTED,
      raw: bytes.subarray(at, Math.min(next, end)),
      at: at + ATTRIBUTE_HEADER,
      length: length - ATTRIBUTE_HEADER,
    };
    at = next;
  }
}
