/** The rules in real namespaces, with both back ends of iptables. */

import assert from "node:assert/strict";
import type { Host } from "../../../src/demo/network.ts";
import type { MarkUser } from "../../../src/gateway/rules/mark_users.ts";
import type { Marks } from "../../../src/gateway/rules/marks.ts";
import { parseQueueStatistics } from "../../../src/gateway/queue/queue_statistics.ts";
import { MARKS } from "./traffic.ts";
import { createRouter, liveImpossible, program, savedRules } from "../live.ts";

const impossible = liveImpossible("iptables-nft", "iptables-legacy");
if (impossible !== null) console.log(`tests of the firewall rules skipped: ${impossible}`);
const ignore = impossible !== null;

const FOREIGN = `*mangle
:QOS - [0:0]
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
-A FORWARD -j QOS
-A QOS -p udp -j MARK --set-xmark 0x1/0xff
COMMIT
*filter
-A FORWARD -p tcp -m tcp --dport 25 -j DROP
COMMIT
`;

interface Answer {
  installed: boolean;
  description: string;
  warnings: string[];
  marks: Marks | null;
  users: MarkUser[];
}

async function firewall(
  router: Host,
  backend: string,
  action: string,
  traffic: unknown = {},
  table = "any",
): Promise<Answer> {
  const args = [backend, table, action, JSON.stringify(traffic)];
  return JSON.parse(await router.run(program("firewall", ...args)));
}

async function addForeignRules(router: Host, backend: string): Promise<void> {
  for (const command of ["iptables", "ip6tables"]) {
    const restore = `${command}-${backend}-restore`;
    await router.run(["sh", "-c", `printf %s "$1" | ${restore} -w 60 --noflush`, "sh", FOREIGN]);
  }
}

for (const backend of ["nft", "legacy"]) {
  Deno.test({
    name: `rules with iptables-${backend} come, stay single and go, beside others'`,
    ignore,
    async fn() {
      await using lab = await createRouter();
      const { router } = lab;
      await addForeignRules(router, backend);
      const before = await savedRules(router);
      assert.equal((await firewall(router, backend, "look")).installed, false);

      const { installed, description, warnings, marks } = await firewall(
        router,
        backend,
        "install",
      );
      assert(installed);
      assert.match(description, /^IPv4 and IPv6, iptables \(\w+\), table security$/);
      assert.deepEqual(warnings, []);
      assert.deepEqual(marks, MARKS);
      const once = await savedRules(router);
      assert.equal(once.match(/^-A FORWARD -m connmark .* -j BTBLOCKER$/gm)?.length, 2);
      for (const line of before.split("\n")) assert(once.includes(line), line);

      await firewall(router, backend, "install");
      assert.equal(await savedRules(router), once);

      await firewall(router, backend, "remove");
      const after = await savedRules(router);
      assert.doesNotMatch(after, /BTBLOCKER/);
      assert.equal(withoutEmptyTables(after), withoutEmptyTables(before));
      if (backend === "nft") assert.equal(after, before); // the tables that came by us are gone
      await firewall(router, backend, "remove"); // nothing there is no error
    },
  });

  Deno.test({
    name: `rules with iptables-${backend} replace those of another run with other settings`,
    ignore,
    async fn() {
      await using lab = await createRouter();
      const { router } = lab;
      const first = { chains: ["INPUT", "OUTPUT"], queueCount: 2, recheck: 1 << 20 };
      assert((await firewall(router, backend, "install", first, "mangle")).installed);
      assert.match(await savedRules(router), /^\*mangle$[^*]*^-A OUTPUT ! -o lo -j BTBLOCKER$/m);
      const { installed } = await firewall(router, backend, "install", { queueNumber: 9 });
      assert(installed);
      const rules = await savedRules(router);
      assert.doesNotMatch(rules, /INPUT .*BTBLOCKER|OUTPUT .*BTBLOCKER|RECHECK|queue-balance/);
      assert.equal(rules.match(/-j NFQUEUE --queue-num 9 --queue-bypass/g)?.length, 2 * 5);
      assert.equal(rules.match(/^-A FORWARD -m connmark .* -j BTBLOCKER$/gm)?.length, 2);
      // Other queues, masks and chains are not these.
      assert.equal((await firewall(router, backend, "look")).installed, false);
    },
  });
}

