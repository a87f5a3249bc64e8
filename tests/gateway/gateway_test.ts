/** The gateway with a stub engine on a router in namespaces: verdicts, marks, crashes, the end. */

import assert from "node:assert/strict";
import {
  boundQueues,
  countersOf,
  createRouter,
  liveImpossible,
  packetsThrough,
  printedCounters,
  program,
  savedRules,
  startGateway,
  talk,
  talkInVain,
} from "./live.ts";
import { listening } from "../lab/programs/conversation.ts";
import { timeSlice } from "../../ffi/libc.ts";
import { takesTimeSlices } from "../time_slices.ts";
import { until } from "../until.ts";

const impossible = liveImpossible("iptables-nft", "iptables-legacy");
if (impossible !== null) console.log(`tests of the live gateway skipped: ${impossible}`);
const ignore = impossible !== null;

// What the stub engine makes of these ports: programs/stub_worker.ts.
const CLEAN = 1000;
const BITTORRENT = 2000;
const CRASH = 3000;
const FAULT = 4000;
const SLOW = 5000;
const INSPECTED = 6000;

const SAVE = { nft: "iptables-nft-save", legacy: "iptables-legacy-save" } as const;
const SAVE6 = { nft: "ip6tables-nft-save", legacy: "ip6tables-legacy-save" } as const;

