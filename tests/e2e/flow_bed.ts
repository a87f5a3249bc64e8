/** Two hosts behind a router, and one UDP flow between them that may become BitTorrent. */

import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

/** A DHT query for a torrent's peers (BEP 5, get_peers). */
export const QUERY = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e" +
  "1:q9:get_peers1:t2:aa1:y1:qe";
export const PORT = 6881;

/** For a datagram that must not arrive: many times what one takes that does. */
const SILENCE_MS = 1_000;

export class FlowBed implements AsyncDisposable {
  private constructor(readonly network: Network, private readonly heard: string) {}

  static async create(): Promise<FlowBed> {
    const network = await Network.create("btmk");
    try {
      await network.addHost("client");
      const server = await network.addHost("server");
      const heard = `${network.directory}/heard`;
      server.spawn(["sh", "-c", `exec nc -u -lk ${PORT} > ${heard}`]);
      const hex = PORT.toString(16).toUpperCase();
      await until(async () => (await server.run(["cat", "/proc/net/udp"])).includes(`:${hex} `));
      return new FlowBed(network, heard);
    } catch (error) {
      await network.dispose();
      throw error;
    }
  }

  get client() {
    return this.network.hosts[0];
  }

  get server() {
    return this.network.hosts[1];
  }

  async start(settings: Record<string, string> = {}): Promise<Blocker> {
    const { network } = this;
    const interfaces = network.hosts.map((host) => host.routerInterface);
    return await Blocker.start(network.router, interfaces, network.directory, settings);
  }

  /** Sends a datagram of the 5-tuple; whether it arrives. */
  async arrives(payload: string): Promise<boolean> {
    const times = async () => (await Deno.readTextFile(this.heard)).split(payload).length;
    const before = await times();
    const send = `printf %s '${payload}' | nc -u -q 0 -p 3333 ${this.server.ipv4} ${PORT}`;
    await this.client.run(["sh", "-c", send]);
    const deadline = performance.now() + SILENCE_MS;
    while (await times() === before) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return true;
  }

  /** Gets the 5-tuple marked as BitTorrent; a first datagram makes the connection. */
  async torrent(blocker: Blocker): Promise<void> {
    await this.arrives("hello");
    await this.arrives(QUERY);
    await until(async () => (await blocker.detections()).length > 0, () => blocker.log);
    assert.equal(await this.arrives("hello"), false, "it passes");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network.dispose();
  }
}
