import assert from "node:assert/strict";
import { Spool } from "../../src/fleet/spool.ts";
import { ban } from "./bans.ts";

const addresses = (spool: Spool) => spool.first(1_000).map(({ address }) => address);
const none = (message: string) => assert.fail(message);

async function inDirectory(action: (path: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    action(`${directory}/state/fleet.spool`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the spool outlives its process, and is nobody else's to read", () =>
  inDirectory((path) => {
    const first = new Spool(path, none);
    assert.equal(first.isOld, false);
    for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) first.add(ban(address));
    first.save();
    first.add(ban("192.0.2.4")); // not saved: the process is killed
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.equal(Deno.statSync(path.slice(0, path.lastIndexOf("/"))).mode! & 0o777, 0o700);
    const second = new Spool(path, none);
    assert.equal(second.isOld, true);
    assert.deepEqual(addresses(second), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert.equal(second.has("192.0.2.2"), true);
    second.done(second.first(2));
    assert.equal(second.has("192.0.2.2"), false);
    second.add(ban("192.0.2.3"));
    second.done(second.first(1));
    assert.equal(second.has("192.0.2.3"), true, "twice in it");
    second.done(second.first(1));
    assert.equal(Deno.statSync(path).size, 0);
    assert.equal(new Spool(path, none).isOld, true, "an empty one too");
  }));

Deno.test("a torn line costs that line", () =>
  inDirectory((path) => {
    const first = new Spool(path, none);
    first.add(ban("192.0.2.1"));
    first.add(ban("192.0.2.2"));
    first.save();
    Deno.truncateSync(path, Deno.statSync(path).size - 20);
    const second = new Spool(path, none);
    assert.deepEqual(addresses(second), ["192.0.2.1"]);
    second.add(ban("192.0.2.3"));
    second.save();
    assert.deepEqual(addresses(new Spool(path, none)), ["192.0.2.1", "192.0.2.3"]);
  }));

Deno.test("the oldest make room, in the file too", () =>
  inDirectory((path) => {
    const spool = new Spool(path, none, 100);
    for (let i = 0; i < 1_000; i++) {
      spool.add(ban(`10.0.${i >> 8}.${i & 255}`));
      if (i % 7 === 0) spool.save();
    }
    spool.save();
    assert.equal(spool.length, 100);
    assert.equal(spool.lost, 900);
    assert.equal(spool.has("10.0.0.1"), false);
    const lines = Deno.readTextFileSync(path).split("\n").length - 1;
    assert.ok(lines <= 220, `${lines} lines`);
    const again = new Spool(path, none, 100);
    assert.deepEqual(addresses(again), addresses(spool));
  }));

Deno.test("what made room while it was told of is not missed", () =>
  inDirectory((path) => {
    const spool = new Spool(path, none, 3);
    for (const i of [1, 2, 3]) spool.add(ban(`192.0.2.${i}`));
    const batch = spool.first(2);
    spool.add(ban("192.0.2.4")); // the first is gone
    spool.done(batch);
    assert.deepEqual(addresses(spool), ["192.0.2.3", "192.0.2.4"]);
  }));

Deno.test("a directory that cannot be made is told once; bans wait in memory", () => {
  const told: string[] = [];
  const spool = new Spool("/proc/no/such/fleet.spool", (message) => told.push(message));
  spool.add(ban("192.0.2.1"));
  spool.save();
  spool.add(ban("192.0.2.2"));
  spool.save();
  assert.equal(spool.length, 2);
  assert.ok(told.length <= 2 && told.length > 0, told.join("\n"));
});

Deno.test("a lifted ban is gone, from the file too, and the others are told", () =>
  inDirectory((path) => {
    const spool = new Spool(path, none);
    for (const i of [1, 2, 1, 3]) spool.add(ban(`192.0.2.${i}`));
    const batch = spool.first(3); // under way
    spool.save();
    spool.add(ban("192.0.2.1")); // not in the file yet
    spool.add(ban("192.0.2.4"));
    assert.equal(spool.forget("192.0.2.1"), 3);
    assert.equal(spool.forget("192.0.2.9"), 0);
    assert.equal(spool.has("192.0.2.1"), false);
    const left = ["192.0.2.2", "192.0.2.3", "192.0.2.4"];
    assert.deepEqual(addresses(spool), left);
    assert.deepEqual(addresses(new Spool(path, none)), left);
    spool.done(batch);
    assert.deepEqual(addresses(spool), left.slice(1));
    assert.equal(spool.clear(), 2);
    assert.equal(Deno.statSync(path).size, 0);
  }));

Deno.test("what is lifted while the disk is full leaves the file later", () =>
  inDirectory((path) => {
    const told: string[] = [];
    const spool = new Spool(path, (message) => told.push(message));
    for (const i of [1, 2]) spool.add(ban(`192.0.2.${i}`));
    spool.save();
    Deno.mkdirSync(`${path}.new`); // nothing can be written there
    spool.forget("192.0.2.1");
    assert.equal(told.length, 1);
    Deno.removeSync(`${path}.new`);
    spool.save();
    assert.deepEqual(addresses(new Spool(path, none)), ["192.0.2.2"]);
  }));

Deno.test("without a path bans wait in memory, and nothing is said", () => {
  const spool = new Spool(null, none);
  for (const i of [1, 2, 3]) spool.add(ban(`192.0.2.${i}`));
  spool.save();
  spool.done(spool.first(1));
  assert.equal(spool.forget("192.0.2.3"), 1);
  assert.deepEqual(addresses(spool), ["192.0.2.2"]);
  assert.equal(spool.isOld, false);
});
