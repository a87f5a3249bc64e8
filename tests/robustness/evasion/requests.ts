/** Ways to hide requests of trackers, by ports and as HTTP; and a handshake behind CONNECT. */
import assert from "node:assert/strict";
import { CLEAN } from "../../../src/engine/engine.ts";
import { Conversation, DHT_PING, HANDSHAKE, latin1 } from "../../engine/conversation.ts";
import { hex } from "../../protocols/datagrams.ts";
import { ANNOUNCE, announce, DHT, exchangePage, NOTHING, type Row, TRACKER } from "./row.ts";

export const REQUESTS: readonly Row[] = [
  {
    name: "tracker on port 53 or 443 with the default whitelist",
    found: NOTHING,
    run(test) {
      test.engine.setPolicy({
        ...{ strict: false, blockSocks: false, blockMentions: false },
        whitelistPorts: [53, 443],
      });
      const request = hex("0000041727101980 00000000 5eed0001");
      for (const port of [53, 443]) {
        const wire = new Conversation(test, "udp", undefined, `198.51.100.1:${port}`);
        assert.equal(wire.say(0, request).lastVerdict, CLEAN);
      }
    },
  },
  {
    name: "a client that is called on 443, with the default whitelist",
    found: NOTHING,
    run(test) {
      test.engine.setPolicy({
        ...{ strict: false, blockSocks: false, blockMentions: false },
        whitelistPorts: [53, 443],
      });
      new Conversation(test, "tcp", "198.51.100.1:50000", "10.0.0.1:443").open().say(0, HANDSHAKE);
    },
  },
  {
    name: "a client that listens on 443 and calls others from it, with the default whitelist",
    found: DHT,
    run(test) {
      test.engine.setPolicy({
        ...{ strict: false, blockSocks: false, blockMentions: false },
        whitelistPorts: [53, 443],
      });
      new Conversation(test, "udp", "10.0.0.1:443", "198.51.100.1:6881").say(0, DHT_PING);
    },
  },
  {
    name: "tracker on port 53 or 443 with an empty whitelist",
    found: ["udp-tracker proof", "udp-tracker proof"],
    run(test) {
      const request = hex("0000041727101980 00000000 5eed0001");
      for (const port of [53, 443]) {
        new Conversation(test, "udp", undefined, `198.51.100.1:${port}`).say(0, request);
      }
    },
  },
  {
    name: "announce with a method and headers in mixed case",
    found: TRACKER,
    run(test) {
      const text =
        "gEt /announce?info_hash=HASH&peer_id=-TR3000-1&port=1 hTTp/1.1\r\nhOsT: a\r\n\r\n";
      new Conversation(test, "tcp").open().say(0, announce(text));
    },
  },
  {
    name: "announce with every byte of its info-hash percent-encoded, in either case",
    found: TRACKER,
    run(test) {
      const hash = "%AB%cd%Ef%01".repeat(5);
      const text = `GET /a?port=1&peer_id=%2DTR3000%2d1&info_hash=${hash} HTTP/1.1\r\n\r\n`;
      new Conversation(test, "tcp").open().say(0, latin1(text));
    },
  },
  {
    name: "announce with percent-encoded names, which some trackers decode",
    found: NOTHING,
    run(test) {
      const text = "GET /a?%69nfo_hash=HASH&p%65er_id=-TR3000-1&por%74=1 HTTP/1.1\r\n\r\n";
      new Conversation(test, "tcp").open().say(0, announce(text));
    },
  },
  {
    name: "an announce after ten answered requests on one kept-alive connection",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      for (let i = 0; i < 10; i++) exchangePage(flow);
      flow.say(0, ANNOUNCE);
    },
  },
  {
    name: "an announce in pieces, to a tracker that says something else first",
    found: TRACKER,
    run(test) {
      const flow = new Conversation(test, "tcp").open().say(1, latin1("220 ready\r\n"));
      for (let at = 0; at < ANNOUNCE.length; at++) flow.say(0, ANNOUNCE.subarray(at, at + 1));
    },
  },
  {
    name: "an announce in pieces, which the tracker answers one by one",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      for (let at = 0; at < ANNOUNCE.length; at += 8) {
        flow.say(0, ANNOUNCE.subarray(at, at + 8)).say(1, latin1("go on"));
      }
    },
  },
  {
    name: "an announce behind an answered line that is no request",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      flow.say(0, latin1("EHLO me\r\n")).say(1, latin1("250 hello\r\n")).say(0, ANNOUNCE);
    },
  },
  {
    name: "an announce behind a response that ends the connection",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      flow.say(0, latin1("GET /index HTTP/1.1\r\nHost: a\r\n\r\n"));
      const head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
      flow.say(1, latin1(`${head}hello`)).say(0, ANNOUNCE);
    },
  },
  {
    name: "an announce right behind another request, before a response that ends the connection",
    found: TRACKER,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      flow.say(0, latin1("GET /index HTTP/1.1\r\nHost: a\r\n\r\n")).say(0, ANNOUNCE);
    },
  },
  {
    name: "a handshake through CONNECT whose request is longer than 4 KiB",
    found: NOTHING,
    run(test) {
      const head = `CONNECT 192.0.2.9:6881 HTTP/1.1\r\nA: ${"a".repeat(4_300)}\r\n\r\n`;
      const flow = new Conversation(test, "tcp").open();
      for (let at = 0; at < head.length; at += 1_400) {
        flow.say(0, latin1(head.slice(at, at + 1_400)));
      }
      flow.say(1, latin1("HTTP/1.1 200 OK\r\n\r\n")).say(0, HANDSHAKE);
    },
  },
];
