/** Flows that cannot be BitTorrent, through a real router: how many of their packets are judged. */
import assert from "node:assert/strict";
import { askControl } from "../../src/blocker/control.ts";
import { type Host, Network } from "../../src/demo/network.ts";
import type { Status } from "../../src/status/status.ts";
import { FIRST_BYTES, writesOf } from "../engine/first_bytes.ts";
import { labImpossible } from "../lab/lab.ts";
import { Blocker } from "./blocker.ts";

const impossible = labImpossible();
if (impossible !== null) console.log(`tests/e2e: releases: skipped: ${impossible}`);

const FIRST_PORT = 20_000;
const WRITES = 40;

/**
 * One end of a conversation, in a process of its own: writes what is its own, and waits for all that
 * the other writes before it goes on, so that each write is a packet.
 */
const TALK = `
async function talk(connection, me, says) {
  connection.setNoDelay(true);
  for (const [side, text] of says) {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    if (side === me) { await connection.write(bytes); continue; }
    for (let left = bytes.length; left > 0;) {
      const got = await connection.read(new Uint8Array(left));
      if (got === null) throw new Error("the connection ended early");
      left -= got;
    }
  }
}`;
const SERVER = `${TALK}
JSON.parse(Deno.args[0]).forEach(async (says, i) => {
  const listener = Deno.listen({ port: ${FIRST_PORT} + i, hostname: "0.0.0.0" });
  for await (const connection of listener) {
    await talk(connection, 1, says);
    await connection.read(new Uint8Array(1)); // until the other end closes
    connection.close();
  }
});
console.log("listening");`;
const CLIENT = `${TALK}
const [hostname, port, says] = Deno.args;
const connection = await Deno.connect({ hostname, port: Number(port) });
await talk(connection, 0, JSON.parse(says));
connection.close();`;

const deno = (code: string, ...args: string[]) => [
  ...[Deno.execPath(), "run", "-A", "-q", "--ext=js"],
  `data:text/javascript,${encodeURIComponent(code)}`,
  ...args,
];

/** Segments that a host has sent more than once, in all. */
async function sentAgain(host: Host): Promise<number> {
  const lines = (await host.run(["cat", "/proc/net/snmp"])).split("\n");
  const [names, values] = lines.filter((line) => line.startsWith("Tcp:")).map((l) => l.split(" "));
  return Number(values[names.indexOf("RetransSegs")]);
}

Deno.test({
  name: "flows that cannot be BitTorrent are let go within their budget, live",
  ignore: impossible !== null,
  async fn(t) {
    await using network = await Network.create("btrel");
    const user = await network.addHost("user");
    const server = await network.addHost("server");
    const all = FIRST_BYTES.map((kind) => [...writesOf(kind, WRITES)]);
    const talker = server.spawn(deno(SERVER, JSON.stringify(all)));
    await talker.printedMatch(/listening/);
    const { router, directory } = network;
    const blocker = await Blocker.start(router, [], directory, { WHITELIST_PORTS: "" });
    const namespace = await router.run(["readlink", "/proc/self/ns/net"]);
    const inode = Number(/\d+/.exec(namespace)![0]);
    const judged = async () => {
      const answer = await askControl(inode, "status", undefined);
      return (answer!.result as Status).counters.payloadPackets;
    };
    const again = async () => await sentAgain(user) + await sentAgain(server);
    for (const [i, { name, trips }] of FIRST_BYTES.entries()) {
      await t.step(name, async () => {
        const before = [await judged(), await again()];
        await user.run(deno(CLIENT, server.ipv4, `${FIRST_PORT + i}`, JSON.stringify(all[i])));
        const here = await judged() - before[0];
        const most = trips + await again() - before[1];
        assert.ok(here >= trips && here <= most, `${here} packets with payload judged`);
      });
    }
    assert.equal((await blocker.stop()).code, 0);
  },
});