for (const backend of ["nft", "legacy"] as const) {
  for (const table of ["security", "mangle"] as const) {
    for (const family of [4, 6] as const) {
      const save = family === 4 ? SAVE[backend] : SAVE6[backend];
      const command = `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;

      Deno.test({
        name: `IPv${family}, ${backend}, ${table}: flows are released, dropped, and marks kept`,
        ignore,
        async fn() {
          await using lab = await createRouter(CLEAN, BITTORRENT, INSPECTED);
          const { router } = lab;
          // Somebody else's marks, and somebody else's rules behind ours.
          const add = (...rule: string[]) =>
            router.run([command, "-w", "-t", "mangle", "-A", ...rule]);
          await add("PREROUTING", "-j", "MARK", "--set-mark", "0x40001");
          await add(
            "FORWARD",
            "-m",
            "mark",
            "--mark",
            "0x40001",
            "-m",
            "comment",
            "--comment",
            "in forward",
          );
          await add(
            "POSTROUTING",
            "-m",
            "mark",
            "--mark",
            "0x40001",
            "-m",
            "comment",
            "--comment",
            "kept",
          );
          await add(
            "POSTROUTING",
            "-m",
            "mark",
            "!",
            "--mark",
            "0x40001",
            "-p",
            "tcp",
            "-m",
            "comment",
            "--comment",
            "lost",
          );
          const gateway = await startGateway(lab, { backend, tables: [table] });
          assert.match(gateway.text(), new RegExp(`^ready$`, "m"));
          const through = (rule: RegExp) => packetsThrough(router, rule, save);

          assert.equal(await talk(lab, "tcp", INSPECTED, { family, rounds: 5 }), 5);
          assert.equal(await talk(lab, "udp", INSPECTED, { family, rounds: 5 }), 5);
          const inspected = await countersOf(gateway, ({ packets }) => packets >= 20);
          assert.equal(inspected.accepted, inspected.packets);
          const entered = () => through(/-A FORWARD -m connmark ! --mark .* -j BTBLOCKER$/);
          const before = await entered();
          assert(before >= 20, `${before}`);

          for (const how of ["tcp", "udp"] as const) {
            assert.equal(await talk(lab, how, CLEAN, { family, rounds: 200 }), 200);
          }
          const released = await countersOf(gateway, ({ released }) => released >= 2);
          // TCP: handshake and the first segments; UDP: what came before the first mark was saved.
          assert(released.packets - inspected.packets < 20, JSON.stringify(released));
          // Of 400 segments and 400 datagrams.
          assert(await entered() - before < 60, `${before}, ${await entered()}`);

          assert.equal(await talkInVain(lab, "tcp", BITTORRENT, { family }), 0);
          const inKernel = () => through(/-A BTBLOCKER -m connmark --mark 0x80000000\/.* -j DROP/);
          await until(async () => await inKernel() > 0, () => "nothing is dropped in the kernel");
          const { dropped } = await countersOf(gateway);
          // The rest dies in the kernel, but for what was sent again while the first one waited.
          assert(dropped >= 1 && dropped <= 3, `${dropped} dropped by the worker`);
          // The first datagram of a connection that was never let through leaves no connection.
          assert.equal(await talkInVain(lab, "udp", BITTORRENT, { family }), 0);

          assert.equal(await through(/comment lost/), 0);
          const kept = await through(/comment kept/);
          assert(kept > 800, `${kept}`);
          // Every packet but those that our chain dropped met the rule behind it once.
          if (table === "mangle") assert.equal(await through(/"in forward"/), kept);
          assert.equal((await countersOf(gateway)).unjudged, 0);
        },
      });
    }
  }
}

Deno.test({
  name: "a new connection on the 5-tuple of a dropped one is judged anew",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router, client, server } = lab;
    const gateway = await startGateway(lab);
    // Both ends forget their connection without a word, so that conntrack goes on believing in it.
    const silence = async (host: typeof client) => {
      for (const flag of ["FIN", "RST"]) {
        const match = ["-p", "tcp", "--tcp-flags", flag, flag];
        await host.run(["iptables", "-w", "-A", "OUTPUT", ...match, "-j", "DROP"]);
      }
    };
    await silence(client);
    await silence(server);
    const connect = async (words: string) => {
      const listener = server.spawn(["nc", "-l", "-p", String(BITTORRENT)]);
      await listening(server, "tcp", BITTORRENT);
      const script = `echo ${words} | timeout 3 nc -p 3333 ${server.ipv4} ${BITTORRENT}; true`;
      await client.run(["sh", "-c", script]);
      await listener.stop("SIGKILL");
      for (const host of [client, server]) await host.run(["ss", "-K", "sport", "=", "3333"]);
      await server.run(["ss", "-K", "dport", "=", "3333"]);
    };
    await connect("first");
    const { packets: before } = await countersOf(gateway, ({ dropped }) => dropped >= 1);
    await connect("second");
    await countersOf(gateway, ({ packets }) => packets > before); // the SYN reached the queue
    assert(await packetsThrough(router, /--tcp-flags FIN,SYN,RST,ACK SYN/) >= 1);
  },
});

for (const backend of ["nft", "legacy"] as const) {
  Deno.test({
    name: `${backend}: what conntrack does not follow is judged, packet by packet`,
    ignore,
    async fn() {
      await using lab = await createRouter(BITTORRENT, INSPECTED);
      for (const [command, family] of [["iptables", 4], ["ip6tables", 6]] as const) {
        const raw = [`${command}-${backend}`, "-w", "-t", "raw", "-A", "PREROUTING"];
        await lab.router.run([...raw, "-j", "CT", "--notrack"]);
        const gateway = await startGateway(lab, { backend });
        assert.equal(await talk(lab, "tcp", INSPECTED, { family, rounds: 5 }), 5);
        await countersOf(gateway, ({ accepted }) => accepted >= 10);
        assert.equal(await talkInVain(lab, "tcp", BITTORRENT, { family }), 0);
        await countersOf(gateway, ({ dropped }) => dropped >= 1);
        await gateway.stop();
      }
    },
  });
}

Deno.test({
  name: "with RECHECK, packets of released flows come back to the queue",
  ignore,
  async fn() {
    for (const [recheck, atLeast, atMost] of [[0, 0, 30], [1 << 18, 4, 2_000]]) {
      await using lab = await createRouter(CLEAN);
      const gateway = await startGateway(lab, { recheck });
      for (const family of [4, 6] as const) {
        const before = (await countersOf(gateway)).packets;
        // 2 MiB each way, and as many datagrams as make 1 MiB each way.
        assert.equal(await talk(lab, "tcp", CLEAN, { family, bytes: 65_536, rounds: 32 }), 32);
        const tcp = (await countersOf(gateway)).packets - before;
        assert(tcp >= atLeast && tcp <= atMost, `IPv${family}: ${tcp} TCP packets queued`);
        assert.equal(await talk(lab, "udp", CLEAN, { family, bytes: 1000, rounds: 1000 }), 1000);
        const udp = (await countersOf(gateway)).packets - before - tcp;
        const few = recheck === 0 ? 0 : 1;
        assert(udp >= few && udp <= 100, `IPv${family}: ${udp} UDP packets queued`);
      }
    }
  },
});

Deno.test({
  name: "INPUT and OUTPUT are guarded, what the machine says to itself is not",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router, client } = lab;
    const gateway = await startGateway(lab, { chains: ["INPUT", "OUTPUT"] });
    const ports = [CLEAN, BITTORRENT, INSPECTED].map(String);
    const echo = router.spawn(program("talk", "serve", ...ports));
    await echo.printedMatch(/ready/);
    const say = async (from: typeof client, host: string, port: number) => {
      const patience = port === BITTORRENT && from === client ? "1000" : "30000";
      return await from.run(program("talk", "tcp", host, String(port), "100", "3", patience));
    };
    assert.match(await say(router, "127.0.0.1", BITTORRENT), /answered 3/);
    assert.match(await say(router, "::1", BITTORRENT), /answered 3/);
    assert.equal((await countersOf(gateway)).packets, 0);
    for (const host of [client.ipv4.replace(/2$/, "1"), client.ipv6.replace(/2$/, "1")]) {
      assert.match(await say(client, host, CLEAN), /answered 3/);
      assert.match(await say(client, host, BITTORRENT), /answered 0/);
    }
    await countersOf(
      gateway,
      ({ packets, released, dropped }) => packets > 10 && released >= 2 && dropped >= 2,
    );
  },
});

Deno.test({
  name: "the workers, and no other thread, have a time slice shorter than the kernel's",
  ignore: ignore || !takesTimeSlices(),
  async fn() {
    await using lab = await createRouter();
    const gateway = await startGateway(lab, { queueCount: 2 });
    const threads = [...Deno.readDirSync(`/proc/${gateway.pid}/task`)].map(({ name }) => name);
    const shorter = threads.filter((thread) => timeSlice(Number(thread)) < timeSlice());
    const nameOf = (thread: string) => Deno.readTextFileSync(`/proc/${thread}/comm`).trim();
    assert.deepEqual(shorter.map(nameOf).sort(), ["worker-1", "worker-2"]);
  },
});

Deno.test({
  name: "a fault on a packet costs nobody a packet",
  ignore,
  async fn() {
    await using lab = await createRouter(FAULT);
    const gateway = await startGateway(lab);
    assert.equal(await talk(lab, "tcp", FAULT), 3);
    await countersOf(gateway, ({ faults, packets }) => faults > 5 && faults === packets);
    assert.equal(gateway.text().match(/could not be judged/g)?.length, 1);
  },
});

Deno.test({
  name: "a crashed worker comes back; its packets pass meanwhile, the others' are judged",
  ignore,
  async fn() {
    await using lab = await createRouter(CRASH, INSPECTED, BITTORRENT);
    const gateway = await startGateway(lab, { queueCount: 2 });
    for (let crash = 1; crash <= 2; crash++) {
      assert.equal(await talk(lab, "tcp", CRASH, { rounds: 1 }), 1);
      await gateway.printedMatch(new RegExp(`(\\d is back\n[^]*){${crash}}`));
      // What was sent twice may have crashed it twice.
      const count = (what: RegExp) => gateway.text().match(what)?.length;
      await until(() => count(/ crashed: /g) === count(/\d is back\n/g));
      assert.equal(await talk(lab, "tcp", INSPECTED), 3);
      assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
    }
    assert.match(gateway.text(), /error: The worker of NFQUEUE \d crashed: crashed as asked/);
    await countersOf(gateway, ({ restarts }) => restarts >= 2);
    await until(async () => (await boundQueues(lab.router)).join() === "0,1");
  },
});

Deno.test({
  name: "a queue that is full lets packets pass and counts them",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    const rule = ["POSTROUTING", "-p", "udp", "-m", "comment", "--comment", "passed"];
    await router.run(["iptables", "-w", "-t", "mangle", "-A", ...rule]);
    const gateway = await startGateway(lab);
    const count = 60_000;
    assert.equal(await talk(lab, "flood", SLOW, { bytes: 1000, rounds: count }), count);
    await gateway.stop(); // the worker is slow: what waits is given up
    const passed = await packetsThrough(router, /passed/);
    assert(passed > count / 2, `${passed} of ${count} passed`);
  },
});

Deno.test({
  name: "packets that passed for want of room are counted to the last one",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { client } = lab; // any host by itself
    await client.run([
      "iptables",
      "-w",
      "-A",
      "OUTPUT",
      "-p",
      "udp",
      "-j",
      "NFQUEUE",
      "--queue-num",
      "7",
    ]);
    const counted = JSON.parse(await client.run(program("overrun", "7", "500")));
    assert(counted.unjudged > 0, JSON.stringify(counted));
    assert.equal(counted.packets + counted.unjudged, 501);
    assert.equal(counted.refusedVerdicts, 0);
  },
});

Deno.test({
  name: "a stop under load takes less than 2 seconds, or than the start, and leaves nothing",
  ignore,
  async fn() {
    await using lab = await createRouter(INSPECTED, CLEAN);
    const { router } = lab;
    const before = await savedRules(router);
    for (let run = 0; run < 3; run++) {
      const begin = performance.now();
      const gateway = await startGateway(lab, { queueCount: 2 });
      // Starting is the longer work: where it takes longer than the 2 seconds, the machine is slow.
      const limit = Math.max(2_000, performance.now() - begin);
      assert.match(gateway.text(), /info: Guarding FORWARD \(IPv4 and IPv6, iptables/);
      assert.deepEqual(await boundQueues(router), [0, 1]);
      const load = talk(lab, "tcp", INSPECTED, { bytes: 50_000, rounds: 200 });
      const { packets } = await printedCounters(gateway);
      await until(async () => (await printedCounters(gateway)).packets > packets); // it has begun
      const start = performance.now();
      const { code } = await gateway.stop();
      const took = performance.now() - start;
      assert.equal(code, 0, gateway.text());
      assert.match(gateway.text(), /^stopped$/m);
      assert(took < limit, `${took} ms`);
      assert.equal(await load, 200); // no connection was cut
      assert.deepEqual(await boundQueues(router), []);
      assert.doesNotMatch(await savedRules(router), /BTBLOCKER/);
    }
    assert.equal((await savedRules(router)).trim(), before.trim());
  },
});

Deno.test({
  name: "traffic passes after the blocker was killed, and the next one clears up",
  ignore,
  async fn() {
    await using lab = await createRouter(INSPECTED, BITTORRENT);
    const { router } = lab;
    const first = await startGateway(lab);
    await first.stop("SIGKILL");
    assert.match(await savedRules(router), /-A FORWARD -m connmark .* -j BTBLOCKER$/m);
    assert.equal(await talk(lab, "tcp", INSPECTED), 3);
    assert.equal(await talk(lab, "tcp", BITTORRENT), 3);
    const second = await startGateway(lab);
    const once = (await savedRules(router)).match(/^-A FORWARD -m connmark .* -j BTBLOCKER$/gm);
    assert.equal(once?.length, 2);
    assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
    await second.stop();
    assert.doesNotMatch(await savedRules(router), /BTBLOCKER/);
  },
});

const flushes: readonly [string, string[]][] = [
  ["iptables -F", ["iptables-nft", "-w", "-t", "security", "-F"]],
  ["ip6tables-restore", ["sh", "-c", "printf '*security\\nCOMMIT\\n' | ip6tables-nft-restore"]],
  ["nft flush ruleset", ["nft", "flush", "ruleset"]],
];
for (const [name, flush] of flushes) {
  Deno.test({
    name: `rules that another program flushed (${name}) are restored at once: the kernel tells`,
    ignore,
    async fn() {
      await using lab = await createRouter(BITTORRENT);
      // Nobody looks by himself.
      const gateway = await startGateway(lab, { backend: "nft", rulesCheckMs: 3_600_000 });
      const before = await savedRules(lab.router);
      for (const times of [1, 2]) {
        await lab.router.run(flush);
        const restored = /warn: Another program removed the firewall rules/g;
        await until(() => gateway.text().match(restored)?.length === times);
        assert.equal(await savedRules(lab.router), before);
        assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
      }
    },
  });
}

Deno.test({
  name: "rules of the legacy back end that another program flushed are restored",
  ignore,
  async fn() {
    await using lab = await createRouter(BITTORRENT);
    const gateway = await startGateway(lab, { backend: "legacy" });
    await lab.router.run(["iptables-legacy", "-w", "-t", "security", "-F"]);
    await gateway.printedMatch(/warn: Another program removed the firewall rules/);
    assert.equal(await talkInVain(lab, "tcp", BITTORRENT), 0);
  },
});

Deno.test({
  name: "a start that fails undoes what it did and says why",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    const holder = router.spawn(program("hold_queue", "7"));
    await holder.printedMatch(/^ready$/m);
    const offload = { xdpMode: "offload", interfaces: [lab.client.routerInterface] };
    const rows: [string, unknown, number, RegExp][] = [
      [
        "a queue is taken",
        { queueNum: 6, queueCount: 2 },
        1,
        /failed: Cannot bind NFQUEUE 7: EPERM, operation not permitted \(it is bound by .*, process \d+; stop that or choose another --queue-num\)/,
      ],
      ["the filter fails", offload, 1, /failed: Cannot drop banned addresses on .*offload mode/],
      [
        "rules fail",
        { chains: ["NOWHERE"] },
        1,
        /failed: Cannot install the firewall rules/,
      ],
      ["a worker fails", { worker: "./missing_worker.ts" }, 3, /failed: .*missing_worker/],
    ];
    for (const [name, options, code, message] of rows) {
      const gateway = await startGateway(lab, options);
      const status = await gateway.status;
      assert.match(gateway.text(), message, name);
      const told = gateway.text().match(/Cannot drop banned addresses/g) ?? [];
      assert.ok(told.length <= 1, "one error, and no warning before it");
      assert.equal(status.code, code, name);
      assert.deepEqual(await boundQueues(router), [7], name);
      assert.doesNotMatch(await savedRules(router), /BTBLOCKER/, name);
    }
    await holder.stop();
  },
});

Deno.test({
  name: "without the right to administer the network the error says so",
  ignore: ignore || liveImpossible("setpriv") !== null,
  async fn() {
    await using lab = await createRouter();
    const gateway = lab.router.spawn([
      ...["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"],
      ...program("gateway", "{}"),
    ]);
    await gateway.status;
    assert.match(
      gateway.text(),
      /failed: Cannot guard this machine: .* \(grant CAP_NET_ADMIN or run as root\)/,
    );
  },
});
