/**
 * The blocker killed, crashed, signalled, started twice, out of disk, descriptors and memory, with
 * its interfaces taken away: clean traffic goes on, and nothing is left or doubled.
 */
import assert from "node:assert/strict";
import { delay } from "../lab/client.ts";
import type { Program } from "../../src/demo/program.ts";
import { DHT_PING } from "../engine/conversation.ts";
import { Blocker, blockerCommand } from "../e2e/blocker.ts";
import { readCapture } from "../report/pcapng_fixture.ts";
import {
  boundQueues,
  createRouter,
  liveImpossible,
  program,
  savedRules,
  startGateway,
  talk,
} from "../gateway/live.ts";
import { Bed, impossible, isLong } from "./bed.ts";
import { ip, UDP, udp } from "./packets.ts";

const ignore = impossible !== null;
const ECHO_PORT = 6_000;
const RECOVERY_MS = 1_000;
const KILLS = isLong ? 100 : 5;
const PROBER = new URL("./programs/prober.ts", import.meta.url).pathname;

/** Milliseconds from `since` until a connection worked that began after it. */
async function recovery(prober: Program, since: number): Promise<number> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const works = [...prober.text().slice(-4_000).matchAll(/^ok (\d+)$/gm)]
      .some(([, began]) => Number(began) >= since);
    if (works) return Date.now() - since;
    await delay(10);
  }
  return Infinity;
}

async function startProber(bed: Pick<Bed, "server" | "user">, serve = true): Promise<Program> {
  const run = [Deno.execPath(), "run", "--quiet", "-A", PROBER];
  if (serve) {
    const echo = bed.server.spawn(program("talk", "serve", String(ECHO_PORT)));
    await echo.printedMatch(/ready/, 15_000);
  }
  const prober = bed.user.spawn([...run, bed.server.ipv4, String(ECHO_PORT)]);
  await prober.printedMatch(/^ok /m, 10_000);
  return prober;
}

Deno.test({
  name: `killed ${KILLS} times under load: traffic is back at once, nothing stays but rules, once`,
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const prober = await startProber(bed);
    const download = bed.download("2M", 120 + KILLS * 10);
    const recoveries: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await bed.start();
      await delay(Math.random() * 400);
      const rules = await savedRules(bed.router);
      assert.equal(rules.match(/^-A FORWARD -j BTBLOCKER$/gm)?.length, 2, "one jump a family");
      const since = Date.now();
      await bed.blocker.stop("SIGKILL");
      recoveries.push(await recovery(prober, since));
      assert.deepEqual(await boundQueues(bed.router), []);
      assert.doesNotMatch(await bed.router.run(["ip", "-o", "link"]), /prog\/xdp|xdpgeneric/);
    }
    console.log(`traffic was back after at most ${Math.max(...recoveries)} ms`);
    assert.ok(recoveries.every((ms) => ms < RECOVERY_MS), recoveries.join(" "));
    await bed.start();
    assert.equal((await bed.blocker.stop()).code, 0);
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
    await download;
  },
});

Deno.test({
  name: "a worker crashed under load: traffic is back within a second, the worker too",
  ignore: ignore || liveImpossible("iptables-nft") !== null,
  async fn() {
    await using lab = await createRouter(ECHO_PORT, 3000);
    const worker = "../../robustness/programs/crashing_worker.ts";
    const gateway = await startGateway(lab, { worker, traffic: { queueCount: 2 } });
    const prober = await startProber({ server: lab.server, user: lab.client }, false);
    const recoveries: number[] = [];
    for (let crash = 1; crash <= 4; crash++) {
      const since = Date.now();
      await talk(lab, "tcp", 3000, { rounds: 1 });
      recoveries.push(await recovery(prober, since));
      await gateway.printedMatch(new RegExp(`(is back\n[^]*){${crash}}`), 10_000);
    }
    console.log(`traffic was back after at most ${Math.max(...recoveries)} ms`);
    assert.ok(recoveries.every((ms) => ms < RECOVERY_MS), recoveries.join(" "));
    assert.deepEqual(await boundQueues(lab.router), [0, 1]);
    assert.equal((await gateway.stop("SIGTERM", 5_000)).code, 0);
  },
});

