import assert from "node:assert/strict";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { analyze } from "../../src/cli/analyze.ts";
import { Output, OutputError } from "../../src/cli/output.ts";
import { btblocker } from "./command_line.ts";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(/\s/g, ""));
}

function ascii(text: string): string {
  return new TextEncoder().encode(text).toHex();
}

// A pcap of raw IP packets (draft-ietf-opsawg-pcap); times 2024-01-15 18:35:13.123456 and later.
const HEADER = "d4c3b2a1 0200 0400 00000000 00000000 00000400 65000000";

function captured(packet: string, micros: string): string {
  const length = bytes(packet).length.toString(16).padStart(2, "0");
  return `e17aa565 ${micros} ${length}000000 ${length}000000 ${packet}`;
}

/** BEP 5, "ping": the query as printed there; 56 bytes. */
const PING = ascii("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
/** 192.168.1.100:51234 → 8.8.8.8:6881 */
const DHT = captured(
  `45000054000040004011 0000 c0a80164 08080808 c8221ae100400000 ${PING}`,
  "40e20100",
);
/** The same flow again: only the first detection of a flow is printed. */
const DHT_AGAIN = captured(
  `45000054000040004011 0000 c0a80164 08080808 c8221ae100400000 ${PING}`,
  "41e20100",
);
/** [2001:db8::1]:51234 → [2001:db8::2]:443, the same query. */
const DHT6 = captured(
  "6000000000401140 20010db8000000000000000000000001 20010db8000000000000000000000002 " +
    `c82201bb00400000 ${PING}`,
  "42e20100",
);
/** 192.168.1.100:5353 → 224.0.0.251:5353, a DNS header without questions. */
const DNS = captured(
  "45000028000040004011 0000 c0a80164 e00000fb 14e914e900140000 000000000000000000000000",
  "00000000",
);

const TORRENT = bytes(HEADER + DNS + DHT + DHT_AGAIN + DHT6);
const CLEAN = bytes(HEADER + DNS);

async function inDirectory(
  files: Record<string, Uint8Array>,
  act: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = `${directory}/${name}`;
      Deno.mkdirSync(dirname(path), { recursive: true });
      Deno.writeFileSync(path, content);
    }
    await act(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function objects(stdout: string): Record<string, unknown>[] {
  return stdout.trimEnd().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("analyze --json prints the first detection of each flow and a summary a file", async () => {
  await inDirectory({ "a.pcap": TORRENT, "b.pcap": CLEAN }, async (directory) => {
    const files = [`${directory}/a.pcap`, `${directory}/b.pcap`];
    const { code, stdout, stderr } = await btblocker(["analyze", "--json", ...files], {
      permissions: ["--allow-read", "--allow-env"], // no libraries, no processes, no network
    });
    assert.equal(stderr, "");
    assert.equal(code, 0);
    const lines = objects(stdout);
    const summaries = lines.filter(({ type }) => type === "summary");
    for (const summary of summaries) {
      assert.equal(typeof summary.seconds, "number");
      delete summary.seconds;
    }
    const common = {
      type: "detection",
      file: files[0],
      transport: "udp",
      method: "dht",
      strength: "proof",
      ban: false, // nobody has answered
      client: null,
      info_hash: null,
    };
    assert.deepEqual(
      lines.map(({ reason: _, ...line }) => line),
      [
        {
          ...common,
          packet: 2,
          time: "2024-01-15T18:35:13.123456Z",
          src: "192.168.1.100:51234",
          dst: "8.8.8.8:6881",
        },
        {
          ...common,
          packet: 4,
          time: "2024-01-15T18:35:13.123458Z",
          src: "[2001:db8::1]:51234",
          dst: "[2001:db8::2]:443",
        },
        {
          type: "summary",
          file: files[0],
          packets: 4,
          bytes: 40 + 84 + 84 + 104,
          cutFrames: 0,
          unreadableFrames: 0,
          flows: 3,
          payloadFlows: 3,
          detections: 2,
        },
        {
          type: "summary",
          file: files[1],
          packets: 1,
          bytes: 40,
          cutFrames: 0,
          unreadableFrames: 0,
          flows: 1,
          payloadFlows: 1,
          detections: 0,
        },
      ],
    );
    assert.deepEqual(Object.keys(lines[0]), [
      "type",
      "file",
      "packet",
      "time",
      "transport",
      "src",
      "dst",
      "method",
      "strength",
      "ban",
      "reason",
      "client",
      "info_hash",
    ]);
    assert.equal(typeof lines[0].reason, "string");
  });
});

Deno.test("analyze prints an aligned table, and says so when nothing was found", async () => {
  await inDirectory({ "a.pcap": TORRENT, "b.pcap": CLEAN }, async (directory) => {
    const { code, stdout } = await btblocker(["analyze", directory]);
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split("\n");
    assert.equal(lines[0], `${directory}/a.pcap:`);
    assert.match(lines[1], /^ {2}PACKET {2}TIME \(UTC\) +PROTO {2}SOURCE +DESTINATION +METHOD/);
    const column = lines[1].indexOf("DESTINATION");
    assert.equal(lines[2].slice(column).split(" ")[0], "8.8.8.8:6881");
    assert.equal(lines[3].slice(column).split(" ")[0], "[2001:db8::2]:443");
    assert.match(
      lines[4],
      /^ {2}2 BitTorrent flows \(4 packets, 312 B, 3 flows, 3 with payload\)$/,
    );
    assert.match(
      lines[5],
      /b\.pcap: no BitTorrent found \(1 packet, 40 B, 1 flow, 1 with payload\)$/,
    );
    assert.match(
      lines[6],
      /^2 files, 5 packets judged in \d+\.\d\d s: 2 BitTorrent flows in 1 file$/,
    );
  });
});

Deno.test("analyze names what it cannot read, goes on, and ends with 1", async () => {
  await inDirectory({ "a.pcap": TORRENT, "text": bytes(ascii("root:x:0")) }, async (directory) => {
    const { code, stdout, stderr } = await btblocker([
      "analyze",
      "--json",
      `${directory}/none.pcap`,
      `${directory}/text`,
      `${directory}/a.pcap`,
    ]);
    assert.equal(code, 1);
    assert.equal(objects(stdout).length, 3);
    assert.deepEqual(stderr.trimEnd().split("\n"), [
      `Cannot read ${directory}/none.pcap: no such file`,
      `Cannot read ${directory}/text: not a pcap or pcapng capture (first bytes ` +
      "72 6f 6f 74 3a 78 3a 30)",
    ]);
  });
});

Deno.test("analyze walks directories in order, and passes over files that claim nothing", async () => {
  const files = {
    "b/2.pcap": CLEAN,
    "b/10.pcap": CLEAN,
    "a.pcapng": CLEAN, // the content counts
    "trace7": TORRENT, // tcpdump -C numbers its files
    "README": bytes(ascii("about these captures")),
  };
  await inDirectory(files, async (directory) => {
    Deno.symlinkSync(directory, `${directory}/b/loop`);
    const { code, stdout, stderr } = await btblocker(["analyze", "--json", directory]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    assert.deepEqual(
      objects(stdout).filter(({ type }) => type === "summary").map(({ file }) => file),
      ["a.pcapng", "b/10.pcap", "b/2.pcap", "trace7"].map((name) => `${directory}/${name}`),
    );
  });
});

Deno.test("analyze complains of a file in a directory that is named a capture and is none", async () => {
  await inDirectory({ "a.pcap": bytes(ascii("no capture")) }, async (directory) => {
    const { code, stderr } = await btblocker(["analyze", directory]);
    assert.equal(code, 1);
    assert.match(stderr, /^Cannot read .*a\.pcap: not a pcap or pcapng capture/);
  });
});

Deno.test("analyze judges a capture that is cut short up to there, and says so", async () => {
  await inDirectory({ "a.pcap": TORRENT.subarray(0, TORRENT.length - 5) }, async (directory) => {
    const { code, stdout, stderr } = await btblocker(["analyze", "--json", `${directory}/a.pcap`]);
    assert.equal(code, 0);
    assert.equal(objects(stdout).at(-1)!.packets, 3);
    assert.equal(objects(stdout).at(-1)!.detections, 1);
    assert.match(
      stderr,
      /a\.pcap: cut short at byte \d+, in the middle of a packet; the 3 packets /,
    );
  });
});

Deno.test("analyze ends with 1 at a damaged capture, after judging what stands before", async () => {
  const damaged = bytes(HEADER + DHT + "ffffffff".repeat(4));
  await inDirectory({ "a.pcap": damaged }, async (directory) => {
    const { code, stdout, stderr } = await btblocker(["analyze", "--json", `${directory}/a.pcap`]);
    assert.equal(code, 1);
    assert.equal(objects(stdout).at(-1)!.detections, 1);
    assert.match(
      stderr,
      /a\.pcap: damaged at byte \d+: a record of 4294967295 bytes; the 1 packet /,
    );
  });
});

Deno.test("analyze takes a gzip file as what is in it: cut at its end 0, damaged 1", async () => {
  const packets = HEADER + DHT + DNS.repeat(3_000);
  const packed = new Uint8Array(gzipSync(bytes(packets), { level: 0 }));
  const cut = packed.subarray(0, -5_000);
  const damaged = packed.slice();
  damaged.fill(0xff, 100_000, 100_064);
  await inDirectory({ "a.pcap.gz": cut, "b.pcap.gz": damaged }, async (directory) => {
    const rows = [["a.pcap.gz", 0, "cut short in "], ["b.pcap.gz", 1, "damaged "]] as const;
    for (const [name, wanted, why] of rows) {
      const path = `${directory}/${name}`;
      const { code, stdout, stderr } = await btblocker(["analyze", "--json", path]);
      assert.equal(code, wanted, name);
      assert.equal(objects(stdout).at(-1)!.detections, 1);
      assert.ok(stderr.startsWith(`${path}: ${why}`), stderr);
    }
  });
});

Deno.test("analyze says which frames it cannot look into", async () => {
  const usb = TORRENT.slice();
  usb[20] = 0xbd; // LINKTYPE_USB_LINUX
  await inDirectory({ "a.pcap": usb }, async (directory) => {
    const { code, stderr } = await btblocker(["analyze", "--json", `${directory}/a.pcap`]);
    assert.equal(code, 0);
    assert.match(stderr, /a\.pcap: 4 frames not judged: link type 189 is not known$/m);
  });
});

Deno.test("analyze says how much of the frames was not there, in JSON and in the table", async () => {
  const cut = TORRENT.slice();
  cut[24 + 12] = 0xff; // the first record's length on the wire
  cut[24 + 16] = 0x4f; // of its IPv4 header a length that cannot be
  await inDirectory({ "a.pcap": cut }, async (directory) => {
    const path = `${directory}/a.pcap`;
    const summary = objects((await btblocker(["analyze", "--json", path])).stdout).at(-1)!;
    assert.deepEqual([summary.cutFrames, summary.unreadableFrames], [1, 1]);
    const { stdout } = await btblocker(["analyze", path]);
    assert.match(stdout, /with payload, 1 frame cut, 1 frame unreadable\)$/m);
  });
});

Deno.test("analyze reads standard input", async () => {
  const { code, stdout } = await btblocker(["analyze", "--json", "-"], { stdin: TORRENT });
  assert.equal(code, 0);
  assert.deepEqual(objects(stdout).map(({ type, file }) => [type, file]), [
    ["detection", "-"],
    ["detection", "-"],
    ["summary", "-"],
  ]);
});

Deno.test("analyze reads standard input that is packed", async () => {
  const stdin = new Uint8Array(gzipSync(TORRENT));
  const { code, stdout, stderr } = await btblocker(["analyze", "--json", "-"], { stdin });
  assert.equal(stderr, "");
  assert.equal(code, 0);
  assert.equal(objects(stdout).at(-1)!.detections, 2);
});

Deno.test("analyze passes over ports only when told to", async () => {
  await inDirectory({ "a.pcap": TORRENT }, async (directory) => {
    const { stdout } = await btblocker([
      "analyze",
      "--json",
      "--whitelist-ports",
      "443",
      `${directory}/a.pcap`,
    ], { env: { WHITELIST_PORTS: "6881" } }); // variables are for the running blocker
    const found = objects(stdout).filter(({ type }) => type === "detection");
    assert.deepEqual(found.map(({ dst }) => dst), ["8.8.8.8:6881"]);
  });
});

Deno.test("analyze carries nothing from one file to the next", async () => {
  await inDirectory({ "a.pcap": TORRENT, "b.pcap": TORRENT }, async (directory) => {
    const { stdout } = await btblocker(["analyze", "--json", directory]);
    const found = objects(stdout).filter(({ type }) => type === "detection");
    assert.deepEqual(
      found.map(({ file, packet }) => `${String(file).at(-6)} ${packet}`),
      ["a 2", "a 4", "b 2", "b 4"],
    );
  });
});

Deno.test("analyze --detection-log keeps the bytes of every detection", async () => {
  await inDirectory({ "a.pcap": TORRENT }, async (directory) => {
    const log = `${directory}/log.json`;
    const args = ["--detection-log", log, "--detection-log-format", "json"];
    const { code } = await btblocker(["analyze", ...args, `${directory}/a.pcap`]);
    assert.equal(code, 0);
    const entries = objects(Deno.readTextFileSync(log));
    assert.deepEqual(entries.map(({ src_ip }) => src_ip), ["192.168.1.100", "2001:db8::1"]);
    assert.equal(Uint8Array.fromBase64(String(entries[0].payload)).toHex(), PING);
  });
});

Deno.test("analyze ends with 1 when the detection log cannot be written", async () => {
  await inDirectory({ "a.pcap": TORRENT }, async (directory) => {
    const log = `${directory}/none/log`;
    const { code, stderr } = await btblocker(["analyze", "--detection-log", log, directory]);
    assert.equal(code, 1);
    assert.match(stderr, /^Cannot write the detection log .*\/none\/log: no such directory/);
  });
});

Deno.test("analyze --detection-pcap cuts the offending packets out, which are detected again", async () => {
  await inDirectory({ "a.pcap": TORRENT }, async (directory) => {
    const pcap = `${directory}/offenders.pcapng`;
    const { code } = await btblocker(["analyze", "--detection-pcap", pcap, `${directory}/a.pcap`]);
    assert.equal(code, 0);
    const [whole, cut] = await Promise.all([`${directory}/a.pcap`, pcap].map(async (path) => {
      const { stdout } = await btblocker(["analyze", "--json", path]);
      return objects(stdout).filter(({ type }) => type === "detection");
    }));
    const without = (rows: typeof cut) => rows.map((row) => ({ ...row, file: "", packet: 0 }));
    assert.deepEqual(cut.map(({ packet }) => packet), [1, 2]);
    assert.deepEqual(without(cut), without(whole), "the same at the same times");
  });
});

Deno.test("analyze does not read the detection pcap that it writes", async () => {
  await inDirectory({ "a.pcap": TORRENT }, async (directory) => {
    const pcap = `${directory}/offenders.pcapng`;
    for (let run = 1; run <= 2; run++) {
      const { code, stderr } = await btblocker(["analyze", "--detection-pcap", pcap, directory]);
      assert.equal(code, 1);
      assert.match(stderr, /^Cannot read .*offenders\.pcapng: it is the detection pcap itself$/m);
      const { stdout } = await btblocker(["analyze", "--json", pcap]);
      assert.equal(objects(stdout).filter(({ type }) => type === "detection").length, 2);
    }
  });
});

Deno.test("analyze stops quietly when nobody reads its output", async () => {
  const output = new Output(() => {
    throw new Deno.errors.BrokenPipe("Broken pipe");
  });
  await inDirectory({ "a.pcap": TORRENT, "b.pcap": TORRENT }, async (directory) => {
    assert.equal(await analyze([directory], { json: true }, output), 0);
    assert.ok(output.isClosed);
  });
});

Deno.test("analyze ends when its output cannot be written, and blames no capture", async () => {
  const output = new Output(() => {
    throw new Error("No space left on device (os error 28)");
  });
  await inDirectory({ "a.pcap": TORRENT, "b.pcap": TORRENT }, async (directory) => {
    await assert.rejects(analyze([directory], { json: true }, output), (error: Error) => {
      assert.ok(error instanceof OutputError);
      assert.equal(
        error.message,
        "Cannot write standard output: No space left on device (os error 28)",
      );
      return true;
    });
  });
});

Deno.test("analyze takes captures of any packets", async () => {
  const path = Deno.makeTempFileSync({ suffix: ".pcap" });
  const silent = new Output((written) => written.length);
  const linkTypes = [0, 1, 9, 12, 50, 101, 104, 105, 108, 113, 127, 192, 239, 276, 147];
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...linkTypes),
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.nat(0xffff_ffff)), {
          maxLength: 20,
        }),
        async (linkType, packets) => {
          const capture = [bytes(HEADER)];
          new DataView(capture[0].buffer).setUint16(20, linkType, true);
          for (const [packet, time] of packets) {
            const record = new Uint8Array(16 + packet.length);
            const view = new DataView(record.buffer);
            view.setUint32(0, time, true);
            view.setUint32(8, packet.length, true);
            view.setUint32(12, packet.length, true);
            record.set(packet, 16);
            capture.push(record);
          }
          Deno.writeFileSync(path, new Uint8Array(await new Blob(capture as BlobPart[]).bytes()));
          for (const json of [true, false]) {
            assert.equal(await analyze([path], { json }, silent), 0);
          }
        },
      ),
      { numRuns: 50 },
    );
  } finally {
    Deno.removeSync(path);
  }
});
