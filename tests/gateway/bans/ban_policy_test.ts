import assert from "node:assert/strict";
import {
  BAN_TARGETS,
  type BanPolicy,
  type BanTarget,
  banTargets,
  DESTINATION_END,
  HOOK_FORWARD,
  HOOK_INPUT,
  HOOK_OUTPUT,
  SOURCE_END,
} from "../../../src/gateway/bans/ban_policy.ts";
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
  return { target, never, ours };
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
      const ends = banTargets(address, initiatorIsSource, hook, policy(target));
      assert.equal(ends, wanted[index]);
    });
  }
  Deno.test(`BAN_TARGET=none, ${name}`, () => {
    assert.equal(banTargets(address, initiatorIsSource, hook, policy("none")), 0);
  });
}

Deno.test("whatever the target, never an address of the never list", () => {
  for (const target of BAN_TARGETS) {
    for (const hook of [IN, FWD, OUT]) {
      for (const one of [OWN, GATEWAY, WHITE, "127.0.0.1", "224.0.0.1", "::", "::1", "ff02::1"]) {
        for (const initiator of [true, false]) {
          const both = addressPair(one, one);
          assert.equal(banTargets(both, initiator, hook, policy(target)), 0);
        }
      }
    }
  }
});
