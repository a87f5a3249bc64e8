/** Ways to hide in IP, in datagrams and in tunnels. */
import { Conversation, DHT_PING, HANDSHAKE, latin1 } from "../../engine/conversation.ts";
import { hex } from "../../protocols/datagrams.ts";
import { ip, join, judge, UDP, udp } from "../packets.ts";
import { DHT, DHT_V4, NOISE, NOTHING, type Row, V4, V6 } from "./row.ts";

export const DATAGRAMS: readonly Row[] = [
  {
    name: "first IP fragment",
    found: DHT,
    run(test) {
      const fragment = { offset: 0, more: true, id: 7 };
      judge(test, ip({ ...V4, protocol: UDP, fragment }, DHT_V4));
    },
  },
  {
    name: "IP fragments that cut the datagram, before the kernel has put them together",
    found: DHT,
    run(test) {
      const first = { offset: 0, more: true, id: 7 };
      const last = { offset: 24, more: false, id: 7 };
      judge(test, ip({ ...V4, protocol: UDP, fragment: first }, DHT_V4.subarray(0, 24)));
      judge(test, ip({ ...V4, protocol: UDP, fragment: last }, DHT_V4.subarray(24)));
    },
  },
  {
    name: "IPv6 extension headers",
    found: DHT,
    run(test) {
      const options = new Uint8Array(8); // PadN of 4 bytes (RFC 8200, section 4.2)
      options.set([0, 0, 1, 4]);
      const routing = new Uint8Array(8); // type 0, no segments left
      const extensions = [[0, options], [60, options], [43, routing], [60, options]] as const;
      judge(test, ip({ ...V6, protocol: UDP, extensions }, udp(6881, 6881, DHT_PING, V6)));
    },
  },
  {
    name: "more IPv6 extension headers than any packet has",
    found: NOTHING,
    run(test) {
      const options = new Uint8Array(8);
      options.set([0, 0, 1, 4]);
      const extensions = Array.from({ length: 10 }, () => [60, options] as const);
      judge(test, ip({ ...V6, protocol: UDP, extensions }, udp(6881, 6881, DHT_PING, V6)));
    },
  },
  {
    name: "uTP with extensions that no specification knows, in one direction",
    found: ["utp proof"],
    run(test) {
      // Extension 7 of 6 bytes on every packet of the initiator; the answers are as always.
      const unknown = "00 06 000000000000";
      const wire = new Conversation(test, "udp");
      wire.say(0, hex("41074567 ed639296 00000000 00100000 23c60000" + unknown));
      wire.say(1, hex("21004567 ed639341 00000000 00100000 456723c6"));
      wire.say(0, hex("01074568 ed7a591d 000000a7 00100000 23c74566" + unknown + "13426974"));
      wire.say(1, hex("21004567 ed7a5a2b 000000ec 00100000 456723c7"));
      wire.say(1, join(hex("01004567 ed7a5a2c 000000ec 00100000 456823c7"), HANDSHAKE));
    },
  },
  {
    name: "uTP with a chain of many selective acknowledgements",
    found: ["utp strong"],
    run(test) {
      const chain = "01 04 00000000".repeat(9) + "00 04 00000000";
      const wire = new Conversation(test, "udp");
      wire.say(0, hex("41014567 ed639296 00000000 00100000 23c60000" + chain));
      wire.say(1, hex("21004567 ed639341 00000000 00100000 456723c6"));
    },
  },
  {
    name: "DHT query with unsorted keys",
    found: DHT,
    run(test) {
      const query = "d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee";
      new Conversation(test, "udp").say(0, latin1(query));
    },
  },
  {
    name: "DHT query with bytes behind it",
    found: DHT,
    run: (test) => void new Conversation(test, "udp").say(0, join(DHT_PING, NOISE)),
  },
  {
    name: "DHT query behind eight datagrams of noise that nobody answers",
    found: DHT,
    run(test) {
      const wire = new Conversation(test, "udp");
      for (let i = 0; i < 8; i++) wire.say(0, test.random(100).fill(0xff, 0, 1));
      wire.say(0, DHT_PING);
    },
  },
  {
    name: "DHT in 6in4 (IPv6 in IPv4)",
    found: DHT,
    run(test) {
      const inner = ip({ ...V6, protocol: UDP }, udp(6881, 6881, DHT_PING, V6));
      judge(test, ip({ ...V4, protocol: 41 }, inner));
    },
  },
  {
    name: "DHT in IPIP (IPv4 in IPv4)",
    found: DHT,
    run: (test) =>
      void judge(test, ip({ ...V4, protocol: 4 }, ip({ ...V4, protocol: UDP }, DHT_V4))),
  },
  {
    name: "DHT in GRE with key and checksum",
    found: DHT,
    run(test) {
      const gre = hex("a000 0800 00000000 00000007");
      const inner = ip({ ...V4, protocol: UDP }, DHT_V4);
      judge(test, ip({ ...V4, protocol: 47 }, join(gre, inner)));
    },
  },
  {
    name: "DHT in four tunnels inside each other",
    found: DHT,
    run(test) {
      let packet = ip({ ...V4, protocol: UDP }, DHT_V4);
      for (let i = 0; i < 4; i++) packet = ip({ ...V4, protocol: 4 }, packet);
      judge(test, packet);
    },
  },
  {
    name: "DHT in a dozen tunnels inside each other",
    found: NOTHING,
    run(test) {
      let packet = ip({ ...V4, protocol: UDP }, DHT_V4);
      for (let i = 0; i < 12; i++) packet = ip({ ...V4, protocol: 4 }, packet);
      judge(test, packet);
    },
  },
  {
    name: "DHT in VXLAN",
    found: DHT,
    run(test) {
      const frame = hex("020000000001 020000000002 0800");
      const vxlan = hex("08000000 00000700"); // RFC 7348: VNI 7
      const inner = join(vxlan, frame, ip({ ...V4, protocol: UDP }, DHT_V4));
      judge(test, ip({ ...V4, protocol: UDP }, udp(50_000, 4789, inner, V4)));
    },
  },
  {
    name: "DHT in Teredo",
    found: DHT,
    run(test) {
      const inner = ip({ ...V6, protocol: UDP }, udp(6881, 6881, DHT_PING, V6)); // RFC 4380
      judge(test, ip({ ...V4, protocol: UDP }, udp(50_000, 3544, inner, V4)));
    },
  },
];
