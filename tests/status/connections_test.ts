/** The status page and the control socket while strangers hold connections open and say nothing. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { askControl, ControlServer } from "../../src/blocker/control.ts";
import { type BoundedConnection, Connections, peerOf } from "../../src/status/connections.ts";
import { StatusServer } from "../../src/status/status_server.ts";
import { until } from "../until.ts";
import { FakeSource } from "./fake_status.ts";

const isLinux = Deno.build.os === "linux";
const PROGRAM = fileURLToPath(new URL("./programs/starved_server.ts", import.meta.url));

/** Connections that are closed with the test, whoever closed them before. */
class Crowd implements Disposable {
  readonly all: Deno.Conn[] = [];

  async add(count: number, open: () => Promise<Deno.Conn>, says = ""): Promise<void> {
    for (let i = 0; i < count; i++) {
      const connection = await open();
      this.all.push(connection);
      if (says !== "") await connection.write(new TextEncoder().encode(says)).catch(() => {});
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.all) {
      try {
        connection.close();
      } catch {
        // by the other side
      }
    }
  }
}

const tcp = (page: string) => () =>
  Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(page).port) });
const unix = (path: string) => () => Deno.connect({ transport: "unix", path });

async function health(page: string): Promise<number> {
  const answer = await fetch(`${page}healthz`, { headers: { connection: "close" } });
  await answer.body?.cancel();
  return answer.status;
}

