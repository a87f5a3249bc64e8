/** The kernel's first look in a router: what it settles, what it hands over, and where there is none. */
import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import type { Host } from "../../src/demo/network.ts";
import type { Status } from "../../src/status/status.ts";
import { labImpossible } from "../lab/lab.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

const impossible = labImpossible();
if (impossible !== null) console.log(`tests/e2e: the first look: skipped: ${impossible}`);

const PORT = 4_433; // not whitelisted
const CONNECTIONS = 40;

/** Answers each connection with what `answers` has for its first bytes, and closes after a line. */
const SERVER = `
const [port, answers] = [Number(Deno.args[0]), JSON.parse(Deno.args[1])];
const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (one) => parseInt(one, 16));
console.log("listening");
for await (const connection of Deno.listen({ port, hostname: "0.0.0.0" })) {
  (async () => {
    const bytes = new Uint8Array(4096);
    const length = await connection.read(bytes) ?? 0;
    const start = Array.from(bytes.subarray(0, Math.min(4, length)), (one) => one.toString(16).padStart(2, "0")).join("");
    const answer = answers[start];
    if (answer !== undefined) await connection.write(hex(answer));
    await connection.read(bytes);
    connection.close();
  })().catch(() => {});
}`;

/** Opens connections one after the other; prints how many bytes each was answered. */
const CLIENT = `
const [hostname, port, opening, count] = Deno.args;
const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (one) => parseInt(one, 16));
const answered = [];
for (let i = 0; i < Number(count); i++) {
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(hex(opening));
  const bytes = new Uint8Array(4096);
  const deadline = setTimeout(() => { try { connection.close(); } catch {} }, 1500);
  try { answered.push(await connection.read(bytes) ?? 0); } catch { answered.push(-1); }
  clearTimeout(deadline);
  try { connection.close(); } catch {}
}
console.log(JSON.stringify(answered));`;

// RFC 8446: a record with the beginning of a ClientHello, and of a ServerHello
const CLIENT_HELLO = "16030100c8010000c40303" + "5a".repeat(194);
const SERVER_HELLO = "160303007a020000760303" + "a5".repeat(116);
const SSH = "5353482d322e302d4f70656e5353485f392e320d0a"; // "SSH-2.0-OpenSSH_9.2"
const HANDSHAKE = "13426974546f7272656e742070726f746f636f6c" + "00".repeat(8) +
  "0123456789abcdef0123456789abcdef01234567" + "2d5452343035302d" + "616263646566676869306a6b";

const deno = (code: string, ...args: string[]) => [
  ...[Deno.execPath(), "run", "-A", "-q", "--ext=js"],
  `data:text/javascript,${encodeURIComponent(code)}`,
  ...args,
];

interface Room {
  network: Network;
  user: Host;
  server: Host;
}

async function withRoom(
  answers: Record<string, string>,
  settings: Record<string, string>,
  test: (room: Room, blocker: Blocker) => Promise<void>,
): Promise<void> {
  const network = await Network.create("btfl");
  try {
    const user = await network.addHost("user");
    const server = await network.addHost("server");
    const program = server.spawn(deno(SERVER, `${PORT}`, JSON.stringify(answers)), {
      log: `${network.directory}/server`,
    });
    await program.printedMatch(/listening/);
    const { router, directory } = network;
    const blocker = await Blocker.start(router, [], directory, { QUEUE_COUNT: "2", ...settings });
    await test({ network, user, server }, blocker);
    assert.equal((await blocker.stop()).code, 0);
    assert.deepEqual(await Blocker.leftovers(router), []);
  } finally {
    await network.dispose();
  }
}

async function statusOf(blocker: Blocker): Promise<Status> {
  return JSON.parse(await blocker.command("status", "--json"));
}

async function open({ user, server }: Room, opening: string, count: number): Promise<number[]> {
  return JSON.parse(await user.run(deno(CLIENT, server.ipv4, `${PORT}`, opening, `${count}`)));
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `first look: ${name}`, ignore: impossible !== null, fn });
}

test("TLS and SSH on any port make no trip to user space, and are counted", async () => {
  const answers = { "16030100": SERVER_HELLO, "5353482d": SSH };
  await withRoom(answers, { WHITELIST_PORTS: "" }, async (room, blocker) => {
    for (const [opening, length] of [[CLIENT_HELLO, 127], [SSH, 21]] as const) {
      const answered = await open(room, opening, CONNECTIONS);
      assert.ok(answered.every((one) => one === length), answered.join());
    }
    const { firstLook, counters } = await statusOf(blocker);
    assert.equal(firstLook?.flows.tls, CONNECTIONS);
    assert.equal(firstLook?.flows.ssh, CONNECTIONS);
    assert.equal(counters.packets, 0, "packets judged in user space");
    assert.ok(firstLook.packets >= CONNECTIONS * 2 * 4);
    assert.match(blocker.log, /settled in the kernel/);
  });
});

test("a handshake is found and its sender banned as if the SYN had been seen", async () => {
  await withRoom({ "13426974": HANDSHAKE }, {}, async (room, blocker) => {
    assert.deepEqual(await open(room, HANDSHAKE, 1), [-1]);
    const [detection] = await blocker.detections();
    assert.equal(detection.method, "peer-wire");
    assert.deepEqual([...await blocker.banned()], [room.user.ipv4]);
  });
});

test("a server that answers a TLS hello with a handshake is found", async () => {
  await withRoom({ "16030100": HANDSHAKE }, {}, async (room, blocker) => {
    await open(room, CLIENT_HELLO, 1);
    await until(async () => (await blocker.detections()).length === 1, () => blocker.log);
    const { firstLook } = await statusOf(blocker);
    assert.equal(firstLook?.flows.tls, 0);
  });
});

test("MONITOR_ONLY settles too, and bans nobody", async () => {
  const answers = { "16030100": SERVER_HELLO, "13426974": HANDSHAKE };
  await withRoom(answers, { MONITOR_ONLY: "true" }, async (room, blocker) => {
    await open(room, CLIENT_HELLO, 3);
    assert.deepEqual(await open(room, HANDSHAKE, 1), [68]);
    const { firstLook } = await statusOf(blocker);
    assert.equal(firstLook?.flows.tls, 3);
    assert.equal((await blocker.detections()).length, 1);
    assert.equal((await blocker.banned()).size, 0);
  });
});

test("without BPF everything is judged in user space, and it is said", async () => {
  await withRoom({ "16030100": SERVER_HELLO }, { XDP_MODE: "off" }, async (room, blocker) => {
    assert.ok((await open(room, CLIENT_HELLO, 3)).every((one) => one === 127));
    const { firstLook, counters } = await statusOf(blocker);
    assert.equal(firstLook, null);
    assert.ok(counters.released >= 3);
    assert.match(blocker.log, /No first look in the kernel.*XDP_MODE is off/);
  });
});
