/**
 * The blocker killed, crashed, signalled, started twice, out of disk, descriptors and memory, with
 * its interfaces taken away: clean traffic goes on, and nothing is left or doubled.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { delay } from "../lab/client.ts";
import { programsOnLinks } from "../lab/programs_on_links.ts";
import type { Program } from "../../src/demo/program.ts";
import { DHT_PING } from "../engine/conversation.ts";
import { Blocker, blockerCommand } from "../e2e/blocker.ts";
import { readCapture } from "../report/pcapng_fixture.ts";
import {
  boundQueues,
  createRouter,
  liveImpossible,
  printedCounters,
  program,
  savedRules,
  startGateway,
  talk,
} from "../gateway/live.ts";
import { until } from "../until.ts";
import { Bed, impossible, isLong } from "./bed.ts";
import { ip, UDP, udp } from "./packets.ts";

const ignore = impossible !== null;
const ECHO_PORT = 6_000;
/** Clean traffic is back within so long, beside what a connection takes on this machine anyway. */
const RECOVERY_MS = 1_000;
const KILLS = isLong ? 100 : 5;
/** Of two workers that crash three times each. */
const CRASH_ROUNDS = isLong ? 17 : 1;
const CRASHES_A_ROUND = 6;
const PROBER = fileURLToPath(new URL("./programs/prober.ts", import.meta.url));

/** [began, ended] of the connections that worked, Unix time in ms. */
function successes(prober: Program): [began: number, ended: number][] {
  return Array.from(
    prober.text().slice(-30_000).matchAll(/^ok (\d+) (\d+)\n/gm),
    ([, began, ended]) => [Number(began), Number(ended)],
  );
}

/** Milliseconds from `since` until the first connection had worked that began after it. */
async function recovery(prober: Program, since: number): Promise<number> {
  const later = () => successes(prober).filter(([began]) => began >= since);
  await until(() => later().length > 0, () => "no connection works any more");
  return Math.min(...later().map(([, ended]) => ended)) - since;
}

/**
 * The longest that nothing worked in a second without a fault: what the machine's other work costs, as
 * {@link recovery} would count it.
 */
async function undisturbed(prober: Program): Promise<number> {
  const since = Date.now();
  await until(() => successes(prober).some(([began]) => began >= since + 1_000));
  const times = successes(prober).filter(([began]) => began >= since);
  const ends = [since, ...times.map(([, ended]) => ended).sort((a, b) => a - b)];
  return Math.max(...ends.slice(1).map((end, i) => end - ends[i]));
}

async function startProber(bed: Pick<Bed, "server" | "user">, serve = true): Promise<Program> {
  const run = [Deno.execPath(), "run", "--quiet", "-A", PROBER];
  if (serve) {
    const echo = bed.server.spawn(program("talk", "serve", String(ECHO_PORT)));
    await echo.printedMatch(/ready/);
  }
  const prober = bed.user.spawn([...run, bed.server.ipv4, String(ECHO_PORT)]);
  await prober.printedMatch(/^ok /m);
  return prober;
}

Deno.test({
  name: `killed ${KILLS} times under load: traffic is back at once, nothing stays but rules, once`,
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const prober = await startProber(bed);
    const download = bed.download("2M", 300 + KILLS * 30);
    const recoveries: number[] = [];
    let slowness = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await bed.start();
      slowness = Math.max(slowness, await undisturbed(prober));
      await delay(Math.random() * 400);
      const rules = await savedRules(bed.router);
      assert.equal(
        rules.match(/^-A FORWARD -m connmark .* -j BTBLOCKER$/gm)?.length,
        2,
        "one jump a family",
      );
      const since = Date.now();
      await bed.blocker.stop("SIGKILL");
      recoveries.push(await recovery(prober, since));
      assert.deepEqual(await boundQueues(bed.router), []);
      assert.deepEqual(await programsOnLinks((command) => bed.router.inside(command)), []);
    }
    const told = `back after ${recoveries.join(", ")} ms; undisturbed, a pause of ${slowness} ms`;
    console.log(told);
    assert.ok(recoveries.every((ms) => ms < RECOVERY_MS + slowness), told);
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
    const gateway = await startGateway(lab, { worker, queueCount: 2 });
    const prober = await startProber({ server: lab.server, user: lab.client }, false);
    const recoveries: number[] = [];
    let slowness = 0;
    for (let crash = 1; crash <= 4; crash++) {
      slowness = Math.max(slowness, await undisturbed(prober));
      const since = Date.now();
      await talk(lab, "tcp", 3000, { rounds: 1 });
      recoveries.push(await recovery(prober, since));
      await gateway.printedMatch(new RegExp(`(is back\n[^]*){${crash}}`));
    }
    const told = `back after ${recoveries.join(", ")} ms; undisturbed, a pause of ${slowness} ms`;
    console.log(told);
    assert.ok(recoveries.every((ms) => ms < RECOVERY_MS + slowness), told);
    await until(async () => (await boundQueues(lab.router)).join() === "0,1");
    assert.equal((await gateway.stop()).code, 0);
  },
});

