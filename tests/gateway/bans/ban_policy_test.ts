import assert from "node:assert/strict";
import {
  type Accused,
  BAN_TARGETS,
  type BanPolicy,
  type BanTarget,
  banTargets,
  HOOK_FORWARD,
  HOOK_INPUT,
  HOOK_OUTPUT,
} from "../../../src/gateway/bans/ban_policy.ts";
import { BOTH_ENDS, DESTINATION_END, SOURCE_END } from "../../../src/engine/sender.ts";
import {
  Networks,
  parseNetwork,
  PRIVATE_NETWORKS,
  SPECIAL_NETWORKS,
} from "../../../src/gateway/network/networks.ts";
import { addressPair } from "../bytes.ts";

const OWN = "203.0.113.1";
const GATEWAY = "203.0.113.254";
const CLIENT = "192.168.1.100";
const CLIENT6 = "2001:db8:77::100"; // in a connected network
const PEER = "198.51.100.9";
const PEER6 = "2001:db8:9::9";
const WHITE = "198.51.100.77";

function policy(target: BanTarget): BanPolicy {
  const never = new Networks(new SharedArrayBuffer(Networks.byteLength(32)));
  const texts = [OWN, GATEWAY, `${WHITE}/32`];
  never.replace([...SPECIAL_NETWORKS, ...texts.map((text) => parseNetwork(text)!)]);
  const ours = new Networks(new SharedArrayBuffer(Networks.byteLength(32)));
  ours.replace([...PRIVATE_NETWORKS, parseNetwork("2001:db8:77::/64")!]);
  return { target, requiresReply: true, never, ours };
}

/** Both ends have acted and are real, unless said otherwise. */
function accused(
  address: Int32Array,
  initiatorIsSource: boolean,
  changes: Partial<Accused> = {},
): Accused {
  const ends = { acted: BOTH_ENDS, offenders: BOTH_ENDS, real: BOTH_ENDS };
  return { address, initiatorIsSource, mayBan: true, ...ends, ...changes };
}

const S = SOURCE_END;
const D = DESTINATION_END;
const [IN, FWD, OUT] = [HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT];

// hook, source, destination, source is initiator; ends banned with source, remote, both
const cases = [
  ["a client calls a peer", FWD, CLIENT, PEER, true, S, D, S | D],
  ["a peer answers a client", FWD, PEER, CLIENT, false, S, S, S | D],
  ["a peer calls a client", FWD, PEER, CLIENT, true, S, S, S | D],
  ["a client answers a peer", FWD, CLIENT, PEER, false, S, D, S | D],
  ["the same with IPv6", FWD, CLIENT6, PEER6, true, S, D, S | D],
  ["neither end is ours: the responder", FWD, PEER, "192.0.2.1", true, S, D, S | D],
  ["neither end is ours, from the responder", FWD, PEER, "192.0.2.1", false, S, S, S | D],
  ["both ends are ours: the responder", FWD, CLIENT, "10.0.0.9", true, S, D, S | D],
  ["this machine calls a peer", OUT, OWN, PEER, true, D, D, D],
  ["this machine answers a peer", OUT, OWN, PEER, false, D, D, D],
  ["a peer calls this machine", IN, PEER, OWN, true, S, S, S],
  ["a client calls this machine", IN, CLIENT, OWN, true, S, S, S],
  ["the gateway itself", IN, GATEWAY, OWN, true, 0, 0, 0],
  ["this machine to its gateway", OUT, OWN, GATEWAY, true, 0, 0, 0],
  ["a whitelisted peer", FWD, CLIENT, WHITE, true, S, 0, S],
  ["from a whitelisted peer", FWD, WHITE, CLIENT, true, 0, 0, D],
  ["multicast (LSD)", FWD, CLIENT, "239.192.152.143", true, S, 0, S],
  ["multicast, IPv6", FWD, CLIENT6, "ff15::efc0:988f", true, S, 0, S],
  ["broadcast", FWD, CLIENT, "255.255.255.255", true, S, 0, S],
  ["loopback", OUT, "127.0.0.1", "127.0.0.1", true, 0, 0, 0],
  ["loopback, IPv6", OUT, "::1", "::1", true, 0, 0, 0],
  ["no address yet (DHCP)", FWD, "0.0.0.0", PEER, true, 0, D, D],
] as const;

