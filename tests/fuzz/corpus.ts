/** Seeds: the frames of the recorded captures. */
import { fileURLToPath } from "node:url";
import { CaptureReader } from "../../src/capture/reader.ts";
import { parseFrame } from "../../src/packet/link.ts";
import { Packet, PROTOCOL_TCP } from "../../src/packet/packet.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** One packet of a capture, cut out of it. */
export interface Seed {
  /** The whole frame, and its link type. */
  readonly frame: Bytes;
  readonly linkType: number;
  /** From the IP header on. */
  readonly packet: Bytes;
  readonly payload: Bytes;
  readonly isTcp: boolean;
}

/** Packets of each capture that are taken: the beginnings of its flows are among them. */
const PACKETS_PER_CAPTURE = 150;

const DIRECTORY = fileURLToPath(new URL("../captures/", import.meta.url));

/** The packets of every capture, in their order, one list a capture. */
export async function loadCorpus(most = PACKETS_PER_CAPTURE): Promise<Seed[][]> {
  const corpus: Seed[][] = [];
  for (const { name } of Deno.readDirSync(DIRECTORY)) {
    if (!name.endsWith(".pcap")) continue;
    using reader = await CaptureReader.open(`${DIRECTORY}${name}`);
    const seeds: Seed[] = [];
    const packet = new Packet();
    while (seeds.length < most && reader.next()) {
      const { bytes, start, end, linkType } = reader;
      if (!parseFrame(packet, bytes, start, end, linkType)) continue;
      seeds.push({
        frame: bytes.slice(start, end) as Bytes,
        linkType,
        packet: bytes.slice(packet.start, end) as Bytes,
        payload: bytes.slice(packet.payloadStart, packet.payloadEnd) as Bytes,
        isTcp: packet.protocol === PROTOCOL_TCP,
      });
    }
    corpus.push(seeds);
  }
  return corpus;
}

/** The beginnings of the capture files themselves, for their readers. */
export function captureFiles(most = 16, length = 8192): Bytes[] {
  return [...Deno.readDirSync(DIRECTORY)].filter(({ name }) => name.endsWith(".pcap"))
    .slice(0, most)
    .map(({ name }) => Deno.readFileSync(DIRECTORY + name).slice(0, length) as Bytes);
}
