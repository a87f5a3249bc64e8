/**
 * Messages of ctnetlink (linux/netfilter/nfnetlink_conntrack.h): the connections with a mark, and a
 * mark taken from one. Netlink's own fields are in host order, the attributes big-endian.
 */

import { MAPPED } from "../../packet/packet.ts";
import {
  bytesOf,
  netlinkAttribute,
  netlinkAttributes,
  netlinkMessages,
  netlinkRequest,
  NLM_F_ACK,
  NLM_F_DUMP,
} from "../netlink.ts";

const NFGENMSG = 4; // u8 family, u8 version, u16 resource id
const NLA_F_NESTED = 0x8000;

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_NEW = NFNL_SUBSYS_CTNETLINK << 8;
const IPCTNL_MSG_CT_GET = IPCTNL_MSG_CT_NEW | 1;

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
  return netlinkRequest(IPCTNL_MSG_CT_GET, NLM_F_DUMP, nfgenmsg(0), markAttributes(mark, mask));
}

/** Clears the bits of `mask` in the mark of a connection; others' stay. */
export function clearRequest({ family, name }: Connection, mask: number): Uint8Array<ArrayBuffer> {
  const attributes = new Uint8Array([...name, ...markAttributes(0, mask)]);
  return netlinkRequest(IPCTNL_MSG_CT_NEW, NLM_F_ACK, nfgenmsg(family), attributes);
}

function nfgenmsg(family: number): Uint8Array {
  return Uint8Array.of(family, 0, 0, 0);
}

function markAttributes(mark: number, mask: number): Uint8Array {
  return Uint8Array.of(...numberAttribute(CTA_MARK, mark), ...numberAttribute(CTA_MARK_MASK, mask));
}

function numberAttribute(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, false);
  return netlinkAttribute(type, bytes);
}

/** The connections in one datagram of an answer; what cannot be read is left out. */
export function connectionsIn(datagram: Uint8Array): Connection[] {
  const connections: Connection[] = [];
  for (const { type, body } of netlinkMessages(datagram)) {
    if (type !== IPCTNL_MSG_CT_NEW || body.byteLength < NFGENMSG) continue;
    const one = readConnection(body);
    if (one !== null) connections.push(one);
  }
  return connections;
}

function readConnection(body: DataView): Connection | null {
  const family = body.getUint8(0);
  if (family !== AF_INET && family !== AF_INET6) return null;
  let [id, mark, protocol] = [0, 0, 0];
  const ends: End[] = [];
  const name: Uint8Array[] = [];
  for (const { type, value } of netlinkAttributes(body, NFGENMSG)) {
    if (type === CTA_ID && value.byteLength === 4) id = value.getInt32(0);
    else if (type === CTA_MARK && value.byteLength === 4) mark = value.getInt32(0);
    else if (type === CTA_ZONE) name.push(netlinkAttribute(type, bytesOf(value)));
    else if (type === CTA_TUPLE_ORIG || type === CTA_TUPLE_REPLY) {
      const tuple = readTuple(value);
      if (tuple === null) return null;
      if (type === CTA_TUPLE_ORIG) name.push(netlinkAttribute(type | NLA_F_NESTED, bytesOf(value)));
      protocol = tuple.protocol;
      ends.push(tuple.source, tuple.destination);
    }
  }
  if (ends.length !== 4) return null;
  const [a, b, c, d] = ends;
  return { id, protocol, mark, ends: [a, b, c, d], name: joined(name), family };
}

function readTuple(tuple: DataView): { source: End; destination: End; protocol: number } | null {
  let [source, destination]: (Int32Array | null)[] = [null, null];
  let [protocol, sourcePort, destinationPort] = [0, 0, 0];
  for (const part of netlinkAttributes(tuple, 0)) {
    for (const { type, value } of netlinkAttributes(part.value, 0)) {
      if (part.type === CTA_TUPLE_IP) {
        const words = readAddress(value);
        if (type === CTA_IP_V4_SRC || type === CTA_IP_V6_SRC) source = words;
        if (type === CTA_IP_V4_DST || type === CTA_IP_V6_DST) destination = words;
      } else if (part.type === CTA_TUPLE_PROTO) {
        const port = value.byteLength >= 2 ? value.getUint16(0) : 0;
        if (type === CTA_PROTO_NUM && value.byteLength >= 1) protocol = value.getUint8(0);
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

function readAddress(value: DataView): Int32Array | null {
  if (value.byteLength === 4) return Int32Array.of(0, 0, MAPPED, value.getInt32(0));
  if (value.byteLength !== 16) return null;
  return Int32Array.from([0, 4, 8, 12], (at) => value.getInt32(at));
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((bytes) => [...bytes]));
}