Deno.test({
  name: "rules left by the other back end are removed at an installation",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    await firewall(router, "legacy", "install");
    await firewall(router, "nft", "install");
    assert.equal(
      (await savedRules(router)).match(/^-A FORWARD -m connmark .* -j BTBLOCKER$/gm)?.length,
      2,
    );
    assert.doesNotMatch(await router.run(["iptables-legacy-save"]), /BTBLOCKER/);
  },
});

Deno.test({
  name: "a failing installation leaves nothing behind and says why",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    const before = await savedRules(router);
    await assert.rejects(
      firewall(router, "nft", "install", { chains: ["FORWARD", "NOWHERE"] }),
      /Cannot install the firewall rules with iptables-nft-restore: /,
    );
    assert.equal(withoutEmptyTables(await savedRules(router)), withoutEmptyTables(before));
  },
});

for (const withNft of [true, false]) {
  Deno.test({
    name: `copied marks are stripped ${
      withNft ? "by nft" : "by iptables"
    }, come, stay single and go`,
    ignore,
    async fn() {
      await using lab = await createRouter();
      const { router } = lab;
      const before = await savedRules(router);
      const strips = { stripsCopies: true, withNft };
      const copies = async () => {
        const nft = await router.run(["nft", "list", "tables"]);
        const saved = await savedRules(router);
        return {
          nft: nft.match(/btblocker_copies/g)?.length ?? 0,
          iptables: saved.match(/^-A (PREROUTING|OUTPUT) -j BTBLOCKER_COPIES$/gm)?.length ?? 0,
        };
      };
      const present = withNft ? { nft: 1, iptables: 0 } : { nft: 0, iptables: 4 };
      for (let run = 0; run < 2; run++) {
        assert((await firewall(router, "nft", "install", strips)).installed);
        assert.deepEqual(await copies(), present);
      }
      assert.equal((await firewall(router, "nft", "install", { withNft })).installed, true);
      assert.deepEqual(await copies(), { nft: 0, iptables: 0 });
      await firewall(router, "nft", "install", strips);
      await firewall(router, "nft", "remove", { withNft });
      assert.deepEqual(await copies(), { nft: 0, iptables: 0 });
      assert.equal(withoutEmptyTables(await savedRules(router)), withoutEmptyTables(before));
    },
  });
}

Deno.test({
  name: "a packet that waits in the queue outlives a change of the rules that strip copied marks",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router, client, server } = lab;
    await firewall(router, "nft", "install", { stripsCopies: true });
    const holder = router.spawn(program("hold_queue", "0"));
    await holder.printedMatch(/ready/);
    const waiting = async () =>
      parseQueueStatistics(await router.run(["cat", "/proc/self/net/netfilter/nfnetlink_queue"]))
        .get(0)?.waiting;
    await client.run(program("talk", "udp", server.ipv4, "7000", "100", "1", "1"));
    assert.equal(await waiting(), 1);
    await firewall(router, "nft", "restore", { stripsCopies: true });
    assert.equal(await waiting(), 1);
  },
});

Deno.test({
  name: "whoever uses marks on this machine is found: iptables, nft, ip rule",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    const mangle = ["iptables", "-w", "-t", "mangle", "-A"];
    await router.run([...mangle, "PREROUTING", "-j", "CONNMARK", "--restore-mark"]);
    await router.run([
      ...["iptables-legacy", "-w", "-t", "mangle", "-A", "PREROUTING"],
      ...["-j", "MARK", "--set-mark", "0x100/0xff00"],
    ]);
    await router.run([
      "sh",
      "-c",
      `printf %s "$0" | nft -f -`,
      "table inet vpn { chain out { type route hook output priority 0; meta mark set 0x6d6f6c65; }; }",
    ]);
    await router.run(["ip", "rule", "add", "fwmark", "0x40000/0xff0000", "table", "52"]);
    const { users } = await firewall(router, "system", "look");
    const bits = users.map(({ packets, copies }) => [packets >>> 0, copies >>> 0]);
    assert.deepEqual(
      [...new Set(bits.map(String))].toSorted(), // nft lists the rules of iptables-nft once more
      [
        [0, 0xffff_ffff], // restores
        [0x100, 0],
        [0x6d6f_6c65, 0],
        [0x00ff_0000, 0],
      ].map(String).toSorted(),
      JSON.stringify(users),
    );
  },
});

/** A table that was looked at stays known to the legacy back end, without rules. */
function withoutEmptyTables(saved: string): string {
  return saved.replaceAll(/^\*\w+\n(?::[A-Z]+ ACCEPT *\n)*COMMIT\n/gm, "").replaceAll(/\n+/g, "\n");
}