for (const [name, hook, source, destination, initiatorIsSource, ...wanted] of cases) {
  const address = addressPair(source, destination);
  for (const [index, target] of (["source", "remote", "both"] as const).entries()) {
    Deno.test(`BAN_TARGET=${target}, ${name}`, () => {
      const ends = banTargets(accused(address, initiatorIsSource), hook, policy(target));
      assert.equal(ends, wanted[index]);
    });
  }
  Deno.test(`BAN_TARGET=none, ${name}`, () => {
    assert.equal(banTargets(accused(address, initiatorIsSource), hook, policy("none")), 0);
  });
}

Deno.test("whatever the target, never an address of the never list", () => {
  for (const target of BAN_TARGETS) {
    for (const hook of [IN, FWD, OUT]) {
      for (const one of [OWN, GATEWAY, WHITE, "127.0.0.1", "224.0.0.1", "::", "::1", "ff02::1"]) {
        for (const initiator of [true, false]) {
          const both = addressPair(one, one);
          assert.equal(banTargets(accused(both, initiator), hook, policy(target)), 0);
        }
      }
    }
  }
});

Deno.test("only who acted in BitTorrent is banned, whatever the target", () => {
  const sent = { acted: S, offenders: S };
  for (const target of BAN_TARGETS) {
    for (const hook of [IN, FWD, OUT]) {
      const one = accused(addressPair(CLIENT, PEER), true, sent);
      assert.equal(banTargets(one, hook, policy(target)) & D, 0, `${target} ${hook}`);
    }
  }
  const answered = accused(addressPair(CLIENT, PEER), true, { acted: S | D, offenders: S });
  assert.equal(banTargets(answered, OUT, policy("remote")), D);
});

Deno.test("a tracker's answer bans who asked, and the tracker only as the remote end", () => {
  const answer = accused(addressPair(PEER, CLIENT), false, { offenders: D });
  assert.equal(banTargets(answer, FWD, policy("source")), D);
  assert.equal(banTargets(answer, FWD, policy("remote")), S);
  const unasked = accused(addressPair(PEER, CLIENT), false, { acted: S, offenders: 0 });
  assert.equal(banTargets(unasked, FWD, policy("source")), 0);
});

Deno.test("what this machine itself is told or tells bans only the other end", () => {
  // A tracker answers this machine, which asked: the tracker does not torrent.
  const answer = accused(addressPair(PEER, CLIENT), false, { offenders: D });
  assert.equal(banTargets(answer, IN, policy("source")), 0);
  // This machine is an end of it, by whichever address it was reached.
  const own = accused(addressPair(CLIENT, PEER), true, { offenders: S });
  assert.equal(banTargets(own, OUT, policy("source")), 0);
  const said = accused(addressPair(PEER, CLIENT), true, { offenders: S });
  assert.equal(banTargets(said, IN, policy("source")), S);
});

Deno.test("hooks have the numbers that the kernel tells (linux/netfilter.h)", () => {
  assert.deepEqual([HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT], [1, 2, 3]);
});

Deno.test("who is not known to be real is banned only with BAN_REQUIRES_REPLY=false", () => {
  const forged = accused(addressPair(CLIENT, PEER), true, { real: 0 });
  for (const target of BAN_TARGETS) assert.equal(banTargets(forged, FWD, policy(target)), 0);
  assert.equal(banTargets(forged, FWD, { ...policy("source"), requiresReply: false }), S);
});

Deno.test("a find that may not ban bans nobody, BAN_REQUIRES_REPLY or not", () => {
  const find = accused(addressPair(CLIENT, PEER), true, { mayBan: false });
  for (const requiresReply of [true, false]) {
    assert.equal(banTargets(find, FWD, { ...policy("both"), requiresReply }), 0);
  }
});
