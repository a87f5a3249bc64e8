/** Reads what the tests of the detection pcap look for: the packets with their comments. */
import { MemorySource } from "../../src/capture/byte_source.ts";
import { CaptureReader } from "../../src/capture/reader.ts";

export interface ReadPacket {
  hex: string;
  linkType: number;
  timeMs: number;
  length: number;
}

/** All packets of a capture by our own reader, and its complaint. */
export function readCapture(bytes: Uint8Array): { packets: ReadPacket[]; problem: string | null } {
  using reader = CaptureReader.from(new MemorySource([bytes]));
  const packets: ReadPacket[] = [];
  while (reader.next()) {
    packets.push({
      hex: reader.bytes.slice(reader.start, reader.end).toHex(),
      linkType: reader.linkType,
      timeMs: reader.timeMs,
      length: reader.wireLength,
    });
  }
  return { packets, problem: reader.problem };
}

/** The option of that code in a block whose options begin at `at`; null where it has none. */
export function optionOf(block: Uint8Array, at: number, code: number): string | null {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  while (at < block.length - 4) {
    const length = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === code) {
      return new TextDecoder().decode(block.subarray(at + 4, at + 4 + length));
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return null;
}

/** The lengths of a file's blocks; throws where one is not whole. */
export function blockLengths(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at + 4, true);
    if (view.getUint32(at + length - 4, true) !== length) throw new Error(`torn at ${at}`);
    lengths.push(length);
    at += length;
  }
  return lengths;
}

export function hasTshark(): boolean {
  try {
    return new Deno.Command("tshark", { args: ["--version"], stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** Wireshark's words for some fields of every packet; throws where it complains of the file. */
export function tshark(path: string, ...fields: string[]): string[][] {
  const { code, stdout, stderr } = new Deno.Command("tshark", {
    args: ["-r", path, "-n", "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
  }).outputSync();
  const complaint = new TextDecoder().decode(stderr).split("\n")
    .filter((line) => line !== "" && !/^Running as user "root"/.test(line)).join("\n");
  if (code !== 0 || complaint !== "") throw new Error(`tshark (${code}): ${complaint}`);
  const text = new TextDecoder().decode(stdout).trimEnd();
  return text === "" ? [] : text.split("\n").map((line) => line.split("\t"));
}
