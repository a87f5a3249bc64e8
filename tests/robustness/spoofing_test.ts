/**
 * Packets with a forged source, sent to get somebody else banned: they are dropped, nobody is banned.
 * The same packets with a source that answers, or from inside, are.
 */
import assert from "node:assert/strict";
import { SOURCE_END } from "../../src/engine/sender.ts";
import { SYN } from "../../src/packet/packet.ts";
import { DHT_PING, HANDSHAKE, TestEngine } from "../engine/conversation.ts";
import { Bed, impossible } from "./bed.ts";
import { type Ends, ip, TCP, tcp, type TcpOptions, TcpWire, UDP, udp } from "./packets.ts";

const NONE = new Uint8Array(0);

Deno.test("a handshake that acknowledges what the other end sent proves its sender real", () => {
  const test = new TestEngine();
  new TcpWire(test).open().segment(0, 0, HANDSHAKE);
  assert.equal(test.detections[0].ban, true);
});

Deno.test("the answer to a forged SYN does not make its sender real", () => {
  // What a blind forger cannot know is the number to acknowledge.
  for (const off of [-1, 1, 1000, 0x4000_0000]) {
    const test = new TestEngine();
    const wire = new TcpWire(test).open();
    wire.segment(0, 0, HANDSHAKE, { acknowledgement: wire.base[1] + off });
    assert.deepEqual(test.found, ["peer-wire proof"]);
    assert.equal(test.detections[0].ban, false, `${off} off`);
  }
});

Deno.test("of a connection seen in one direction only, nobody is known to be real", () => {
  const test = new TestEngine();
  new TcpWire(test).segment(0, 0, HANDSHAKE);
  assert.equal(test.detections[0].ban, false);
});

Deno.test("a connection older than the blocker shows by payload who is real, and no beginning", () => {
  const test = new TestEngine();
  const wire = new TcpWire(test);
  wire.segment(1, 0, new Uint8Array(100).fill(0x80)).segment(0, 0, HANDSHAKE);
  const [{ real, ban }] = test.detections;
  assert.equal(real & SOURCE_END, SOURCE_END);
  assert.equal(ban, false);
});

const ignore = impossible !== null;

Deno.test({
  name: "forged sources, for real: datagrams and connections of a victim ban nobody",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const { router, attacker, user, server } = bed;
    // The attacker is the internet; what stands behind the other links is ours.
    await router.run(["ip", "route", "add", "default", "via", attacker.ipv4]);
    await router.run(["ip", "-6", "route", "add", "default", "via", attacker.ipv6]);
    await bed.start();
    const victims: [string, Ends][] = [
      ["one inside", { source: user.ipv4, destination: server.ipv4 }],
      ["one inside, IPv6", { source: user.ipv6, destination: server.ipv6 }],
      ["one in the internet", { source: "203.0.113.9", destination: server.ipv4 }],
    ];
    for (const [who, ends] of victims) {
      await bed.sendPackets(ip({ ...ends, protocol: UDP }, udp(6881, 6881, DHT_PING, ends)));
      // A connection that the server answers, but never to the forger. `file_server.ts` listens.
      const segment = (options: Partial<TcpOptions>, payload: Uint8Array = NONE) => {
        const ports = { sourcePort: 40_000, destinationPort: 8_000 };
        return ip(
          { ...ends, protocol: TCP },
          tcp({ ...ports, sequence: 0, ...options }, payload, ends),
        );
      };
      await bed.sendPackets(segment({ sequence: 99, flags: SYN }));
      await bed.accounted(); // the server's answer too
      await bed.sendPackets(segment({ sequence: 100, acknowledgement: 0x1234_5678 }, HANDSHAKE));
      const { bans, counters } = await bed.accounted();
      assert.equal(bans, 0, `${who} was banned`);
      assert.ok(counters.detections > 0, `${who}: nothing was detected`);
    }
    const { detections } = (await bed.status()).counters;
    console.log(`${detections} forged packets were detected and dropped, nobody was banned`);
    assert.ok(detections >= victims.length * 2 - 1, `${detections}`);
    await bed.download();

    // The victim himself, now: a datagram from inside.
    const query = `printf %s 'd1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT201:y1:qe'`;
    await server.run(["bash", "-c", `${query} >/dev/udp/${bed.target.ipv4}/6881`]);
    assert.equal((await bed.accounted()).bans, server.ipv4.startsWith("198.18.") ? 1 : 0);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

Deno.test({
  name: "with BAN_REQUIRES_REPLY=false a forged datagram bans, as it says",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await bed.router.run(["ip", "route", "add", "default", "via", bed.attacker.ipv4]);
    await bed.start({ BAN_REQUIRES_REPLY: "false" });
    const ends = { source: bed.user.ipv4, destination: bed.server.ipv4 };
    await bed.sendPackets(ip({ ...ends, protocol: UDP }, udp(6881, 6881, DHT_PING, ends)));
    assert.equal((await bed.accounted()).bans, 1);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});
