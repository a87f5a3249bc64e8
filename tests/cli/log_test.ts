/** `btblocker log find`, as an operator with a complaint types it. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { jsonEntry, textEntry } from "../../src/report/detection_text.ts";
import { record } from "../report/detection_fixture.ts";
import { btblocker } from "./command_line.ts";

const HASH = "0123456789abcdef0123456789abcdef01234567";
const one = (timeMs: number) => record({ timeMs }, { infoHash: HASH, source: "10.8.0.5" });

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-log-" });
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("log find looks through the log of the settings and its rotated files", () =>
  inDirectory(async (directory) => {
    const log = `${directory}/detections.log`;
    const day = Date.UTC(2026, 10, 1);
    await Deno.writeTextFile(log, jsonEntry(one(day + 3_600_000)));
    await Deno.writeTextFile(`${log}.1`, jsonEntry(record()));
    await Deno.writeFile(`${log}.2.gz`, gzipSync(jsonEntry(one(day))));
    await Deno.writeTextFile(`${directory}/detections.log.bak`, jsonEntry(one(day)));
    const config = `${directory}/config.toml`;
    await Deno.writeTextFile(config, `detection_log = "${log}"\n`);
    const find = ["log", "find", "--config", config, "--json"];
    const all = await btblocker([...find, "--info-hash", HASH]);
    assert.equal(all.code, 0, all.stderr);
    assert.equal(all.stdout.trim().split("\n").length, 2);
    const between = "2026-11-01T00:30Z/2026-11-01T02:00Z";
    const late = await btblocker([...find, "--info-hash", HASH, "--between", between]);
    const [found] = late.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual([found.file, found.src, found.info_hash], [log, "10.8.0.5:51234", HASH]);
    const none = await btblocker([...find, "--info-hash", HASH, "--port", "1"]);
    assert.deepEqual([none.code, none.stdout], [1, ""]);
  }));

Deno.test("log find prints a table of files that are named, text or JSON", () =>
  inDirectory(async (directory) => {
    const [text, json] = [`${directory}/a`, `${directory}/b`];
    await Deno.writeTextFile(text, textEntry(record()));
    await Deno.writeTextFile(json, jsonEntry(one(0)));
    const { code, stdout } = await btblocker(["log", "find", "--port", "51234", text, json]);
    assert.equal(code, 0);
    const lines = stdout.trim().split("\n");
    assert.match(lines[0], /^TIME +PROTO +SOURCE +DESTINATION +WHO +INFO-HASH +DETECTION$/);
    assert.match(lines[1], /^2024-01-15 18:46:57\.123 +UDP +192\.168\.1\.100:51234 /);
    assert.match(lines[2], new RegExp(`10\\.8\\.0\\.5:51234 .*${HASH}`));
  }));

const refused = [
  [[], "Cannot find anything"],
  [["--info-hash", "12"], "Cannot use --info-hash 12: expected 40 or 64 hexadecimal digits"],
  [["--port", "70000"], "Cannot use --port 70000: expected a number from 1 to 65535"],
  [["--address", "10.0.0"], "Cannot use --address 10.0.0: expected an IPv4 or IPv6 address"],
  [["--between", "yesterday"], "Cannot use --between yesterday: expected two times"],
  [["--between", "2026-11-02/2026-11-01"], "Cannot use --between 2026-11-02/2026-11-01"],
] as const;
for (const [flags, message] of refused) {
  Deno.test(`log find refuses ${flags.join(" ") || "no question"}`, async () => {
    const { code, stderr } = await btblocker(["log", "find", ...flags, "/nonexistent"]);
    assert.equal(code, 2);
    assert(stderr.includes(message), stderr);
  });
}

Deno.test("log find says which file cannot be read, and goes on", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/log`;
    await Deno.writeTextFile(path, jsonEntry(one(0)));
    const ended = await btblocker(["log", "find", "--port", "51234", "/nonexistent", path]);
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /^Cannot read \/nonexistent: /);
    assert.match(ended.stdout, /10\.8\.0\.5/);
  }));
