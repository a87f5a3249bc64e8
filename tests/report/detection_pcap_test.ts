import assert from "node:assert/strict";
import type { PacketCopy } from "../../src/engine/packet_copy.ts";
import { DetectionPcap } from "../../src/report/detection_pcap.ts";
import { ip, UDP, udp } from "../robustness/packets.ts";
import { DHT_PING } from "../engine/conversation.ts";
import { record } from "./detection_fixture.ts";
import { blockLengths, hasTshark, readCapture, tshark } from "./pcapng_fixture.ts";

interface Fixture {
  directory: string;
  path: string;
  warnings: string[];
  clock: { nowMs: number };
  open(path?: string, isBounded?: boolean): DetectionPcap;
}

function inDirectory(act: (fixture: Fixture) => void): void {
  const directory = Deno.makeTempDirSync();
  const warnings: string[] = [];
  const clock = { nowMs: 0 };
  const path = `${directory}/detections.pcapng`;
  const warn = (message: string) => warnings.push(message);
  const nowMs = () => clock.nowMs;
  try {
    const open = (where = path, isBounded = true) =>
      new DetectionPcap({ path: where, warn, isBounded, nowMs });
    act({ directory, path, warnings, clock, open });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const ENDS = { source: "192.168.1.100", destination: "8.8.8.8" };
const PACKET = ip({ ...ENDS, protocol: UDP }, udp(51_234, 6_881, DHT_PING, ENDS));
const COPY: PacketCopy = { bytes: PACKET, length: PACKET.length };

function packetsOf(path: string): string[] {
  const { packets, problem } = readCapture(Deno.readFileSync(path));
  assert.equal(problem, null);
  return packets.map(({ hex }) => hex);
}

Deno.test("DetectionPcap makes a file for its owner only, even under a loose umask", () => {
  inDirectory(({ path, open }) => {
    const before = Deno.umask(0);
    try {
      using pcap = open();
      assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
      assert.equal(Deno.statSync(path).size, 0, "an unused file is empty, so it is not rotated");
      pcap.write(record(), COPY);
    } finally {
      Deno.umask(before);
    }
    const { packets, problem } = readCapture(Deno.readFileSync(path));
    assert.equal(problem, null);
    const { timeMs } = record();
    assert.deepEqual(packets, [
      { hex: PACKET.toHex(), linkType: 101, timeMs, length: PACKET.length },
    ]);
  });
});

Deno.test({
  name:
    "DetectionPcap tells Wireshark the time, the length, the interface, the reason and the ban (tshark)",
  ignore: !hasTshark(),
  fn: () => {
    inDirectory(({ path, open }) => {
      using pcap = open();
      pcap.write(record(), COPY);
      const cut = { bytes: PACKET.slice(0, 60), length: 9_000 };
      const wg0 = record({ interface: "wg0", action: "monitored", bans: [] }, { client: null });
      pcap.write(wg0, cut);
      pcap.write(record({ interface: "", bans: [] }, { client: "evil\nclient\x1b[2J €" }), COPY);
      const fields = ["frame.time_epoch", "frame.cap_len", "frame.len", "ip.src", "udp.dstport"];
      const time = `${record().timeMs / 1000}000000`;
      assert.deepEqual(tshark(path, ...fields, "frame.comment"), [
        [
          ...[time, `${PACKET.length}`, `${PACKET.length}`, "192.168.1.100", "6881"],
          "ens33: udp-tracker (announce request, qBittorrent 1.4.2), proof - banned 192.168.1.100 for 5h",
        ],
        [
          ...[time, "60", "9000", "192.168.1.100", "6881"],
          "wg0: udp-tracker (announce request), proof - Monitor only (no ban)",
        ],
        [
          ...[time, `${PACKET.length}`, `${PACKET.length}`, "192.168.1.100", "6881"],
          "udp-tracker (announce request, evil\\x0aclient\\x1b[2J €), proof - dropped, nobody banned",
        ],
      ]);
    });
  },
});

Deno.test("DetectionPcap goes on in its file after a restart, also after one that tore a block", () => {
  inDirectory(({ path, warnings, open }) => {
    for (let start = 0; start < 3; start++) {
      using pcap = open();
      pcap.write(record(), COPY);
      pcap.write(record({ interface: "wg0" }), COPY);
      if (start === 1) Deno.truncateSync(path, Deno.statSync(path).size - 5);
    }
    assert.equal(packetsOf(path).length, 5);
    assert.equal(blockLengths(Deno.readFileSync(path)).length, 2 + 5, "one section, for libpcap");
    assert.deepEqual(warnings, []);
  });
});

Deno.test("DetectionPcap goes on in a new file after reopen()", () => {
  inDirectory(({ path, open }) => {
    using pcap = open();
    pcap.write(record(), COPY);
    Deno.renameSync(path, `${path}.1`);
    pcap.write(record(), COPY);
    pcap.reopen();
    pcap.write(record(), COPY);
    for (let again = 0; again < 10; again++) pcap.reopen();
    assert.equal(packetsOf(`${path}.1`).length, 2);
    assert.equal(packetsOf(path).length, 1);
    pcap.reopen(`${path}.other`);
    pcap.write(record(), COPY);
    assert.equal(packetsOf(`${path}.other`).length, 1);
    assert.equal(blockLengths(Deno.readFileSync(path)).length, 3, "no section without a packet");
  });
});

Deno.test("DetectionPcap begins again in a file that was emptied in its place", () => {
  inDirectory(({ path, open }) => {
    using pcap = open();
    pcap.write(record(), COPY);
    Deno.truncateSync(path);
    for (let i = 0; i < 2; i++) pcap.write(record(), COPY);
    assert.equal(packetsOf(path).length, 2);
  });
});

Deno.test("DetectionPcap writes nothing to a file that holds something else, and says so", () => {
  inDirectory(({ path, warnings, clock, open }) => {
    Deno.writeTextFileSync(path, "not a capture\n");
    using pcap = open();
    pcap.write(record(), COPY);
    assert.equal(Deno.readTextFileSync(path), "not a capture\n");
    assert.equal(pcap.lost, 1);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0],
      /^Cannot write the detection pcap .*: it holds something else \(move it away, or name another file\) \(blocking goes on, packets are lost/,
    );
    Deno.renameSync(path, `${path}.away`);
    clock.nowMs += 6_000;
    pcap.write(record(), COPY);
    assert.equal(packetsOf(path).length, 1);
    assert.match(warnings[1], /^Detection pcap .* is written again, 1 packets were lost$/);
  });
});

Deno.test("DetectionPcap counts what a vanished directory loses, says it once and tries again", () => {
  inDirectory(({ directory, warnings, clock, open }) => {
    const sub = `${directory}/sub`;
    using pcap = open(`${sub}/d.pcapng`);
    for (let i = 0; i < 5; i++) pcap.write(record(), COPY);
    assert.equal(pcap.lost, 5);
    Deno.mkdirSync(sub);
    clock.nowMs += 6_000;
    pcap.write(record(), COPY);
    assert.equal(packetsOf(`${sub}/d.pcapng`).length, 1);
    assert.equal(warnings.length, 2);
  });
});

const canMount = Deno.build.os === "linux" && Deno.uid() === 0 &&
  new Deno.Command("unshare", { args: ["--mount", "true"], stderr: "null" }).outputSync().success;

Deno.test({
  name: "DetectionPcap: a disk that fills up in the middle of a packet tears nothing (needs root)",
  ignore: !canMount,
  fn: () => {
    inDirectory(({ directory, warnings, clock, open }) => {
      const mount = `${directory}/small`;
      const root = (...[name, ...args]: [string, ...string[]]) =>
        assert.ok(new Deno.Command(name, { args }).outputSync().success);
      Deno.mkdirSync(mount);
      root("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", mount);
      try {
        const path = `${mount}/detections.pcapng`;
        using pcap = open(path);
        let written = 0;
        for (; pcap.lost === 0; written++) pcap.write(record(), COPY);
        assert.equal(packetsOf(path).length, written - 1);
        assert.ok(Deno.statSync(path).size < 16_384, "the part of a packet was taken back");
        assert.match(warnings[0], /No space left on device/);
        for (let round = 0; round < 3; round++) { // still full
          clock.nowMs += 6_000;
          pcap.write(record(), COPY);
        }
        assert.equal(pcap.lost, 4);
        root("mount", "-o", "remount,size=1m", mount);
        clock.nowMs += 6_000;
        pcap.write(record(), COPY);
        assert.equal(packetsOf(path).length, written);
        assert.equal(blockLengths(Deno.readFileSync(path)).length, 2 + written, "one section");
        assert.match(warnings[1], /is written again, 4 packets were lost$/);
        assert.equal(warnings.length, 2);
      } finally {
        root("umount", mount);
      }
    });
  },
});

Deno.test("DetectionPcap is not filled by a flood; what comes after it is written again", () => {
  inDirectory(({ path, warnings, clock, open }) => {
    using pcap = open();
    const large = { bytes: new Uint8Array(4_224), length: 4_224 };
    const nobody = record({ bans: [] });
    for (let i = 0; i < 20_000; i++) pcap.write(nobody, large);
    const { size } = Deno.statSync(path);
    assert.ok(size > 60e6 && size < 68e6, `${size}`);
    assert.ok(pcap.leftOut > 3_000);
    assert.equal(pcap.lost, 0);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0],
      /^Too many packets for the detection pcap .*: it takes 67 MB at once, then 1.0 kB a second; 1 left out/,
    );
    const before = pcap.leftOut;
    for (let i = 0; i < 2_000; i++) pcap.write(record(), large);
    assert.equal(pcap.leftOut, before, "who was banned has room of his own");
    clock.nowMs += 3 * 3_600_000; // what the bans have taken comes back first
    for (let i = 0; i < 10; i++) pcap.write(nobody, COPY);
    assert.equal(pcap.leftOut, before);
    assert.equal(warnings.length, 2, "how many the flood was in all");
    for (let i = 0; i < 20_000; i++) pcap.write(nobody, COPY);
    assert.equal(warnings.length, 2);
    clock.nowMs += 3_600_000;
    pcap.write(nobody, COPY);
    assert.equal(warnings.length, 3, "said again after an hour, no sooner");
    assert.equal(readCapture(Deno.readFileSync(path)).problem, null);
  });
});

Deno.test("DetectionPcap leaves nothing out where that was asked", () => {
  inDirectory(({ path, open }) => {
    using pcap = open(path, false);
    const large = { bytes: new Uint8Array(4_224), length: 4_224 };
    for (let i = 0; i < 17_000; i++) pcap.write(record(), large);
    assert.equal(pcap.leftOut, 0);
    assert.ok(Deno.statSync(path).size > 17_000 * 4_224);
  });
});
