/** Two hosts behind a router, and one UDP flow between them that may become BitTorrent. */

import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

/** A DHT query for a torrent's peers (BEP 5, get_peers). */
export const QUERY = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e" +
  "1:q9:get_peers1:t2:aa1:y1:qe";
export const PORT = 6881;

export class FlowBed implements AsyncDisposable {
  private constructor(readonly network: Network) {}

  static async create(): Promise<FlowBed> {
    const network = await Network.create("btmk");
    await network.addHost("client");
    await network.addHost("server");
    return new FlowBed(network);
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

  /** Datagrams of the 5-tuple that arrive. */
  async arrives(payload: string): Promise<boolean> {
    const file = `${this.network.directory}/${crypto.randomUUID()}`;
    const listen = `timeout 3 nc -u -l -w 3 ${PORT} > ${file}; true`;
    const listener = this.server.spawn(["sh", "-c", listen]);
    const hex = PORT.toString(16).toUpperCase();
    await until(async () => (await this.server.run(["cat", "/proc/net/udp"])).includes(`:${hex} `));
    await this.client.run([
      ...[
        "sh",
        "-c",
        `printf %s '${payload}' | nc -u -w 1 -p 3333 ${this.server.ipv4} ${PORT}; true`,
      ],
    ]);
    await listener.stop("SIGTERM");
    return (await Deno.readTextFile(file)) === payload;
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
