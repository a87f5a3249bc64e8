/**
 * Packets a second of `btblocker analyze`, reading the file included, beside ndpiReader:
 *
 *   deno task bench:analyze [CORPUS]
 *
 * The input is a merge of the clean Ethernet captures of CORPUS (see engine_bench.ts), repeated with
 * other addresses until it has 400 000 packets. The two programs run in turn, whole processes; the
 * ratio is of the medians. A third in the row is ours on a capture without packets: what starting
 * costs. Without ndpiReader (Debian: libndpi-bin) only ours is measured.
 */
import { fileURLToPath } from "node:url";
import { commandLine } from "../../scripts/arguments.ts";
import { CaptureReader } from "../../src/capture/reader.ts";
import { corpusFiles, median } from "./corpus.ts";

const PACKETS = 400_000;
const RUNS = 5;
const ETHERNET = 1;
const SNAP_LENGTH = 262_144;

/** File header of a capture. */
function fileHeader(): Uint8Array<ArrayBuffer> {
  const header = new DataView(new ArrayBuffer(24));
  header.setUint32(0, 0xa1b2_c3d4, true);
  header.setUint16(4, 2, true);
  header.setUint16(6, 4, true);
  header.setUint32(16, SNAP_LENGTH, true);
  header.setUint32(20, ETHERNET, true);
  return new Uint8Array(header.buffer);
}

/** Writes the merged capture and returns the number of packets in it. */
async function merge(paths: string[], target: string): Promise<number> {
  const frames: { bytes: Uint8Array; wireLength: number }[] = [];
  for (const path of paths) {
    using reader = await CaptureReader.open(path);
    while (reader.next()) {
      if (reader.linkType !== ETHERNET) continue;
      frames.push({
        bytes: reader.bytes.slice(reader.start, reader.end),
        wireLength: reader.wireLength,
      });
    }
  }
  using file = Deno.openSync(target, { write: true, create: true, truncate: true });
  file.writeSync(fileHeader());
  let count = 0;
  const record = new DataView(new ArrayBuffer(16));
  for (let round = 0; count < PACKETS; round++) {
    const chunks: Uint8Array[] = [];
    for (const { bytes, wireLength } of frames) {
      if (count === PACKETS) break;
      count++;
      record.setUint32(0, 1_700_000_000 + Math.floor(count / 10_000), true);
      record.setUint32(4, (count % 10_000) * 100, true);
      record.setUint32(8, bytes.length, true);
      record.setUint32(12, wireLength, true);
      const copy = bytes.slice();
      if (copy[12] === 8 && copy[13] === 0 && copy.length >= 34) {
        copy[27] ^= round; // second byte of both IPv4 addresses
        copy[31] ^= round;
      }
      chunks.push(new Uint8Array(record.buffer.slice(0)), copy);
    }
    for (const chunk of chunks) file.writeSync(chunk);
  }
  return count;
}

/** Seconds of one run of a command as a whole process. */
async function seconds(command: string, args: string[]): Promise<number> {
  const began = performance.now();
  const { success } = await new Deno.Command(command, { args, stdout: "null", stderr: "null" })
    .output();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}`);
  return (performance.now() - began) / 1000;
}

async function isInstalled(command: string): Promise<boolean> {
  try {
    await new Deno.Command(command, { args: ["-h"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch {
    return false;
  }
}

const directory = Deno.makeTempDirSync();
try {
  const merged = `${directory}/merged.pcap`;
  const count = await merge(
    corpusFiles(commandLine("deno task bench:analyze [CORPUS]", {}, 1).words[0]).clean,
    merged,
  );
  const megabytes = Deno.statSync(merged).size / 1e6;
  console.log(`${count} packets, ${megabytes.toFixed(0)} MB, ${RUNS} runs in turn, medians`);
  const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
  const empty = `${directory}/empty.pcap`;
  Deno.writeFileSync(empty, fileHeader());
  const ours = ["run", "--quiet", "--no-prompt", "-A", main, "analyze", "--json"];
  const hasNdpi = await isInstalled("ndpiReader");
  const times = { btblocker: [] as number[], start: [] as number[], ndpiReader: [] as number[] };
  for (let run = 0; run < RUNS; run++) {
    times.btblocker.push(await seconds(Deno.execPath(), [...ours, merged]));
    times.start.push(await seconds(Deno.execPath(), [...ours, empty]));
    if (hasNdpi) times.ndpiReader.push(await seconds("ndpiReader", ["-q", "-i", merged]));
  }
  const report = (name: string, runs: number[]) => {
    const rate = count / median(runs) / 1e6;
    console.log(
      `${name.padEnd(12)} ${median(runs).toFixed(3)} s  ${rate.toFixed(2)} million packets/s`,
    );
  };
  report("btblocker", times.btblocker);
  console.log(`${"".padEnd(12)} ${median(times.start).toFixed(3)} s of it to start`);
  if (hasNdpi) {
    report("ndpiReader", times.ndpiReader);
    const ratio = median(times.ndpiReader) / median(times.btblocker);
    console.log(`btblocker is ${ratio.toFixed(2)} times as fast (start of both programs included)`);
  } else {
    console.log("ndpiReader is not installed: nothing to compare with (apt install libndpi-bin)");
  }
} finally {
  Deno.removeSync(directory, { recursive: true });
}