Deno.test({
  name: "idle connections use up every descriptor: page and control socket answer on",
  ignore: !isLinux,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "btblocker-starved-" });
    const script = `ulimit -n 64 && exec "$@"`;
    const run = [Deno.execPath(), "run", "--quiet", "--no-prompt", "-A", PROGRAM, directory];
    const server = new Deno.Command("sh", {
      args: ["-c", script, "sh", ...run],
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    const log = new Response(server.stderr).text();
    const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { page, socket } = JSON.parse((await reader.read()).value!);
    using crowd = new Crowd();
    await crowd.add(120, tcp(page));
    await crowd.add(60, tcp(page), "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); // no end of it
    await crowd.add(120, unix(socket));
    for (let round = 0; round < 3; round++) {
      assert.equal(await health(page), 200);
      assert.deepEqual(await askControl(1, "echo", round, directory), { result: round });
    }
    await server.stdin.close();
    await reader.cancel();
    const { code } = await server.status;
    assert.equal(code, 0, await log); // accept failed, nothing ended
    assert.match(
      await log,
      /Cannot take calls to the (status page|control socket) now: .*os error 24/,
    );
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test("half-open requests: so many at once, whoever holds on is put out for the next", async () => {
  await using server = await StatusServer.start({
    ...{ listen: "127.0.0.1:0", token: "" },
    source: new FakeSource(),
  });
  using crowd = new Crowd();
  await crowd.add(1_000, tcp(server.address), "GET / HTTP/1.1\r\nHost: localhost\r\n");
  assert.equal(await health(server.address), 200);
  const open = () => Promise.all(crowd.all.map((one) => stillOpen(one)));
  await until(async () => (await open()).filter((is) => is).length <= 128);
});

/** Whether the other side has not closed it. */
async function stillOpen(connection: Deno.Conn): Promise<boolean> {
  const timeout = new Promise<"open">((resolve) => setTimeout(() => resolve("open"), 20));
  const read = connection.read(new Uint8Array(1)).then(() => "closed", () => "closed");
  return await Promise.race([read, timeout]) === "open";
}

/** A listener whose connections come from wherever a test says, and that fails as it says. */
class FakeListener {
  readonly #waiting: ((connection: Deno.Conn | Error) => void)[] = [];
  readonly closed: string[] = [];

  accept(): Promise<Deno.Conn> {
    return new Promise((resolve, reject) => {
      this.#waiting.push((one) => one instanceof Error ? reject(one) : resolve(one));
    });
  }

  async comes(name: string, hostname = "203.0.113.1"): Promise<void> {
    const closed = () => void this.closed.push(name);
    const remoteAddr = { transport: "tcp", hostname, port: 1 };
    await this.#give({ remoteAddr, close: closed } as unknown as Deno.Conn);
  }

  fails = (message: string) => this.#give(new Error(message));

  async #give(one: Deno.Conn | Error): Promise<void> {
    await until(() => this.#waiting.length > 0);
    this.#waiting.shift()!(one);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  close(): void {
    for (const give of this.#waiting) give(new Error("closed"));
  }
}

function crowdedServer(most: number, mostOfOne: number) {
  const listener = new FakeListener();
  const served: BoundedConnection[] = [];
  const warnings: string[] = [];
  const connections = new Connections({
    listener: listener as unknown as Deno.Listener,
    bounds: { most, mostOfOne },
    serve: (connection) => {
      served.push(connection);
      return new Promise(() => {});
    },
    warn: (problem) => warnings.push(problem),
  });
  return { listener, served, warnings, connections };
}

Deno.test("of one address so many; of an IPv6 network as of one; this machine's own uncounted", async () => {
  const { listener, connections } = crowdedServer(100, 2);
  await using _ = connections;
  for (const name of ["a", "b", "c"]) await listener.comes(name);
  for (const last of [1, 2, 3]) await listener.comes(`v6-${last}`, `2001:db8:0:7::${last}`);
  for (const last of [1, 2, 3]) await listener.comes(`own-${last}`, "127.0.0.1");
  await listener.comes("d", "203.0.113.2");
  assert.deepEqual(listener.closed, ["c", "v6-3"]);
  assert.equal(connections.size, 8);
});

Deno.test("in all so many: the one that has waited longest makes room, never one being served", async () => {
  const { listener, served, connections } = crowdedServer(3, 100);
  await using _ = connections;
  for (const name of ["served", "waits", "waits later"]) await listener.comes(name);
  served[0].serveFor(60_000);
  await listener.comes("new");
  assert.deepEqual(listener.closed, ["waits"]);
  for (const one of served) one.serveFor(60_000);
  await listener.comes("too many");
  assert.deepEqual(listener.closed, ["waits", "too many"]);
});

Deno.test("accept fails again and again: told once, and the next is taken", async () => {
  const { listener, warnings, connections } = crowdedServer(3, 100);
  await using _ = connections;
  for (let i = 0; i < 3; i++) await listener.fails("Too many open files (os error 24)");
  await listener.comes("a");
  assert.deepEqual(warnings, ["Too many open files (os error 24)"]);
  assert.equal(connections.size, 1);
});

Deno.test("a connection whose time is up is closed", async () => {
  const { listener, served, connections } = crowdedServer(3, 100);
  await using _ = connections;
  await listener.comes("late");
  served[0].waitFor(1);
  await until(() => listener.closed.length === 1);
});

Deno.test("peerOf() tells a network from a machine of it", () => {
  const peer = (hostname: string) => peerOf({ transport: "tcp", hostname, port: 1 });
  assert.equal(peer("127.0.0.1"), "");
  assert.equal(peer("::1"), "");
  assert.equal(peer("::ffff:127.0.0.9"), "");
  assert.notEqual(peer("192.0.2.1"), peer("192.0.2.2"));
  assert.equal(peer("192.0.2.1"), peer("::ffff:192.0.2.1"));
  assert.equal(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
  assert.notEqual(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
  assert.equal(peerOf({ transport: "unix", path: "/x" }), "");
});

Deno.test({
  name: "the control socket: a request that never ends is put out, one too long too",
  ignore: !isLinux,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "btblocker-control-" });
    const server = new ControlServer(1, { echo: (argument) => argument }, directory);
    using crowd = new Crowd();
    await crowd.add(200, unix(server.path), '{"command":"echo"');
    assert.deepEqual(await askControl(1, "echo", 7, directory), { result: 7 });
    const endless = await unix(server.path)();
    crowd.all.push(endless);
    const write = async () => {
      const part = new Uint8Array(1 << 20).fill(0x61);
      for (let i = 0; i < 64; i++) {
        for (let sent = 0; sent < part.length;) sent += await endless.write(part.subarray(sent));
      }
    };
    await assert.rejects(write());
    await server[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  },
});
