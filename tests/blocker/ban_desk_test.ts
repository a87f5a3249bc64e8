import assert from "node:assert/strict";
import { BanDesk } from "../../src/blocker/ban_desk.ts";
import { type BanAction, readBanRequest } from "../../src/blocker/ban_request.ts";
import { UsageError } from "../../src/errors.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans, REASON_FLEET } from "../../src/gateway/bans/bans.ts";
import { networkKey } from "../../src/gateway/bans/ban_key.ts";
import { type Cidr, Networks, parseNetwork } from "../../src/gateway/network/networks.ts";

const ignore = Deno.build.os !== "linux"; // the kernel's clock
const HOUR = 3_600_000;
const NOBODY = { whyNever: () => null };

function never(network: string, why: string) {
  const networks = Networks.of(network);
  return { whyNever: (key: Cidr) => networks.overlaps(key) ? why : null };
}

function bansInUserSpace(): Bans {
  const table = BanTable.buffer(64);
  return new Bans({ table, scope: "ip", maps: {} });
}

const request = (action: BanAction, ...addresses: string[]) => {
  return { action, addresses, durationSeconds: 60 };
};

Deno.test("requests: all or nothing, and never what must not be banned", { ignore }, async () => {
  const bans = bansInUserSpace();
  const desk = new BanDesk(bans, never("192.0.2.1", "192.0.2.1 is spared"));
  const answer = (...args: Parameters<typeof request>) => desk.answer(request(...args));
  await assert.rejects(answer("add", "10.0.0.1", "10.0.0.0/7"), UsageError);
  await assert.rejects(
    answer("add", "10.0.0.1", "192.0.2.1"),
    /^EnvironmentError: Cannot ban 192\.0\.2\.1: 192\.0\.2\.1 is spared$/,
  );
  assert.equal(bans.size, 0);
  const [added] = await answer("add", "10.0.0.1");
  assert.ok(added.type === "added" && added.isNew && added.untilMs > Date.now() + 30_000);
  assert.deepEqual(await answer("remove", "10.0.0.1", "10.0.0.2"), [
    { type: "removed", address: "10.0.0.1", wasBanned: true, flows: 0 },
    { type: "removed", address: "10.0.0.2", wasBanned: false, flows: 0 },
  ]);
  const written = ["2001:DB8::0:7", "::ffff:9.9.9.9"];
  const named = async (action: BanAction) =>
    (await answer(action, ...written)).map((one) => "address" in one ? one.address : null);
  assert.deepEqual(await named("add"), ["2001:db8::/64", "9.9.9.9"], "as list has them");
  assert.deepEqual(await named("remove"), ["2001:db8::7", "9.9.9.9"]);
  await answer("add", "2001:db8::1");
  assert.deepEqual(await answer("remove", "2001:db8::2"), [
    {
      ...{ type: "removed", address: "2001:db8::2", wasBanned: true, flows: 0 },
      network: "2001:db8::/64",
    },
  ], "what else was lifted is told");
  await answer("add", "10.0.0.1", "2001:db8::1");
  assert.deepEqual(await answer("clear"), [{ type: "cleared", bans: 2 }]);
  assert.deepEqual(await answer("list"), []);
});

Deno.test("the page lifts what list names: an address and a network, told to the fleet", {
  ignore,
}, () => {
  const bans = bansInUserSpace();
  const forgotten: unknown[] = [];
  const fleet = {
    lift: () => Promise.reject(new Error("not asked for")),
    forget: (addresses: readonly string[] | null) => forgotten.push(addresses),
  };
  const desk = new BanDesk(bans, NOBODY, { fleet: () => fleet });
  bans.add(networkKey(parseNetwork("192.0.2.0/24")!), HOUR, REASON_FLEET);
  const [listed] = desk.list();
  assert.equal(listed.address, "192.0.2.0/24");
  assert.deepEqual(desk.remove([listed.address]), [
    { type: "removed", address: "192.0.2.0/24", wasBanned: true, flows: 0 },
  ]);
  assert.deepEqual(desk.list(), []);
  assert.deepEqual(forgotten, [["192.0.2.0/24"]]);
  assert.throws(() => desk.remove(["192.0.2.0/33"]), UsageError);
});

Deno.test("in the fleet: lifted there first, refused where there is none", { ignore }, async () => {
  const bans = bansInUserSpace();
  const order: string[] = [];
  const fleet = {
    lift: (addresses: readonly string[]) => {
      order.push("lift");
      assert.equal(bans.size, 1, "there first");
      return Promise.resolve(addresses.map(() => 3));
    },
    forget: () => void order.push("forget"),
  };
  const everywhere = { ...request("remove", "10.0.0.1"), fleet: true };
  const desk = new BanDesk(bans, NOBODY, { fleet: () => fleet });
  await desk.answer(request("add", "10.0.0.1"));
  assert.deepEqual(await desk.answer(everywhere), [
    { type: "removed", address: "10.0.0.1", wasBanned: true, flows: 0, decisions: 3 },
  ]);
  assert.deepEqual(order, ["lift", "forget"]);
  const alone = new BanDesk(bans, NOBODY);
  await assert.rejects(alone.answer(everywhere), /no btblocker that is in one runs here/);
});

Deno.test("readBanRequest() takes nothing else", () => {
  const bad = [null, undefined, 1, "list", {}, {
    action: "ban",
    addresses: [],
    durationSeconds: 1,
  }];
  for (const value of bad) assert.throws(() => readBanRequest(value), UsageError);
  assert.deepEqual(readBanRequest(request("list")), request("list"));
});
