/**
 * `log find` over a log of a million detections, JSON and text: deno task bench:log [ENTRIES]
 * The median of five runs of the whole command, its start included.
 */
import { fileURLToPath } from "node:url";
import { commandLine } from "../../scripts/arguments.ts";
import { jsonEntry, textEntry } from "../../src/report/detection_text.ts";
import { record } from "../report/detection_fixture.ts";

const RUNS = 5;
const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const USUAL = "6d6e6f707172737475767778797a313233343536";
const WANTED = "00000000000000000000000000000000000000ff";
const QUERY = new TextEncoder().encode(
  "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
);
const HASH_AT = 46;

const { numberAt } = commandLine("deno task bench:log [ENTRIES]", {}, 1);
const entries = numberAt(0, "ENTRIES", 1_000_000);
const directory = await Deno.makeTempDir({ prefix: "btblocker-bench-" });
try {
  for (const [format, entry] of [["json", jsonEntry], ["text", textEntry]] as const) {
    const path = `${directory}/log.${format}`;
    write(path, entry);
    const questions = [["--info-hash", WANTED], ["--port", "4242", "--between", "2023-11-20"]];
    for (const question of questions) {
      const seconds = median(Array.from({ length: RUNS }, () => time(path, question)));
      const mib = Deno.statSync(path).size >> 20;
      console.log(`${format}, ${mib} MiB, ${question.join(" ")}: ${seconds.toFixed(2)} s`);
    }
    await Deno.remove(path);
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}

function write(path: string, entryOf: typeof jsonEntry): void {
  using file = Deno.openSync(path, { write: true, create: true });
  const encoder = new TextEncoder();
  let text = "";
  for (let i = 0; i < entries; i++) {
    const infoHash = i === Math.floor(entries * 0.8) ? WANTED : USUAL;
    const payload = QUERY.slice();
    payload.set(Uint8Array.fromHex(infoHash), HASH_AT);
    text += entryOf(record({ timeMs: 1.7e12 + i * 1000 }, {
      match: { method: "dht", kind: "get_peers", strength: "proof", reason: "get_peers query" },
      ...{ infoHash, payload, payloadLength: payload.length },
      ...{ source: `10.8.${i >> 8 & 255}.${i & 255}`, sourcePort: 1024 + i % 60_000 },
    }));
    if (text.length < 1 << 20 && i < entries - 1) continue;
    let bytes = encoder.encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
    text = "";
  }
}

function time(path: string, question: readonly string[]): number {
  const began = performance.now();
  const { code, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", MAIN, "log", "find", ...question, path],
    stdout: "null",
  }).outputSync();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return (performance.now() - began) / 1000;
}

function median(values: number[]): number {
  return values.sort((one, other) => one - other)[values.length >> 1];
}
