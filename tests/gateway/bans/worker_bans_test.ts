import assert from "node:assert/strict";
import { bootTimeMs } from "../../../ffi/libc.ts";
import type { Detection } from "../../../src/engine/engine.ts";
import type { BanScope, BanTarget } from "../../../src/gateway/bans/ban_policy.ts";
import { HOOK_FORWARD, HOOK_INPUT, HOOK_OUTPUT } from "../../../src/gateway/bans/ban_policy.ts";
import { BanTable } from "../../../src/gateway/bans/ban_table.ts";
import { Networks, parseNetwork } from "../../../src/gateway/network/networks.ts";
import { WorkerBans } from "../../../src/gateway/bans/worker_bans.ts";
import { Packet } from "../../../src/packet/packet.ts";
import { match } from "../../../src/protocols/match.ts";
import { BOTH_ENDS, SOURCE_END } from "../../../src/engine/sender.ts";
import { addressPair } from "../bytes.ts";

const ignore = Deno.build.os !== "linux";
const UDP = 17;
const CLIENT = "192.168.1.100";
const PEER = "198.51.100.9";
const GATEWAY = "192.168.1.1";

function shared(...texts: string[]): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(Networks.byteLength(8));
  new Networks(buffer).replace(texts.map((text) => parseNetwork(text)!));
  return buffer;
}

function workerBans(
  target: BanTarget,
  scope: BanScope = "ip",
  requiresReply = true,
): WorkerBans {
  const uplinks = new SharedArrayBuffer(8);
  const table = BanTable.buffer(64);
  return new WorkerBans({
    handles: { table, scope, maps: {} },
    ...{ target, durationMs: 60_000, escalation: null, requiresReply, uplinks },
    ...{ never: shared("203.0.113.1"), ours: shared("192.168.0.0/16") },
    ...{ own: shared(GATEWAY), openPorts: [22, 2222] },
  });
}

function detection(source: string, destination: string, more: Partial<Detection> = {}): Detection {
  return {
    match: match("dht", "ping", "proof", "ping query"),
    ...{
      client: null,
      infoHash: null,
      mayBan: true,
      acted: BOTH_ENDS,
      offenders: BOTH_ENDS,
      real: BOTH_ENDS,
      family: 4,
      protocol: UDP,
      initiatorIsSource: true,
    },
    ...{ source, sourcePort: 6881, destination, destinationPort: 51_413 },
    address: addressPair(source, destination),
    ...{ payload: new Uint8Array(), payloadLength: 0, ban: true },
    ...more,
  };
}

/** Whom it bans, without for how long. */
function whom(bans: WorkerBans, found: Detection, hook: number): string[] {
  return bans.ban(found, hook).map(({ target }) => target);
}

function packet(source: string, sourcePort: number, destination: string, port: number): Packet {
  const packet = new Packet();
  packet.address.set(addressPair(source, destination));
  packet.protocol = UDP;
  packet.sourcePort = sourcePort;
  packet.destinationPort = port;
  packet.timeMs = bootTimeMs();
  return packet;
}

// Whom a detection from the client to the peer bans.
const targets = [
  ["source", [CLIENT]],
  ["remote", [PEER]],
  ["both", [CLIENT, PEER]],
  ["none", []],
] as const;

for (const [target, wanted] of targets) {
  Deno.test(`BAN_TARGET=${target} bans ${wanted.join(" and ") || "nobody"}`, { ignore }, () => {
    const bans = workerBans(target);
    assert.deepEqual(whom(bans, detection(CLIENT, PEER), HOOK_FORWARD), wanted);
    const other = "192.0.2.200";
    for (const address of [CLIENT, PEER]) {
      const isBanned = (wanted as readonly string[]).includes(address);
      assert.equal(bans.drops(packet(address, 1, other, 2)), isBanned, `from ${address}`);
      assert.equal(bans.drops(packet(other, 1, address, 2)), isBanned, `to ${address}`);
    }
  });
}

Deno.test("BAN_SCOPE=endpoint bans a port and tells so", { ignore }, () => {
  const bans = workerBans("source", "endpoint");
  assert.deepEqual(whom(bans, detection(CLIENT, PEER), HOOK_FORWARD), [`${CLIENT}:6881`]);
  assert.equal(bans.drops(packet(CLIENT, 6881, PEER, 1)), true);
  assert.equal(bans.drops(packet(PEER, 1, CLIENT, 6881)), true);
  assert.equal(bans.drops(packet(CLIENT, 6882, PEER, 1)), false);
});

// [name, detection, hook, banned]
const cautions = [
  ["what may not be banned for", detection(CLIENT, PEER, { mayBan: false }), HOOK_FORWARD, []],
  ["a sender who may be forged", detection(PEER, CLIENT, { real: 0 }), HOOK_FORWARD, []],
  [
    "this machine's own datagram: nobody, unanswered",
    detection("203.0.113.1", PEER, { acted: SOURCE_END, offenders: SOURCE_END }),
    HOOK_OUTPUT,
    [],
  ],
  ["this machine's own: who has answered", detection("203.0.113.1", PEER), HOOK_OUTPUT, [PEER]],
  ["a peer of this machine", detection(PEER, "203.0.113.1"), HOOK_INPUT, [PEER]],
  ["never this machine", detection("203.0.113.1", PEER), HOOK_FORWARD, []],
] as const;

for (const [name, found, hook, wanted] of cautions) {
  Deno.test(`ban() of ${name}`, { ignore }, () => {
    assert.deepEqual(whom(workerBans("source"), found, hook), wanted);
  });
}

Deno.test("with BAN_REQUIRES_REPLY=false ban() of a sender who may be forged", { ignore }, () => {
  const forged = detection(CLIENT, PEER, { real: 0 });
  assert.deepEqual(whom(workerBans("source", "ip", false), forged, HOOK_FORWARD), [CLIENT]);
});

// From or to the banned client: [what, source, its port, destination, its port, dropped]
const managing = [
  ["SSH to this machine", CLIENT, 50_000, GATEWAY, 22, false],
  ["its answer", GATEWAY, 22, CLIENT, 50_000, false],
  ["another port of this machine", CLIENT, 50_000, GATEWAY, 80, true],
  ["its answer", GATEWAY, 80, CLIENT, 50_000, true],
  ["from an open port to a shut one", CLIENT, 22, GATEWAY, 80, true],
  ["an open port of another machine", CLIENT, 50_000, PEER, 22, true],
  ["its answer", PEER, 22, CLIENT, 50_000, true],
  ["a call of this machine to an open port", GATEWAY, 50_000, CLIENT, 22, true],
] as const;

for (const [what, source, sourcePort, destination, port, dropped] of managing) {
  const name = `of a banned address, ${what} (${source}:${sourcePort} to ${destination}:${port})`;
  Deno.test(`${name} ${dropped ? "is dropped" : "passes"}`, { ignore }, () => {
    for (const scope of ["ip", "endpoint"] as const) {
      const bans = workerBans("source", scope);
      const own = source === CLIENT ? sourcePort : port;
      whom(bans, { ...detection(CLIENT, PEER), sourcePort: own }, HOOK_FORWARD);
      assert.equal(bans.drops(packet(source, sourcePort, destination, port)), dropped, scope);
    }
  });
}