Deno.test({
  name: `workers crashed ${CRASH_ROUNDS * CRASHES_A_ROUND} times at random moments under load: ` +
    "traffic goes on, they are back",
  ignore: ignore || liveImpossible("iptables-nft") !== null,
  async fn() {
    await using lab = await createRouter(ECHO_PORT);
    const worker = "../../robustness/programs/randomly_crashing_worker.ts";
    const bulk = ["tcp", lab.server.ipv4, `${ECHO_PORT}`, "100000", "1000000", "60000"];
    const load = lab.client.spawn(program("talk", ...bulk));
    const prober = await startProber({ server: lab.server, user: lab.client }, false);
    const slowness = await undisturbed(prober);
    const pauses: number[] = [];
    for (let round = 0; round < CRASH_ROUNDS; round++) {
      const gateway = await startGateway(lab, { worker, queueCount: 2 });
      const crashes = () => gateway.text().match(/ crashed: .*/g) ?? [];
      const backs = () => gateway.text().match(/is back\n/g)?.length ?? 0;
      for (let crash = 1; crash <= CRASHES_A_ROUND; crash++) {
        await until(() => crashes().length >= crash, () => gateway.text());
        pauses.push(await recovery(prober, Date.now()));
      }
      await until(() => backs() === CRASHES_A_ROUND, () => gateway.text());
      await until(async () => (await boundQueues(lab.router)).join() === "0,1");
      assert.equal(crashes().length, CRASHES_A_ROUND, gateway.text());
      assert.ok(crashes().every((line) => /crashed (before|after) \w+\(\)/.test(line)));
      if (round === 0) console.log(crashes().join("\n"));
      const judged = (await printedCounters(gateway)).packets;
      await until(async () => (await printedCounters(gateway)).packets > judged);
      assert.equal((await gateway.stop()).code, 0);
      assert.deepEqual(await boundQueues(lab.router), []);
    }
    const told = `back after ${pauses.join(", ")} ms; undisturbed, a pause of ${slowness} ms`;
    console.log(told);
    assert.ok(pauses.every((ms) => ms < RECOVERY_MS + slowness), told);
    assert.equal(load.exit, null, load.text()); // its connection has outlived them all
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
    await bed.status(); // it answers: the start is over
    await delay(500);
    const before = bed.descriptors();
    for (let i = 0; i < 300; i++) {
      bed.blocker.program.kill("SIGHUP");
      await delay(i % 10 === 0 ? 20 : 0);
    }
    await bed.download();
    await bed.send({ kind: "dht", count: 1, rate: 1, sources: 1 });
    await bed.settled(({ bans }) => bans === 1);
    // Two are the ban's, on two interfaces, and one or two the answer's that was just given.
    await until(
      () => bed.descriptors() <= before + 4,
      () => `${before} descriptors, then ${bed.descriptors()}`,
      10_000,
    );
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
      const { signal } = await starting.stop();
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
    await winner.printedMatch(/Guarding/);
    assert.match(loser.text(), new RegExp(`running here already \\(process ${winner.pid}\\)`));
    const rules = await savedRules(bed.router);
    assert.equal(rules.match(/^-A FORWARD -m connmark .* -j BTBLOCKER$/gm)?.length, 2);
    assert.equal((await winner.stop()).code, 0);
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
    const becomes = (attached: boolean) =>
      until(
        async () => (await modes() !== null) === attached,
        () => `attached should be ${attached}`,
      );
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
      const detected = (count: number) =>
        bed.settled(({ counters }) => counters.detections >= count);
      assert.equal((await detected(200)).counters.detections, 200);
      const said = (what: RegExp) => bed.blocker.program.printedMatch(what);
      await said(/Cannot write the detection log .*blocking goes on/);
      await said(/Cannot write the detection pcap .*blocking goes on/);
      await root("mount", "-o", "remount,ro,size=1m", mount);
      await delay(5_500); // it tries again every 5 seconds
      await offend(2, 5);
      await detected(205);
      await root("mount", "-o", "remount,rw,size=1m", mount);
      await delay(5_500);
      await offend(3, 5);
      await said(/is written again, \d+ entries were lost/);
      await said(/is written again, \d+ packets were lost/);
      const { packets, problem } = readCapture(await Deno.readFile(pcap));
      assert.equal(problem, null, "nothing is torn");
      assert.ok(packets.length >= 6, `${packets.length}`);
      assert.equal((await detected(210)).counters.detections, 210);
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
    await until(
      async () => (await boundQueues(bed.router)).length > 0,
      () => "it does not start",
    );
    await until(async () =>
      /-A FORWARD -m connmark .* -j BTBLOCKER$/m.test(await savedRules(bed.router))
    );
    await bed.download();
    assert.equal((await blocker.stop()).code, 0);
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
      const started = blocker.printedMatch(/Guarding/).then(() => true, () => false);
      if (await started) {
        console.log(`${limit} suffices`);
        await bed.download();
        assert.equal((await blocker.stop()).code, 0, blocker.text());
      } else {
        console.log(`${limit}: ${blocker.text().trim().split("\n").at(-1)}`);
        assert.notEqual((await blocker.stop()).code, 0);
        assert.match(blocker.text(), /Cannot|open files|memory/i);
      }
      assert.deepEqual(await Blocker.leftovers(bed.router), []);
    },
  });
}
