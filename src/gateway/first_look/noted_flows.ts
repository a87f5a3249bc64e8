/**
 * The kernel's notes of flows (`struct noted_flow` of bpf/layout.h), read and ended when a flow comes to
 * user space. Numbers are in host order, addresses and ports of the key in network order.
 */
import {
  addElement,
  canTakeElements,
  deleteElement,
  lookupElement,
  takeElement,
} from "../../../ffi/bpf.ts";
import type { EarlierNotes, FlowNotes } from "../../engine/earlier_notes.ts";
import { type Packet, PROTOCOL_TCP, UNKNOWN_INTERFACE } from "../../packet/packet.ts";

const FLOW_KEY_LENGTH = 40;
const NOTED_FLOW_LENGTH = 56;

// struct flow_key
const ADDRESSES = 0;
const PORTS = 32;
const PROTOCOL = 36;
// struct noted_flow, by side
const BEGIN = 0;
const LENGTH = 8;
const HANDSHAKE = 16;
const IFINDEX = 24;
const KNOWN = 40;
const OPENING = 42;
const ACKNOWLEDGED = 44;
const INITIATOR = 46;
const GIVEN = 47;
const SETTLED = 48;
const DATAGRAMS = 49;
const ASKED = 51;

/**
 * Writes the key of a packet's flow: the lower address first, and of two alike the lower port.
 *
 * @returns the side of the packet's source, 0 or 1
 */
function encodeFlowKey(key: DataView, packet: Packet): 0 | 1 {
  const { address, sourcePort, destinationPort } = packet;
  const source = isLower(address, sourcePort, destinationPort) ? 0 : 1;
  for (let word = 0; word < 4; word++) {
    key.setInt32(ADDRESSES + source * 16 + word * 4, address[word]);
    key.setInt32(ADDRESSES + (1 - source) * 16 + word * 4, address[4 + word]);
  }
  key.setUint16(PORTS + source * 2, sourcePort);
  key.setUint16(PORTS + (1 - source) * 2, destinationPort);
  key.setUint32(PROTOCOL, packet.protocol << 24);
  return source;
}

function isLower(address: Int32Array, sourcePort: number, destinationPort: number): boolean {
  for (let word = 0; word < 4; word++) {
    const a = address[word] >>> 0;
    const b = address[4 + word] >>> 0;
    if (a !== b) return a < b;
  }
  return sourcePort <= destinationPort;
}

/** Fills `notes` from a value, as seen by the packet of `side`. False where nothing is in it. */
function decodeNotedFlow(value: DataView, side: 0 | 1, notes: FlowNotes): boolean {
  const initiator = value.getUint8(INITIATOR) & 1;
  notes.isFromInitiator = initiator === side;
  let isNoted = false;
  for (const direction of [0, 1] as const) {
    const at = direction === 0 ? initiator : 1 - initiator;
    const isKnown = value.getUint8(KNOWN + at) !== 0;
    const hasOpened = value.getUint8(OPENING + at) !== 0 || value.getUint8(DATAGRAMS + at) !== 0;
    isNoted ||= isKnown || hasOpened;
    notes.isKnown[direction] = isKnown;
    notes.begin[direction] = value.getInt32(BEGIN + at * 4, true);
    notes.length[direction] = hasOpened ? value.getUint32(LENGTH + at * 4, true) : 0;
    notes.packets[direction] = value.getUint8(DATAGRAMS + at);
    notes.handshake[direction] = value.getInt32(HANDSHAKE + at * 4, true);
    notes.hasAcknowledged[direction] = value.getUint8(ACKNOWLEDGED + at) !== 0;
    notes.inputInterface[direction] = isKnown || hasOpened
      ? value.getUint32(IFINDEX + at * 4, true)
      : UNKNOWN_INTERFACE;
  }
  return isNoted;
}

export class NotedFlows implements EarlierNotes {
  readonly #map: number;
  readonly #key = new Uint8Array(FLOW_KEY_LENGTH);
  readonly #keyView = new DataView(this.#key.buffer);
  readonly #value = new Uint8Array(NOTED_FLOW_LENGTH);
  readonly #valueView = new DataView(this.#value.buffer);
  readonly #notes: FlowNotes = {
    isFromInitiator: true,
    isKnown: [false, false],
    begin: [0, 0],
    length: [0, 0],
    packets: [0, 0],
    handshake: [0, 0],
    hasAcknowledged: [false, false],
    inputInterface: [UNKNOWN_INTERFACE, UNKNOWN_INTERFACE],
  };

  /** One call of the kernel instead of two, each of which costs as much as judging. */
  readonly #takesAtOnce: boolean;

  /**
   * @param map descriptor of `noted_flows`, good in every thread of the process
   * @param takesAtOnce whether this kernel reads and deletes with one call; for tests
   */
  constructor(map: number, takesAtOnce?: boolean) {
    this.#map = map;
    // No flow is between two addresses of zeros, by no protocol.
    this.#takesAtOnce = takesAtOnce ?? canTakeElements(map, this.#key, this.#value);
  }

  take(packet: Packet): FlowNotes | null {
    const side = encodeFlowKey(this.#keyView, packet);
    // Of TCP a later SYN may begin a flow that the kernel looks at; a datagram begins nothing.
    const isTcp = packet.protocol === PROTOCOL_TCP;
    if (!(isTcp ? this.#takeOut() : this.#read())) return null;
    const value = this.#valueView;
    if (value.getUint8(SETTLED) !== 0) {
      // It was settled while this packet waited: what comes behind it may pass.
      if (isTcp) addElement(this.#map, this.#key, this.#value);
      return null;
    }
    if (value.getUint8(ASKED) !== 0) return null; // not the answer that was waited for
    return decodeNotedFlow(value, side, this.#notes) ? this.#notes : null;
  }

  #read(): boolean {
    return lookupElement(this.#map, this.#key, this.#value) >= 0;
  }

  #takeOut(): boolean {
    if (this.#takesAtOnce) return takeElement(this.#map, this.#key, this.#value) >= 0;
    if (!this.#read()) return false;
    deleteElement(this.#map, this.#key);
    return true;
  }

  awaitAnswer(requestLength: number): void {
    const value = this.#valueView;
    if (value.getUint8(KNOWN) === 0 || value.getUint8(KNOWN + 1) === 0) return;
    value.setUint32(LENGTH + 4 * value.getUint8(INITIATOR), requestLength, true);
    value.setUint8(GIVEN, 0);
    value.setUint8(ASKED, 1);
    // Where the kernel has begun a new connection meanwhile, that is what stands there.
    addElement(this.#map, this.#key, this.#value);
  }
}
