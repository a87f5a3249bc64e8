/** What was dropped is not dropped for ever: a flow's mark ends with the ban, with every way to end it. */

import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import { labImpossible } from "../lab/lab.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

const impossible = labImpossible();
if (impossible !== null) console.log(`tests/e2e: skipped: ${impossible}`);
const ignore = impossible !== null;

/** A DHT query for a torrent's peers (BEP 5, get_peers). */
const QUERY = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e" +
  "1:q9:get_peers1:t2:aa1:y1:qe";
const PORT = 6881;

class Bed implements AsyncDisposable {
  private constructor(readonly network: Network) {}

  static async create(): Promise<Bed> {
    const network = await Network.create("btmk");
    await network.addHost("client");
    await network.addHost("server");
    return new Bed(network);
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

Deno.test({
  name: "bans remove: the flow passes again, and not before",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const blocker = await bed.start({ BAN_TARGET: "none" });
    await bed.torrent(blocker);
    const printed = await blocker.command("bans", "remove", bed.client.ipv4);
    assert.match(printed, /was not banned; 1 flow judged anew/);
    assert(await bed.arrives("hello again"), blocker.log);
    assert.equal(await bed.arrives(QUERY), false); // and it is judged
  },
});

Deno.test({
  name: "a ban that ends takes the flow's mark with it",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const blocker = await bed.start({ BAN_DURATION: "3" });
    await bed.torrent(blocker);
    await until(() => bed.arrives("hello again"), () => blocker.log);
  },
});

Deno.test({
  name: "a reload with the port whitelisted, and a restart, forget what no ban holds",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const first = await bed.start({ BAN_TARGET: "none" });
    await bed.torrent(first);
    const config = first.program.command[first.program.command.indexOf("--config") + 1];
    await Deno.writeTextFile(config, `whitelist_ports = [${PORT}]\n`);
    first.program.kill("SIGHUP");
    await first.program.printedMatch(/Reloaded: /);
    assert(await bed.arrives("hello again"), first.log);
    assert(await bed.arrives(QUERY), "a whitelisted service");
    await Deno.writeTextFile(config, "");
    first.program.kill("SIGHUP");
    await until(() => (first.log.match(/Reloaded: /g) ?? []).length === 2);
    assert.equal(await bed.arrives(QUERY), false);
    await first.stop();
    const second = await bed.start({ BAN_TARGET: "none" });
    assert(await bed.arrives("hello once more"), second.log);
  },
});