Deno.test({
  name: "a storm of SIGHUP: no descriptor more, and it blocks as before",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await bed.start({
      DETECTION_LOG: `${bed.network.directory}/detections`,
      DETECTION_PCAP: `${bed.network.directory}/detections.pcapng`,
    });
    await delay(500);
    const before = bed.descriptors();
    for (let i = 0; i < 300; i++) {
      bed.blocker.program.kill("SIGHUP");
      await delay(i % 10 === 0 ? 20 : 0);
    }
    await bed.download();
    await bed.send({ kind: "dht", count: 1, rate: 1, sources: 1 });
    await delay(300);
    assert.equal((await bed.status()).bans, 1);
    // One or two are the answer's that was just given.
    assert.ok(bed.descriptors() <= before + 2, `${before}, then ${bed.descriptors()}`);
    assert.equal((await bed.blocker.stop()).code, 0);
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
  },
});

Deno.test({
  name: "SIGTERM at any moment of the start leaves nothing",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    for (let run = 0; run < (isLong ? 40 : 6); run++) {
      const starting = bed.router.spawn([...blockerCommand(), "run", "--config", "/dev/null"], {
        env: { INTERFACE: "to_user", QUEUE_COUNT: "2", CHAINS: "FORWARD" },
      });
      const ms = Math.random() * 1_600;
      await delay(ms);
      const { signal } = await starting.stop("SIGTERM", 10_000);
      assert.notEqual(signal, "SIGKILL", `it did not stop, asked after ${ms} ms`);
      assert.deepEqual(await Blocker.leftovers(bed.router), [], `after ${ms} ms`);
    }
  },
});

Deno.test({
  name: "two started at once: one guards, the other names it and ends",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const start = () =>
      bed.router.spawn([...blockerCommand(), "run", "--config", "/dev/null"], {
        env: { INTERFACE: "to_user", QUEUE_COUNT: "1" },
      });
    const both = [start(), start()];
    const status = await Promise.race(both.map((one) => one.status));
    const loser = both.find((one) => one.exit !== null)!;
    const winner = both.find((one) => one !== loser)!;
    assert.equal(status.code, 1, loser.text());
    await winner.printedMatch(/Guarding/, 20_000);
    await delay(100);
    assert.match(loser.text(), new RegExp(`running here already \\(process ${winner.pid}\\)`));
    const rules = await savedRules(bed.router);
    assert.equal(rules.match(/^-A FORWARD -j BTBLOCKER$/gm)?.length, 2);
    assert.equal((await winner.stop("SIGTERM", 5_000)).code, 0);
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
  },
});

Deno.test({
  name: "interfaces down, up, renamed and back, created anew: guarded again each time",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await bed.start();
    const { router } = bed;
    const link = bed.attacker.routerInterface;
    const modes = async () => {
      const { xdp } = await bed.status();
      return xdp.find((one) => one.interface === link)?.mode ?? null;
    };
    const becomes = async (attached: boolean) => {
      const deadline = performance.now() + 8_000;
      while ((await modes() !== null) !== attached) {
        assert.ok(performance.now() < deadline, `attached should be ${attached}`);
        await delay(200);
      }
    };
    await becomes(true);
    for (const state of ["down", "up"]) await router.run(["ip", "link", "set", link, state]);
    await bed.download();
    await becomes(true);
    await router.run(["ip", "link", "set", link, "down"]);
    await router.run(["ip", "link", "set", link, "name", "elsewhere"]);
    await becomes(false);
    await bed.download();
    await router.run(["ip", "link", "set", "elsewhere", "name", link]);
    await router.run(["ip", "link", "set", link, "up"]);
    await becomes(true);
    await router.run(["ip", "link", "delete", link]);
    await becomes(false);
    await router.run(["ip", "link", "add", link, "type", "veth", "peer", "name", "nowhere"]);
    await becomes(true);
    await bed.download();
    assert.equal((await bed.blocker.stop()).code, 0);
    assert.deepEqual(await Blocker.leftovers(router), []);
  },
});

