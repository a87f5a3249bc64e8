import assert from "node:assert/strict";
import { thisMachine } from "../../src/who/machine.ts";
import { procAddress } from "../../src/who/processes.ts";
import { type Machine, Who } from "../../src/who/who.ts";

/** A machine of texts, whose files change with each write. */
function machineOf(files: Record<string, string>, wireguard: string | null = null) {
  const encoder = new TextEncoder();
  let now = 0;
  const machine: Machine & { pass(ms: number): void; reads: number } = {
    reads: 0,
    read(path) {
      this.reads++;
      return files[path] === undefined ? null : encoder.encode(files[path]);
    },
    version: (path) => files[path] ?? null,
    list: (directory) => Object.keys(files).filter((path) => path.startsWith(`${directory}/`)),
    link: () => null,
    wireguard: () => wireguard,
    nowMs: () => now,
    pass: (ms) => {
      now += ms;
    },
  };
  return machine;
}

const ARP = `IP address       HW type     Flags       HW address            Mask     Device
192.168.1.23     0x1         0x2         52:54:00:12:34:56     *        eth1
`;
const LEASES = "/var/lib/misc/dnsmasq.leases";

Deno.test("Who: a lease says more than the neighbour's hardware address", () => {
  const who = new Who(machineOf({
    "/proc/net/arp": ARP,
    [LEASES]: "0 52:54:00:12:34:56 192.168.1.23 laptop *\n",
  }));
  assert.equal(who.of("192.168.1.23")?.name, "laptop");
  assert.equal(who.of("192.168.1.24"), null);
});

Deno.test("Who: without a lease the neighbour's hardware address is known", () => {
  const who = new Who(machineOf({ "/proc/net/arp": ARP }));
  assert.deepEqual(who.of("192.168.1.23"), {
    source: "neighbour",
    id: "52:54:00:12:34:56",
    name: null,
  });
});

Deno.test("Who: the longest allowed network names the WireGuard peer", () => {
  const dump = [
    "wg0\tprivate\tpublic\t51820\toff",
    "wg0\tA=\t(none)\t(none)\t10.8.0.0/24\t0\t0\t0\toff",
    "wg0\tB=\t(none)\t(none)\t10.8.0.5/32,FD00:8:0::5/128\t0\t0\t0\toff",
  ].join("\n");
  const who = new Who(
    machineOf({ "/etc/wireguard/wg0.conf": "# bob\n[Peer]\nPublicKey = B=" }, dump),
  );
  assert.equal(who.of("10.8.0.5")?.name, "bob");
  assert.equal(who.of("fd00:8::5")?.name, "bob");
  assert.equal(who.of("10.8.0.6")?.id, "A=");
  assert.equal(who.of("10.9.0.6"), null);
});

Deno.test("Who: tables are read again when they have changed, at most once a second", () => {
  const files: Record<string, string> = { [LEASES]: "0 52:54:00:00:00:01 10.0.0.1 one *\n" };
  const machine = machineOf(files);
  const who = new Who(machine);
  assert.equal(who.of("10.0.0.1")?.name, "one");
  const { reads } = machine;
  for (let i = 0; i < 1000; i++) who.of("10.0.0.1");
  assert.equal(machine.reads, reads);
  files[LEASES] = "0 52:54:00:00:00:01 10.0.0.1 two *\n";
  assert.equal(who.of("10.0.0.1")?.name, "one");
  machine.pass(1_000);
  assert.equal(who.of("10.0.0.1")?.name, "two");
  delete files[LEASES];
  machine.pass(1_000);
  assert.equal(who.of("10.0.0.1"), null);
});

Deno.test({
  name: "Who: the owner of a real socket of this machine",
  ignore: Deno.build.os !== "linux",
  fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const who = new Who(thisMachine());
    const person = who.ofPort("tcp", 4, procAddress([0x7f00_0001]), port);
    assert.equal(person?.id, `uid ${Deno.uid()}`);
    assert.equal(who.ofPort("udp", 4, procAddress([0x7f00_0001]), port), null);
  },
});
