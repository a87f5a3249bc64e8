import assert from "node:assert/strict";
import { HostAddresses } from "../../../src/gateway/network/host_addresses.ts";
import { formatAddress } from "../../../src/packet/address.ts";

const HOUR = 3_600_000;

function setUp(hosts: string[], answers: (host: string) => string[]) {
  let now = 0;
  const warnings: string[] = [];
  let taken: string[] = [];
  const options = {
    ...{ hosts, nowMs: () => now, warn: (message: string) => void warnings.push(message) },
    take: (addresses: readonly Int32Array[]) => {
      taken = addresses.map((words) => formatAddress(words, 0)).sort();
    },
    resolve: (host: string) => Promise.resolve().then(() => answers(host)),
  };
  return { options, warnings, taken: () => taken, at: (ms: number) => void (now = ms) };
}

Deno.test("addresses of a name are gathered, and kept for a day after the last answer", async () => {
  let answer = ["192.0.2.1", "2001:db8::1"];
  const { options, taken, at, warnings } = setUp(["lapi.example"], () => answer);
  using hosts = await HostAddresses.watch(options);
  assert.deepEqual(taken(), ["192.0.2.1", "2001:db8::1"]);
  answer = ["192.0.2.2"];
  at(HOUR);
  await hosts.refresh();
  assert.deepEqual(taken(), ["192.0.2.1", "192.0.2.2", "2001:db8::1"], "the old ones too");
  at(25 * HOUR);
  await hosts.refresh();
  assert.deepEqual(taken(), ["192.0.2.2"]);
  assert.deepEqual(warnings, []);
});

Deno.test("addresses are taken as they are; a name that is not found is told once", async () => {
  const { options, taken, warnings } = setUp(["[2001:db8::7]", "192.0.2.9", "gone.example"], () => {
    throw new Error("no such host");
  });
  using hosts = await HostAddresses.watch(options);
  await hosts.refresh();
  assert.deepEqual(taken(), ["192.0.2.9", "2001:db8::7"]);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0],
    /^Cannot resolve gone\.example, so its addresses may be banned: no such/,
  );
});

Deno.test("names of this machine's hosts file are found without a resolver", async () => {
  const { options, taken } = setUp(["localhost"], () => []);
  using _ = await HostAddresses.watch({ ...options, resolve: undefined });
  assert.ok(taken().includes("127.0.0.1") || taken().includes("::1"), taken().join());
});