Deno.test({
  name: "a full and a read-only disk: it goes on blocking, says so, and writes again afterwards",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const mount = `${bed.network.directory}/small`;
    await Deno.mkdir(mount);
    const root = async (...command: string[]) => {
      const [name, ...args] = command;
      assert.ok((await new Deno.Command(name, { args }).output()).success, command.join(" "));
    };
    await root("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", mount);
    try {
      const pcap = `${mount}/detections.pcapng`;
      const files = { DETECTION_LOG: `${mount}/detections`, DETECTION_PCAP: pcap };
      await bed.start({ ...files, BAN_DURATION: "1" });
      const offend = (first: number, count: number) => {
        const packets = Array.from({ length: count }, (_, i) => {
          const ends = { source: `10.9.${first}.${i + 1}`, destination: bed.target.ipv4 };
          return ip({ ...ends, protocol: UDP }, udp(6881, 6881, DHT_PING, ends));
        });
        return bed.sendPackets(...packets);
      };
      await offend(1, 200); // a line each, far beyond 16 KiB
      await delay(500);
      assert.equal((await bed.status()).counters.detections, 200);
      assert.match(bed.blocker.log, /Cannot write the detection log .*blocking goes on/);
      assert.match(bed.blocker.log, /Cannot write the detection pcap .*blocking goes on/);
      await root("mount", "-o", "remount,ro,size=1m", mount);
      await delay(5_500); // it tries again every 5 seconds
      await offend(2, 5);
      await root("mount", "-o", "remount,rw,size=1m", mount);
      await delay(5_500);
      await offend(3, 5);
      await delay(500);
      assert.match(bed.blocker.log, /is written again, \d+ entries were lost/);
      assert.match(bed.blocker.log, /is written again, \d+ packets were lost/);
      const { packets, problem } = readCapture(await Deno.readFile(pcap));
      assert.equal(problem, null, "nothing is torn");
      assert.ok(packets.length >= 6, `${packets.length}`);
      assert.equal((await bed.status()).counters.detections, 210);
      await bed.download();
      assert.equal((await bed.blocker.stop()).code, 0);
    } finally {
      await root("umount", mount);
    }
  },
});

Deno.test({
  name: "standard error on a full disk: it goes on",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const script = `exec "$@" 2>/dev/full`;
    const blocker = bed.router.spawn(
      ["sh", "-c", script, "sh", ...blockerCommand(), "run", "--config", "/dev/null"],
      { env: { INTERFACE: "to_user", QUEUE_COUNT: "1" } },
    );
    const deadline = performance.now() + 20_000;
    while ((await boundQueues(bed.router)).length === 0) {
      assert.ok(performance.now() < deadline, "it does not start");
      await delay(100);
    }
    await delay(500);
    await bed.download();
    assert.equal((await blocker.stop("SIGTERM", 5_000)).code, 0);
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
  },
});

// Enough or too little: it guards, or it says what is missing and leaves nothing.
for (const limit of ["--nofile=32", "--nofile=64", "--memlock=0", "--memlock=65536"]) {
  Deno.test({
    name: `limits: ${limit} either suffices or is said`,
    ignore,
    async fn() {
      await using bed = await Bed.create();
      const blocker = bed.router.spawn(
        [
          "prlimit",
          `${limit}:${limit.split("=")[1]}`,
          ...blockerCommand(),
          "run",
          "--config",
          "/dev/null",
        ],
        { env: { INTERFACE: "to_user", QUEUE_COUNT: "2" } },
      );
      const started = blocker.printedMatch(/Guarding/, 20_000).then(() => true, () => false);
      if (await started) {
        console.log(`${limit} suffices`);
        await bed.download();
        assert.equal((await blocker.stop("SIGTERM", 5_000)).code, 0, blocker.text());
      } else {
        console.log(`${limit}: ${blocker.text().trim().split("\n").at(-1)}`);
        assert.notEqual((await blocker.stop("SIGTERM", 5_000)).code, 0);
        assert.match(blocker.text(), /Cannot|open files|memory/i);
      }
      assert.deepEqual(await Blocker.leftovers(bed.router), []);
    },
  });
}
