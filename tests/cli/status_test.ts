/** `btblocker status`: the table, and the command beside a running blocker. */
import assert from "node:assert/strict";
import { statusText } from "../../src/cli/status.ts";
import { Network } from "../../src/demo/network.ts";
import { noWaits } from "../../src/engine/undecided.ts";
import type { FleetCalls } from "../../src/fleet/fleet_state.ts";
import { COUNTERS, LATENCY_BOUNDS_US } from "../../src/gateway/queue/counters.ts";
import { latencyQuantileUs, type Status } from "../../src/status/status.ts";
import { Blocker, blockerCommand } from "../e2e/blocker.ts";
import { liveImpossible } from "../gateway/live.ts";
import { until } from "../until.ts";
import { fleetState, status } from "../status/fake_status.ts";

const NOW_MS = Date.parse("2024-01-15T20:30:00Z");

Deno.test("statusText() is a head and tables", () => {
  assert.equal(
    statusText(status(), NOW_MS),
    `\
btblocker 1.2.3 (abcdef0), process 4711, up 2h30m
Guarding FORWARD, default policy, bans the source for 5h
All 2 workers run
From receipt to verdict: half of the batches up to 50 µs, 99 % up to 10 ms
2 bans in force (at most 131,072)

                               A SECOND  IN ALL
Packets judged                       13   1,200
Bytes judged                     3.5 kB  346 kB
Packets dropped                       1      80
Detections                          0.2       7
Flows seen                                  130
Flows released                              120
Packets whitelisted                          15
Flows of whitelisted services             3,210

UNDECIDED, WAITING FOR          FLOWS
the other side's first payload      4
the next HTTP message               2

QUEUE  WORKER  PACKETS  WAITING  UNJUDGED  RESTARTS
0      runs        600        0         0         1
1      runs        600        3         0         1

BANS ON  DROPPED  BYTES  MODE
eth0           9  900 B  native (driver mlx5_core keeps its offloads with XDP)
wg0            0    0 B  There is no interface wg0

METHOD     DETECTIONS
dht                 5
peer-wire           2`,
  );
});

const FORBIDDEN: FleetCalls = {
  connected: false,
  lastSuccess: null,
  lastFailure: {
    time: "2024-01-15T20:00:00.000Z",
    trouble: "forbidden",
    problem: "it answers 403, a\x1b[2Jb",
  },
  failures: { away: 0, forbidden: 1 },
};

