/**
 * The programs of XDP and tc on mutated frames (BPF_PROG_TEST_RUN): without a ban it drops nothing, and with
 * bans only frames that hold a banned address.
 */
import assert from "node:assert/strict";
import { Bans, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { parseAddress } from "../../src/packet/address.ts";
import { bpfImpossible } from "../bpf/possible.ts";
import { isTestableAtTc, loadProgram, verdictOf } from "../bpf/program.ts";
import { addressBytes } from "../robustness/packets.ts";
import { loadCorpus } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { addressKey } from "../../src/gateway/bans/ban_key.ts";
import { Random } from "./random.ts";

const SECONDS = 6;
const ETHERNET = 1;
/** The kernel refuses shorter frames, and longer ones than a page with its own headers. */
const [SHORTEST, LONGEST] = [14, 3000];

Deno.test({
  name: "the programs of XDP and tc drop no mutated frame that holds no banned address",
  ignore: bpfImpossible !== null,
  async fn() {
    using program = loadProgram({});
    const seeds = (await loadCorpus(40)).flat().filter(({ linkType }) => linkType === ETHERNET);
    const frames = seeds.map(({ frame }) => frame);
    const banned = ["198.18.1.2", "198.18.2.2", "2001:db8:1::2"];
    const bans = new Bans(
      {
        ...{
          scope: "ip",
          maps: { blocked_ips: program.maps.blocked_ips },
          inForce: program.inForce,
        },
        table: BanTable.buffer(16),
      } as ConstructorParameters<typeof Bans>[0],
    );
    const seed = Date.now() % 1_000_000;
    const random = new Random(seed);
    const counts = { free: 0, dropped: 0, passed: 0 };
    for (const isBanning of [false, true]) {
      if (isBanning) {
        for (const text of banned) {
          bans.add(addressKey(parseAddress(text)!), 600_000, REASON_MANUAL);
        }
      }
      const end = performance.now() + SECONDS * 500;
      while (performance.now() < end) {
        const frame = mutate(random.pick(frames), random, frames).slice(0, LONGEST);
        if (frame.length < SHORTEST) continue;
        for (const entry of ["l2", "l3", "tc"] as const) {
          if (entry === "tc" && !isTestableAtTc(frame)) continue;
          const answer = verdictOf(program, entry, frame);
          const input = `seed ${seed}, ${entry}, ${frame.toHex()}`;
          if (!isBanning) {
            assert.equal(answer, "pass", input);
            counts.free++;
          } else if (answer === "drop") {
            assert.ok(banned.some((text) => holds(frame, addressBytes(text))), input);
            counts.dropped++;
          } else counts.passed++;
        }
      }
    }
    console.log(JSON.stringify(counts));
    assert.ok(
      counts.free > 1000 && counts.dropped > 0 && counts.passed > 0,
      JSON.stringify(counts),
    );
  },
});

function holds(frame: Uint8Array, address: Uint8Array): boolean {
  for (let at = 0; at + address.length <= frame.length; at++) {
    if (address.every((byte, i) => frame[at + i] === byte)) return true;
  }
  return false;
}
