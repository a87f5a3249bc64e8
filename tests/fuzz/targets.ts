/** What is fuzzed: a name, seeds, and what is done with one input. A throw is a finding. */
import { MemorySource } from "../../src/capture/byte_source.ts";
import { CaptureReader, NotACaptureError } from "../../src/capture/reader.ts";
import { loadConfig } from "../../src/config/load.ts";
import { OPTION_NAMES } from "../../src/config/options.ts";
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { EnvironmentError, UsageError } from "../../src/errors.ts";
import { readBanRequest } from "../../src/blocker/ban_request.ts";
import { FragmentTable } from "../../src/packet/fragments.ts";
import { parseFrame } from "../../src/packet/link.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";
import { captureFiles, loadCorpus, type Seed } from "./corpus.ts";
import { readEverywhere } from "./detectors.ts";
import { mutate } from "./mutate.ts";
import { packetMessage, QueueHarness } from "./queue.ts";
import type { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Target {
  readonly name: string;
  /** Its inputs are packets: none may take longer than a millisecond. */
  readonly isPacket: boolean;
  /** Share of the time. */
  readonly weight: number;
  /** A new input. */
  next(random: Random): Bytes;
  execute(input: Bytes): void;
  /** Called at the end. */
  check?(): void;
}

const LINK_TYPES = [
  0,
  1,
  9,
  12,
  14,
  50,
  51,
  101,
  104,
  105,
  108,
  113,
  127,
  192,
  204,
  228,
  229,
  239,
  276,
];

export async function createTargets(): Promise<Target[]> {
  const corpus = await loadCorpus();
  const seeds = corpus.flat();
  const packets = seeds.map(({ packet }) => packet);
  const frames = seeds.map(({ frame }) => frame);
  const payloads = seeds.map(({ payload }) => payload).filter(({ length }) => length > 0);
  return [
    {
      ...{ name: "readers of payloads", isPacket: false, weight: 4 },
      next: (random) => mutate(random.pick(payloads), random, payloads),
      execute: readEverywhere,
    },
    {
      ...{ name: "link layers", isPacket: true, weight: 1 },
      next: (random) => mutate(random.pick(frames), random, frames),
      execute: readFrame,
    },
    engineTarget(corpus, packets),
    queueTarget(seeds, packets),
    ...["pcap", "pcapng"].map((format) => captureTarget(format)),
    configTarget(),
    {
      ...{ name: "requests at the control socket", isPacket: false, weight: 1 },
      next: (random) => mutate(random.pick(REQUESTS), random, REQUESTS),
      execute: readRequest,
    },
  ];
}

/** Fragments are put together across inputs: what one leaves behind meets the next. */
const packet = new Packet();
packet.fragments = new FragmentTable();

/** The payload must lie within the frame, whatever its headers say. */
function readFrame(input: Bytes): void {
  for (const linkType of LINK_TYPES) {
    if (!parseFrame(packet, input, 0, input.length, linkType)) continue;
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    if (payloadStart > payloadEnd || payloadEnd > bytes.length || payloadLength < 0) {
      throw new Error(`payload ${payloadStart} to ${payloadEnd} of ${bytes.length}`);
    }
  }
}

/** Conversations of the captures with packets changed, left out, repeated and swapped. */
function engineTarget(corpus: readonly Seed[][], packets: readonly Bytes[]): Target {
  const engine = new Engine({ flows: 1024, policy: { ...CAPTURE_POLICY, blockMentions: true } });
  const strict = new Engine({
    ...{ flows: 64 },
    policy: { ...CAPTURE_POLICY, strict: true, blockSocks: true },
  });
  let capture: readonly Seed[] = corpus[0];
  let at = 0;
  let timeMs = 0;
  return {
    ...{ name: "engine, conversations", isPacket: true, weight: 6 },
    next(random) {
      if (at >= capture.length) {
        capture = random.pick(corpus);
        at = 0;
        if (random.chance(8)) engine.clear();
      }
      if (random.chance(20)) at = Math.max(0, at - random.below(4));
      const seed = capture[at++];
      if (seed === undefined) return packets[0];
      if (random.chance(10)) at++;
      return random.chance(3) ? mutate(seed.packet, random, packets) : seed.packet;
    },
    execute(input) {
      timeMs += 7;
      for (const one of [engine, strict]) {
        if (!parseIp(packet, input, 0, input.length)) return;
        packet.timeMs = timeMs;
        packet.isRecalled = (timeMs & 15) === 0;
        const verdict = one.judge(packet);
        if (verdict < 0 || verdict > 3) throw new Error(`verdict ${verdict}`);
      }
    },
  };
}

/** Netlink datagrams of one to four messages, their headers and attributes changed too. */
function queueTarget(seeds: readonly Seed[], packets: readonly Bytes[]): Target {
  const harness = new QueueHarness();
  const room = new Uint8Array(4 * 70_000);
  let id = 0xffff_ff00; // wraps soon
  return {
    ...{ name: "netlink messages", isPacket: true, weight: 4 },
    next(random) {
      const messages = Array.from({ length: 1 + random.below(3) }, () => {
        const { packet } = random.pick(seeds);
        const inner = random.chance(2) ? mutate(packet, random, packets) : packet;
        id = (id + 1 + (random.chance(50) ? random.below(9) : 0)) >>> 0;
        return packetMessage(id, inner, random.chance(4) ? random.word() | 0 : 0);
      });
      const whole = Uint8Array.from(messages.flatMap((message) => [...message]));
      return random.chance(2) ? mutate(whole, random, messages) : whole;
    },
    execute(input) {
      room.set(input);
      harness.take(room, 0, input.length);
    },
    check: () => harness.check(),
  };
}

function captureTarget(format: string): Target {
  const files = format === "pcap" ? captureFiles() : [PCAPNG];
  return {
    ...{ name: `capture files (${format})`, isPacket: false, weight: 1 },
    next: (random) => mutate(random.pick(files), random, files),
    execute(input) {
      try {
        using reader = CaptureReader.from(new MemorySource([input]));
        let frames = 0;
        while (reader.next()) {
          if (++frames > input.length) throw new Error("more frames than bytes");
          if (reader.start > reader.end || reader.end > reader.bytes.length) {
            throw new Error(`frame ${reader.start} to ${reader.end} of ${reader.bytes.length}`);
          }
          parseFrame(packet, reader.bytes, reader.start, reader.end, reader.linkType);
        }
      } catch (error) {
        if (!(error instanceof NotACaptureError)) throw error;
      }
    },
  };
}

/** Two interfaces, an enhanced and a simple packet block (draft-ietf-opsawg-pcapng). */
const PCAPNG: Bytes = (() => {
  const block = (type: number, ...words: number[]) => {
    const length = 12 + words.length * 4;
    return [type, length, ...words, length];
  };
  const words = Uint32Array.from([
    ...block(0x0a0d0d0a, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff),
    ...block(1, 101, 65_535, 0x00010009, 9, 0),
    ...block(1, 1, 65_535),
    ...block(6, 0, 0x00061234, 0x789abcde, 28, 28, 0x1c000045, 0, 0x1140, 0x0a, 0x0b, 0x1, 0x800),
    ...block(3, 28, 0x1c000045, 0, 0x1140, 0x0a, 0x0b, 0x1, 0x800),
    ...block(5, 0, 1, 2),
  ]);
  return new Uint8Array(words.buffer);
})();

const encoder = new TextEncoder();
const TOML = [
  'queue_num = 7\ninterface = ["eth0", "wg0"]\nban_duration = "5h"\nmark_mask = 0x30000000\n',
  'chains = ["FORWARD"]\nwhitelist_ips = ["10.0.0.0/8", "2001:db8::/32"]\nlog_level = "info"\n',
  'whitelist_ports = [22, 443]\npolicy = "strict"\nstatus_listen = "127.0.0.1:9090"\n',
  'detection_log = "/var/log/x"\nmonitor_only = true\nxdp_mode = "auto"\nban_target = "both"\n',
].map((text) => encoder.encode(text));

/** A settings file and a flag of any text: understood, or refused with UsageError. */
function configTarget(): Target {
  const path = Deno.makeTempFileSync({ prefix: "btblocker-fuzz-", suffix: ".toml" });
  return {
    ...{ name: "settings", isPacket: false, weight: 1 },
    next: (random) => mutate(random.pick(TOML), random, TOML),
    execute(input) {
      Deno.writeFileSync(path, input);
      const text = new TextDecoder().decode(input);
      const flag = OPTION_NAMES[input.length % OPTION_NAMES.length];
      const value = text.slice(text.indexOf("=") + 1).trim();
      for (const flags of [{}, { [flag]: value }]) {
        try {
          loadConfig({ flags, variables: {}, configPath: path });
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }
    },
    check: () => Deno.removeSync(path),
  };
}

const REQUESTS = [
  '{"command":"bans","argument":{"action":"list","addresses":[],"durationSeconds":60}}',
  '{"command":"bans","argument":{"action":"add","addresses":["192.0.2.1"],"durationSeconds":1}}',
  '{"command":"status","argument":null}',
  "null",
].map((text) => encoder.encode(text));

/** What the control socket does with a line before any handler. */
function readRequest(input: Bytes): void {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(input));
  } catch {
    return;
  }
  const argument = (value as { argument?: unknown } | null)?.argument;
  try {
    readBanRequest(argument);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof EnvironmentError)) throw error;
  }
}