const heads: [string, Partial<Status>, RegExp][] = [
  ["monitor mode", { monitorOnly: true }, /^Watching FORWARD, default policy, bans nobody$/m],
  ["no bans", { banTarget: "none" }, /policy, bans nobody$/m],
  [
    "growing bans",
    { banDurationMaxSeconds: 604_800 },
    /bans the source for 5h, repeated offenders up to 7d$/m,
  ],
  ["endpoints", { banScope: "endpoint", banTarget: "remote" }, /bans the remote \(its port only\)/],
  ["both ends", { banTarget: "both" }, /bans both ends for 5h/],
  ["no XDP", { xdp: [] }, /^No interface is guarded: bans hold in the queue workers only$/m],
  [
    "a worker that is down",
    { workers: status().workers.map((one, i) => ({ ...one, running: i === 0 })) },
    /^Not served, packets pass unjudged: queue 1$[^]*^1 +DOWN /m,
  ],
  [
    "unjudged packets",
    { counters: { ...status().counters, unjudged: 1234 } },
    /^1,234 packets passed unjudged$/m,
  ],
  [
    "marks of others",
    { counters: { ...status().counters, foreignMarks: 1234 } },
    /^1,234 packets came with bits of MARK_MASK set by another program$/m,
  ],
  [
    "packets the kernel dropped",
    { workers: status().workers.map((one) => ({ ...one, kernelDrops: 2, waiting: null })) },
    /^The kernel dropped 4 packets$[^]*^0 +runs +600 +- /m,
  ],
  [
    "what a full disk has lost",
    { detectionFiles: { log: { lost: 1, leftOut: 0 }, pcap: { lost: 1234, leftOut: 0 } } },
    /^In the detection log 1 entry could not be written\nIn the detection pcap 1,234 packets could not be written$/m,
  ],
  [
    "what a flood was too much for",
    { detectionFiles: { log: { lost: 2, leftOut: 50_000 }, pcap: { lost: 0, leftOut: 0 } } },
    /^In the detection log 2 entries could not be written; 50,000 entries left out, too many at once$/m,
  ],
  [
    "the fleet",
    { fleet: fleetState() },
    /^Reports to the fleet: last 30m ago, 3 bans waiting\nTakes over from the fleet: last 30m ago, 1,204 bans held$/m,
  ],
  [
    "a fleet that was never reached",
    {
      fleet: {
        reports: null,
        takesOver: { ...FORBIDDEN, held: 0 },
      },
    },
    /bans in force .*\nTakes over from the fleet: not yet, 0 bans held; forbidden: it answers 403, a\\x1b\[2Jb\n\n/,
  ],
  [
    "a fleet that is well again",
    { fleet: fleetState({ ...FORBIDDEN, connected: true }) },
    /^Takes over from the fleet: not yet, 1,204 bans held$/m,
  ],
  [
    "bans that the fleet never hears of",
    { fleet: { reports: { ...FORBIDDEN, waiting: 10_000, lost: 5 }, takesOver: null } },
    /^Reports to the fleet: not yet, 10,000 bans waiting, 5 bans lost, too many waited; forbidden: /m,
  ],
  [
    "an interface that has the program while anybody is banned",
    { xdp: [{ ...status().xdp[0], mode: "tc", reason: "no driver", attached: false }] },
    /^eth0 .* tc \(no driver\), off while nobody is banned$/m,
  ],
  [
    "a problem with control characters",
    { xdp: [{ ...status().xdp[1], problem: "a\x1b[2Jb" }] },
    /wg0 .* a\\x1b\[2Jb$/m,
  ],
];
for (const [name, changes, expected] of heads) {
  Deno.test(`statusText() tells of ${name}`, () => {
    assert.match(statusText(status(changes), NOW_MS), expected);
  });
}

Deno.test("statusText() has colours on a terminal only", () => {
  const escape = "\x1b[";
  assert(!statusText(status(), NOW_MS).includes(escape));
  // deno-lint-ignore no-control-regex -- the colours
  const plain = statusText(status(), NOW_MS, true).replaceAll(/\x1b\[\d+m/g, "");
  assert.equal(plain, statusText(status(), NOW_MS));
});

Deno.test("latencyQuantileUs() gives the bound of the bucket it falls in", () => {
  const latency = { boundsUs: [10, 20], buckets: [5, 4, 1], sumUs: 0 };
  assert.equal(latencyQuantileUs(latency, 0.5), 10);
  assert.equal(latencyQuantileUs(latency, 0.51), 20);
  assert.equal(latencyQuantileUs(latency, 0.99), Infinity);
  assert.equal(latencyQuantileUs({ ...latency, buckets: [0, 0, 0] }, 0.5), null);
});

const impossible = liveImpossible("iptables", "curl", "nc");

Deno.test({
  name: `btblocker status and its server${impossible === null ? "" : ` (${impossible})`}`,
  ignore: impossible !== null,
  async fn() {
    const network = await Network.create("btstat");
    try {
      const { router } = network;
      const client = await network.addHost("client");
      const server = await network.addHost("server");
      await assert.rejects(
        router.run([...blockerCommand(), "status"]),
        /Cannot show the status: btblocker does not run in this network namespace \(start it with/,
      );
      const blocker = await Blocker.start(router, [client.routerInterface], network.directory, {
        STATUS_LISTEN: "127.0.0.1:9090",
        QUEUE_COUNT: "2",
        DETECTION_LOG: "/dev/full", // takes nothing
        FLEET_URL: "http://127.0.0.1:9/", // where nobody listens
        FLEET_KEY: "0123456789abcdef",
      });
      await blocker.program.printedMatch(/Status page at http:\/\/127\.0\.0\.1:9090\//);
      // BEP 5, "Contacting trackerless peers": the example of find_node.
      const query = "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e" +
        "1:q9:find_node1:t2:aa1:y1:qe";
      await client.run(["sh", "-c", `printf %s "$0" | nc -u -w1 ${server.ipv4} 6881`, query]);
      await blocker.program.printedMatch(/\[DETECT\]/);

      const now = JSON.parse(await blocker.command("status", "--json")) as Status;
      assert.equal(now.healthy, true);
      assert.equal(now.workers.length, 2);
      assert(now.workers.every(({ running, waiting }) => running && waiting === 0));
      assert.deepEqual(now.methods, { dht: 1 });
      assert.equal(now.counters.detections, 1);
      assert.deepEqual(now.detectionFiles, {
        log: { lost: 1, leftOut: 0 },
        pcap: { lost: 0, leftOut: 0 },
      });
      assert.equal(now.fleet?.reports, null);
      assert.equal(now.fleet?.takesOver?.connected, false);
      for (const name of COUNTERS) assert.equal(typeof now.counters[name], "number", name);
      // Every batch is in the histogram, and none took no time.
      const batches = now.latency.buckets.reduce((sum, bucket) => sum + bucket, 0);
      assert.equal(batches, now.counters.batches);
      assert.equal(now.latency.buckets.length, LATENCY_BOUNDS_US.length + 1);
      assert(now.latency.sumUs > batches, JSON.stringify(now.latency));
      // A request whose head does not end.
      server.spawn(["sh", "-c", "sleep 60 | nc -l -p 7000"]);
      const listens = async () => (await server.run(["ss", "-Htln", "sport", "=", ":7000"])) !== "";
      await until(listens);
      const request = "GET / HTTP/1.1\\r\\nHo";
      client.spawn(["sh", "-c", `(printf "${request}"; sleep 60) | nc ${server.ipv4} 7000`]);
      const undecided = async () =>
        (JSON.parse(await blocker.command("status", "--json")) as Status).undecided;
      await until(async () => (await undecided()).opening === 1);
      assert.deepEqual(await undecided(), { ...noWaits(), opening: 1 });
      const text = await blocker.command("status");
      assert.match(text, /^UNDECIDED, WAITING FOR +FLOWS\nthe rest of an opening +1$/m);
      assert.match(text, /^Guarding FORWARD, [^]*^dht +1$/m);
      assert.match(text, /^In the detection log 1 entry could not be written$/m);
      await blocker.program.printedMatch(/The fleet at .* cannot be used/);
      assert.match(
        await blocker.command("status"),
        /^Takes over from the fleet: not yet, 0 bans held; away: /m,
      );

      const get = (path: string) => router.run(["curl", "-sS", `http://127.0.0.1:9090${path}`]);
      assert.equal(await get("/healthz"), "ok\n");
      const metrics = await get("/metrics");
      assert.match(metrics, /^btblocker_detections_total\{method="dht"\} 1$/m);
      assert.match(metrics, /^btblocker_detection_entries_lost_total\{file="log"\} 1$/m);
      assert.match(metrics, /^btblocker_fleet_up\{role="bouncer"\} 0$/m);
      assert.match(metrics, /^btblocker_verdict_latency_seconds_count [1-9]/m);
      const page = JSON.parse(await get("/api/status")) as Status;
      assert.equal(page.counters.detections, 1);
      assert.match(await get("/api/detections"), /"method":"dht"/);

      const watch = router.spawn([...blockerCommand(), "status", "--json", "--watch"]);
      await watch.printedMatch(/\}\n\{.*\}\n/);
      assert.equal((await blocker.stop()).code, 0);
      await watch.printedMatch(/btblocker does not run|has stopped meanwhile/);
    } finally {
      await network.dispose();
    }
  },
});

Deno.test({
  name: `a status page that cannot be served stops the start${
    impossible === null ? "" : ` (${impossible})`
  }`,
  ignore: impossible !== null,
  async fn() {
    const network = await Network.create("btstat");
    try {
      const { router } = network;
      await network.addHost("client");
      const run = (...flags: string[]) =>
        router.run([...blockerCommand(), "run", "--config", "/dev/null", ...flags]);
      await assert.rejects(
        run("--status-listen", "0.0.0.0:9090"),
        /exit status 2[^]*Cannot serve the status page at 0\.0\.0\.0:9090: others than this/,
      );
      await assert.rejects(
        run("--status-listen", "192.0.2.1:9090", "--status-token", "0123456789abcdef"),
        /exit status 1[^]*Cannot serve the status page at 192\.0\.2\.1:9090: .*address/i,
      );
      assert.deepEqual(await Blocker.leftovers(router), []);
    } finally {
      await network.dispose();
    }
  },
});
