/** How long a flow's mark lives. */
import assert from "node:assert/strict";
import type { Connection } from "../../../src/gateway/conntrack/ctnetlink.ts";
import { type Conntrack, DropMarks } from "../../../src/gateway/conntrack/drop_marks.ts";
import { formatNetwork, parseNetwork } from "../../../src/gateway/network/networks.ts";
import { until } from "../../until.ts";
import { MARKS } from "../rules/traffic.ts";

const LIFETIME = 600_000;

function connection(id: number, last: number): Connection {
  const end = (host: number, port: number) => ({ words: Int32Array.of(0, 0, 0xffff, host), port });
  const [client, server] = [end(last, 40_000 + id), end(99, 2_000)];
  const ends = [client, server, server, client] as const;
  return { id, protocol: 17, mark: MARKS.drop, ends, name: new Uint8Array(0), family: 2 };
}

class Bed implements Conntrack {
  connections: Connection[] = [];
  banned = new Set<number>();
  forgotten: number[] = [];
  spared = new Set<number>();
  pardoned: string[] = [];
  /** Of each time that flows were forgotten. */
  pardons: boolean[] = [];
  readonly marks = new DropMarks({
    marks: MARKS,
    isBanned: ({ words }) => this.banned.has(words[3]),
    isSpared: ({ id }) => this.spared.has(id),
    onPardoned: (network) => void this.pardoned.push(formatNetwork(network)),
    onForgotten: (addresses, pardons) => {
      this.pardons.push(pardons);
      for (let at = 3; at < addresses.length; at += 4) this.forgotten.push(addresses[at]);
    },
    conntrack: this,
  });

  list(mark: number, mask: number): Connection[] {
    assert.equal(mask, MARKS.mask);
    return this.connections.filter((one) => one.mark === mark);
  }

  clear({ id }: Connection): boolean {
    const known = this.connections.length;
    this.connections = this.connections.filter((one) => one.id !== id);
    return this.connections.length < known;
  }

  get ids(): number[] {
    return this.connections.map(({ id }) => id);
  }

  [Symbol.dispose](): void {
    this.marks[Symbol.dispose]();
  }
}

Deno.test("a mark goes when its ban has ended, and the worker forgets the flow", () => {
  using bed = new Bed();
  bed.marks.sweep(0, LIFETIME);
  bed.connections = [connection(1, 7), connection(2, 8)];
  bed.banned = new Set([7, 8]);
  assert.equal(bed.marks.sweep(10, LIFETIME), 0);
  bed.banned.delete(7);
  assert.equal(bed.marks.sweep(20, LIFETIME), 1);
  assert.deepEqual(bed.ids, [2]);
  assert.deepEqual(bed.forgotten, [7, 99, 99, 7]);
  assert.deepEqual(bed.pardons, [true]);
});

Deno.test("a mark without a ban goes after its lifetime", () => {
  using bed = new Bed();
  bed.marks.sweep(0, LIFETIME);
  bed.connections = [connection(1, 7)];
  assert.equal(bed.marks.sweep(10, LIFETIME), 0);
  assert.equal(bed.marks.sweep(LIFETIME, LIFETIME), 0);
  assert.equal(bed.marks.sweep(LIFETIME + 10, LIFETIME), 1);
  assert.deepEqual(bed.pardons, [false], "nobody was banned for it");
});

Deno.test("what an earlier run left goes at the first look, unless it is banned", () => {
  using bed = new Bed();
  bed.connections = [connection(1, 7), connection(2, 8)];
  bed.banned = new Set([8]);
  assert.equal(bed.marks.sweep(0, LIFETIME), 1);
  assert.deepEqual(bed.ids, [2]);
});

Deno.test("a whitelisted service is spared even where an end is banned", () => {
  using bed = new Bed();
  bed.connections = [connection(1, 7)];
  bed.banned = new Set([7]);
  bed.spared = new Set([1]);
  assert.equal(bed.marks.sweep(0, LIFETIME), 1);
});

Deno.test("lift() forgets the flows of an address, but those with somebody who is banned", () => {
  using bed = new Bed();
  bed.connections = [connection(1, 7), connection(2, 8)];
  assert.equal(bed.marks.lift(parseNetwork("0.0.0.7")!), 1);
  assert.deepEqual(bed.ids, [2]);
  bed.banned = new Set([8]);
  assert.equal(bed.marks.lift(parseNetwork("0.0.0.99")!), 0);
  assert.equal(bed.marks.forgetUnbanned(), 0);
  bed.banned.clear();
  assert.equal(bed.marks.forgetUnbanned(), 1);
  assert.deepEqual(bed.pardoned, ["0.0.0.7", "0.0.0.99"]);
  assert.deepEqual(bed.pardons, [true, false], "a policy that changes pardons nobody");
  assert.equal(bed.marks.liftAll(), 0);
  assert.equal(bed.pardoned.at(-1), "::/0");
});

Deno.test("a mark that comes back is taken again, unless its flow was found anew", async () => {
  using bed = new Bed();
  bed.connections = [connection(1, 7), connection(2, 8)];
  assert.equal(bed.marks.liftAll(), 2);
  bed.connections = [connection(1, 7), connection(2, 8)];
  bed.banned = new Set([8]);
  await until(() => bed.ids.length < 2);
  assert.deepEqual(bed.ids, [2]);
});

Deno.test("connections to what is no whitelisted service any more are judged like all others", () => {
  using bed = new Bed();
  const clean = (id: number, port: number) => {
    const [client, server, ...answers] = connection(id, 7).ends;
    const ends = [client, { ...server, port }, ...answers] as const;
    return { ...connection(id, 7), mark: MARKS.clear, ends };
  };
  bed.connections = [clean(1, 443), clean(2, 8443), connection(3, 7)];
  assert.equal(bed.marks.forgetServices(new Set()), 0);
  assert.equal(bed.marks.forgetServices(new Set([443])), 1);
  assert.deepEqual(bed.ids, [2, 3]);
  // Behind address translation the port that answers is another one than the one called.
  assert.equal(bed.marks.forgetServices(new Set([2_000])), 1);
  assert.deepEqual(bed.ids, [3]);
});
