/**
 * Beside fail2ban, ferm and Shorewall as Debian has them, and a connection table that is emptied. The
 * tests do not install these: they would guard the machine from then on.
 */

import assert from "node:assert/strict";
import { Bed, bedImpossible, GUARDED } from "./bed.ts";
import { REFUSED_PORT } from "./traffic.ts";

const REFUSING = { ...GUARDED, refusable: 0 };

function shell(bed: Bed, script: string): Promise<string> {
  return bed.router.run(["sh", "-ec", script]);
}

/** Nothing of ours was in their way, and nothing of theirs is different. */
async function leavesAllAsItWas(bed: Bed, act: () => Promise<void>): Promise<void> {
  const blocker = await bed.start();
  await act();
  assert.doesNotMatch(blocker.log, /WARN|ERROR/);
  assert.equal((await blocker.stop()).code, 0, blocker.log);
  assert.doesNotMatch(await bed.rules(), /BTBLOCKER/);
}

Deno.test({
  name: "fail2ban: its bans hold beside ours, through reload and stop",
  ignore: bedImpossible("services_test.ts", "fail2ban-client") !== null,
  async fn() {
    await using bed = await Bed.create();
    const d = bed.network.directory;
    await shell(bed, `mkdir ${d}/f2b && cp -r /etc/fail2ban/. ${d}/f2b && rm -f ${d}/f2b/jail.d/*`);
    await Deno.writeTextFile(
      `${d}/f2b/filter.d/mine.conf`,
      "[Definition]\nfailregex = bad <HOST>$\n",
    );
    await Deno.writeTextFile(`${d}/mine.log`, "");
    await Deno.writeTextFile(
      `${d}/f2b/jail.local`,
      `[mine]\nenabled = true\nbackend = polling\nfilter = mine\nlogpath = ${d}/mine.log\n` +
        `banaction = iptables-multiport\nport = ${REFUSED_PORT}\nchain = FORWARD\n`,
    );
    const client = `fail2ban-client -c ${d}/f2b -s ${d}/f2b.sock -p ${d}/f2b.pid`;
    await leavesAllAsItWas(bed, async () => {
      await shell(bed, `${client} --logtarget ${d}/f2b.log start`);
      try {
        const banned = [bed.client.ipv4, bed.client.ipv6].join(" ");
        await shell(bed, `${client} set mine banip ${banned}`);
        assert.deepEqual(await bed.exchange(), REFUSING, "its ban");
        await shell(bed, `${client} reload`);
        assert.deepEqual(await bed.exchange(), REFUSING, "after a reload");
      } finally {
        await shell(bed, `${client} stop`);
      }
      assert.deepEqual(await bed.exchange(), GUARDED, "stopped");
    });
  },
});

Deno.test({
  name: "ferm: run, run rule by rule, and flushed while the blocker runs",
  ignore: bedImpossible("services_test.ts", "ferm") !== null,
  async fn() {
    await using bed = await Bed.create();
    const file = `${bed.network.directory}/ferm.conf`;
    const inside = `(${bed.client.routerInterface} ${bed.torrenter.routerInterface})`;
    await Deno.writeTextFile(
      file,
      `domain (ip ip6) {
  table filter chain FORWARD {
    policy DROP;
    proto tcp dport ${REFUSED_PORT} DROP;
    mod state state (ESTABLISHED RELATED) ACCEPT;
    interface ${inside} ACCEPT;
  }
  table mangle chain FORWARD proto tcp tcp-flags (SYN RST) SYN TCPMSS clamp-mss-to-pmtu;
}
`,
    );
    await leavesAllAsItWas(bed, async () => {
      await bed.router.run(["ferm", file]);
      assert.deepEqual(await bed.exchange(), REFUSING, "ferm");
      await bed.router.run(["ferm", "--slow", file]);
      assert.deepEqual(await bed.exchange(), REFUSING, "--slow");
      await bed.router.run(["ferm", "--flush", file]);
      assert.deepEqual(await bed.exchange(), GUARDED, "--flush");
    });
  },
});

Deno.test({
  name: "Shorewall: start, reload, restart with an emptied connection table, stop, clear",
  ignore: bedImpossible("services_test.ts", "shorewall", "conntrack") !== null,
  async fn() {
    await using bed = await Bed.create();
    const d = bed.network.directory;
    const own = ["/etc/shorewall", "/var/lib/shorewall", "/run/lock"];
    await shell(bed, `mkdir ${d}/0 ${d}/1 ${d}/2 && cp /etc/shorewall/shorewall.conf ${d}/0`);
    await shell(
      bed,
      `sed -i 's/^STARTUP_ENABLED=.*/STARTUP_ENABLED=Yes/; s/^IP_FORWARDING=.*/IP_FORWARDING=Keep/' ` +
        `${d}/0/shorewall.conf`,
    );
    const { client, torrenter, server } = bed;
    const files = {
      zones: "fw firewall\nloc ipv4\nnet ipv4\n",
      interfaces: `?FORMAT 2\nloc ${client.routerInterface}\nloc ${torrenter.routerInterface}\n` +
        `net ${server.routerInterface}\n`,
      policy: "loc net ACCEPT\n$FW all ACCEPT\nall all REJECT\n",
      rules: `?SECTION NEW\nREJECT loc net tcp ${REFUSED_PORT}\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${d}/0/${name}`, text);
    }
    const mounts = own.map((path, index) => `mount --bind ${d}/${index} ${path}`).join(" && ");
    const shorewall = (...args: string[]) =>
      bed.router.run([
        "unshare",
        "--mount",
        "sh",
        "-ec",
        `${mounts} && exec shorewall ${args.join(" ")}`,
      ]);
    // It has no IPv6 of its own: that passes as before.
    const refusing = { ...GUARDED, refusable: 5 };
    await leavesAllAsItWas(bed, async () => {
      for (const args of [["start"], ["reload"], ["restart", "-f"], ["restart", "-p"]]) {
        await shorewall(...args);
        assert.deepEqual(await bed.exchange(), refusing, args.join(" "));
      }
      await shorewall("stop");
      assert.deepEqual(
        await bed.exchange(),
        { tcp: 25, udp: 25, refusable: 5, torrents: 0 },
        "stop",
      );
      await shorewall("clear");
      assert.deepEqual(await bed.exchange(), GUARDED, "clear");
    });
  },
});
