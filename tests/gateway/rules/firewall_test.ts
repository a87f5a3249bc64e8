/** The rules in real namespaces, with both back ends of iptables. */

import assert from "node:assert/strict";
import type { Host } from "../../../src/demo/network.ts";
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
  conflicts: string[];
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

      const { installed, description, warnings, conflicts } = await firewall(
        router,
        backend,
        "install",
      );
      assert(installed);
      assert.match(description, /^IPv4 and IPv6, iptables \(\w+\), table security$/);
      assert.deepEqual([warnings, conflicts], [[], []]);
      const once = await savedRules(router);
      assert.equal(once.match(/^-A FORWARD -j BTBLOCKER$/gm)?.length, 2);
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
      assert.equal(rules.match(/^-A FORWARD -j BTBLOCKER$/gm)?.length, 2);
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
    assert.equal((await savedRules(router)).match(/^-A FORWARD -j BTBLOCKER$/gm)?.length, 2);
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

Deno.test({
  name: "rules of others that use our mark bits are named",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    await router.run([
      "iptables",
      "-w",
      "-t",
      "mangle",
      "-A",
      "PREROUTING",
      "-j",
      "CONNMARK",
      "--restore-mark",
    ]);
    const { conflicts } = await firewall(router, "system", "look");
    assert.equal(conflicts.length, 1);
    assert.match(conflicts[0], /^-A PREROUTING -j CONNMARK --restore-mark/);
  },
});

/** A table that was looked at stays known to the legacy back end, without rules. */
function withoutEmptyTables(saved: string): string {
  return saved.replaceAll(/^\*\w+\n(?::[A-Z]+ ACCEPT *\n)*COMMIT\n/gm, "").replaceAll(/\n+/g, "\n");
}
