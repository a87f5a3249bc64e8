/**
 * The white list of ports: services that are called and never touched. A flow's first packet says which
 * end is called, so what a client on 443 calls itself is no service by that.
 *
 * | first packet seen        | the service is                                                        |
 * | ------------------------ | --------------------------------------------------------------------- |
 * | SYN                      | where it goes                                                         |
 * | SYN-ACK                  | where it comes from                                                   |
 * | another segment of TCP   | either end, as nobody can tell: the connection is older than this one |
 * | datagram                 | where it goes                                                         |
 * | anything in a UDP tunnel | of the tunnel either end, then as above                               |
 *
 * Of datagrams joined in the middle the answer may be seen first; then the flow is judged like any
 * other, which does nothing to what is no BitTorrent.
 */
import { ACK, type Packet, PROTOCOL_TCP, SYN } from "../packet/packet.ts";
import { PortSet } from "../packet/port_set.ts";
import { EMBRYONIC, MID_STREAM } from "./flow_record.ts";
import { type FlowTable, tickOf } from "./flow_table.ts";

export class WhitelistedServices {
  readonly #ports = new PortSet();
  readonly #table: FlowTable;
  readonly #release: (slot: number) => void;

  /** @param release frees what a flow holds outside the table */
  constructor(table: FlowTable, release: (slot: number) => void) {
    this.#table = table;
    this.#release = release;
  }

  set(ports: readonly number[]): void {
    this.#ports.set(ports);
  }

  /** Whether the packet belongs to a flow that calls one of the services. */
  isCalled(packet: Packet): boolean {
    const ports = this.#ports;
    if (ports.isEmpty) return false;
    if (
      packet.tunnelled &&
      (ports.has(packet.carrierSourcePort) || ports.has(packet.carrierDestinationPort))
    ) return true;
    if (!ports.has(packet.sourcePort) && !ports.has(packet.destinationPort)) return false;
    return packet.protocol === PROTOCOL_TCP ? this.#isTcpCalled(packet) : this.#isUdpCalled(packet);
  }

  #isTcpCalled(packet: Packet): boolean {
    const { flow } = this.#table;
    const slot = this.#table.find(packet);
    if ((packet.flags & SYN) === 0) {
      return slot < 0 || flow.has(MID_STREAM) || this.#ports.has(this.#calledPort(packet));
    }
    const isAnswer = (packet.flags & ACK) !== 0;
    const called = isAnswer ? packet.sourcePort : packet.destinationPort;
    if (!this.#ports.has(called)) return false;
    if (slot >= 0 && !isAnswer) {
      // What is known of the 5-tuple is an older connection's, which may have called the other end.
      this.#release(slot);
      this.#table.restart(slot, tickOf(packet.timeMs), EMBRYONIC);
    }
    return true;
  }

  #isUdpCalled(packet: Packet): boolean {
    const table = this.#table;
    const tick = tickOf(packet.timeMs);
    const slot = table.find(packet);
    const { flow } = table;
    const isNew = slot < 0 || flow.isUncalled || table.isSilent(tick);
    const called = isNew ? packet.destinationPort : this.#calledPort(packet);
    if (!this.#ports.has(called)) return false;
    if (slot < 0) {
      table.insert(packet, tick, EMBRYONIC, this.#release);
    } else if (isNew) {
      this.#release(slot);
      table.restart(slot, tick, EMBRYONIC);
    } else {
      flow.lastTick = tick;
    }
    return true;
  }

  /** Port of the end that did not begin the flow last looked up. */
  #calledPort(packet: Packet): number {
    return this.#table.direction === 0 ? packet.destinationPort : packet.sourcePort;
  }
}
