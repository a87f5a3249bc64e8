import assert from "node:assert/strict";
import { type Host, Network } from "../../src/demo/network.ts";
import { boundQueues, liveImpossible, savedRules } from "../gateway/live.ts";
import { startUnprivileged, USER } from "./unprivileged.ts";

const impossible = liveImpossible("unshare", "bash", "iptables-legacy-save");
const why = impossible === null ? "" : ` (skipped: ${impossible})`;

const ALL = "+net_admin,+bpf,+perfmon,+net_raw";
/** A ping of the DHT (BEP 5). */
const DHT_PING = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT201:y1:qe";

async function sendDht(from: Host, to: Host): Promise<void> {
  await from.run(["bash", "-c", `printf %s '${DHT_PING}' >/dev/udp/${to.ipv4}/6881`]);
}

Deno.test({
  name: `non-root with the unit's four capabilities: rules, XDP, pins, bans, a clean stop${why}`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btuser");
    const { router } = network;
    const client = await network.addHost("client");
    const server = await network.addHost("server");
    const before = await savedRules(router);
    const args = ["run", "--interface", client.routerInterface, "--queue-count", "1"];
    const blocker = await startUnprivileged(router, ALL, args);
    await blocker.printedMatch(/Guarding FORWARD .*bans in the kernel on .*to_client/);
    const status = Deno.readTextFileSync(`/proc/${blocker.pid}/status`);
    assert.match(status, new RegExp(`^Uid:\\s+${USER}\\s+${USER}\\s`, "m"));
    assert.match(status, /^CapEff:\s+000000c000003000$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.doesNotMatch(blocker.text(), /WARN|ERROR|not kept over a crash/);
    assert.match(await savedRules(router), /-A FORWARD -m connmark .* -j BTBLOCKER$/m);
    assert.deepEqual(await boundQueues(router), [0]);
    assert.match(blocker.text(), /Banned addresses are dropped on to_client by tc ingress \(tcx/);
    assert.match(blocker.text(), /TLS, SSH, QUIC, DNS and their like are settled in the kernel/);

    await sendDht(client, server);
    const banned = new RegExp(`banned ${client.ipv4} for 5h`);
    await blocker.printedMatch(banned);
    const connect = (from: Host, to: string, patienceMs?: number) =>
      from.run(["bash", "-c", `echo >/dev/tcp/${to}/9`], patienceMs).then(
        () => "",
        (error) => `${error}`,
      );
    assert.match(await connect(client, server.ipv4, 1_500), /no end within/, "the banned one");
    assert.match(await connect(server, "198.18.2.1"), /refused/);

    const pins = `/proc/${blocker.pid}/root/sys/fs/bpf/btblocker`;
    assert.equal([...Deno.readDirSync(pins)].length, 1, "the pins of this network namespace");
    blocker.kill("SIGHUP");
    await blocker.printedMatch(/Reloaded/);
    assert.equal((await blocker.stop()).code, 0, blocker.text());
    assert.equal(await savedRules(router), before);
    assert.deepEqual(await boundQueues(router), []);
  },
});

Deno.test({
  name: `non-root with the legacy back end of iptables: rules in both families, a clean stop${why}`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btuser");
    const { router } = network;
    await network.addHost("client");
    const args = ["run", "--interface", "to_client", "--queue-count", "1"];
    const blocker = await startUnprivileged(router, ALL, args, "legacy");
    await blocker.printedMatch(/Guarding FORWARD \(IPv4 and IPv6, iptables \(legacy\)/);
    for (const command of ["iptables-legacy-save", "ip6tables-legacy-save"]) {
      assert.match(await router.run([command]), /-A FORWARD -m connmark .* -j BTBLOCKER$/m);
    }
    assert.equal((await blocker.stop()).code, 0, blocker.text());
    assert.doesNotMatch(await savedRules(router), /BTBLOCKER/);
  },
});

Deno.test({
  name: `non-root without CAP_BPF or CAP_PERFMON: blocks, bans hold in user space${why}`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btuser");
    const client = await network.addHost("client");
    const server = await network.addHost("server");
    for (const capabilities of ["+net_admin", "+net_admin,+bpf"]) {
      const args = ["run", "--interface", client.routerInterface, "--queue-count", "1"];
      const blocker = await startUnprivileged(network.router, capabilities, args);
      await blocker.printedMatch(/Guarding FORWARD .*bans in user space only/);
      await sendDht(client, server);
      await blocker.printedMatch(/banned 198\.18\.1\.2 for 5h/);
      assert.equal((await blocker.stop()).code, 0, blocker.text());
    }
  },
});

Deno.test({
  name: `non-root without CAP_NET_ADMIN: one line says what is missing${why}`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btuser");
    const blocker = await startUnprivileged(network.router, "+bpf", ["run"]);
    await blocker.printedMatch(/CAP_NET_ADMIN/);
    assert.equal((await blocker.status).code, 1);
    assert.equal(blocker.text().trim().split("\n").length, 1, blocker.text());
  },
});
