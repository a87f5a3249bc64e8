import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type PageReport, reportOf } from "../report/analysis/page_report.ts";
import { btblocker } from "./command_line.ts";

const CAPTURES = fileURLToPath(new URL("../captures/", import.meta.url));

async function inDirectory(act: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await act(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const names = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name);

/** In the words of `analyze --json`, without the time's last digits. */
function rows({ files, detections }: PageReport): string[] {
  const endpoint = (address: string, port: number) =>
    address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return detections.map((one) =>
    [
      ...[files[one.file].path, one.packet, new Date(one.timeMs).toISOString().slice(0, -1)],
      one.transport,
      endpoint(one.source, one.sourcePort),
      endpoint(one.destination, one.destinationPort),
      ...[one.method, one.strength, one.reason, one.client],
    ].join(" ")
  );
}

Deno.test("analyze --html writes every detection that --json prints, and both stand by themselves", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/report.html`;
    const plain = await btblocker(["analyze", "--json", CAPTURES]);
    const { code, stdout, stderr } = await btblocker(
      ["analyze", "--json", "--html", path, CAPTURES],
      { permissions: ["--allow-read", "--allow-env", `--allow-write=${directory}`] },
    );
    assert.equal(stderr, "");
    assert.equal(code, 0);
    const withoutTimes = (text: string) => text.replaceAll(/"seconds":[\d.e-]+/g, "");
    assert.equal(withoutTimes(stdout), withoutTimes(plain.stdout));
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    const report = reportOf(Deno.readTextFileSync(path));
    const found = lines.filter(({ type }) => type === "detection");
    assert.ok(found.length > 100);
    assert.deepEqual(
      rows(report),
      found.map((one) =>
        [
          ...[one.file, one.packet, one.time.slice(0, 23), one.transport, one.src, one.dst],
          ...[one.method, one.strength, one.reason, one.client],
        ].join(" ")
      ),
    );
    const summaries = lines.filter(({ type }) => type === "summary");
    assert.deepEqual(
      report.files.map(({ path, packets, detections }) => [path, packets, detections]),
      summaries.map(({ file, packets, detections }) => [file, packets, detections]),
    );
    assert.deepEqual(report.leftOut, { flows: 0, detections: 0, hosts: 0, hostEnds: 0 });
    assert.equal(report.policy, "default policy, all ports");
    for (const { payload, fields } of report.detections) {
      const { length } = Uint8Array.fromBase64(payload);
      for (const [start, end] of fields) assert.ok(0 <= start && start < end && end <= length);
    }
    assert.deepEqual(names(directory), ["report.html"]);
  });
});

Deno.test("analyze --html stands beside the table, and tells what could not be read", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/report.html`;
    Deno.writeTextFileSync(`${directory}/text`, "root:x:0");
    const { code, stdout } = await btblocker([
      ...["analyze", "--html", path, "--policy", "strict", "--whitelist-ports", "22"],
      `${directory}/text`,
      `${CAPTURES}libtorrent-lsd.pcap`,
    ]);
    assert.equal(code, 1);
    assert.match(stdout, /2 BitTorrent flows/);
    const report = reportOf(Deno.readTextFileSync(path));
    assert.equal(report.policy, "strict policy, all ports but 22");
    assert.match(report.files[0].problems[0], /^cannot be read: not a pcap or pcapng capture/);
    assert.equal(report.files[1].detections, 2);
  });
});

Deno.test("analyze --html reads standard input", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/report.html`;
    const stdin = Deno.readFileSync(`${CAPTURES}libtorrent-lsd.pcap`);
    const { code } = await btblocker(["analyze", "--html", path, "-"], { stdin });
    assert.equal(code, 0);
    assert.equal(reportOf(Deno.readTextFileSync(path)).detections.length, 2);
  });
});

Deno.test("analyze --html ends with 1 before it reads what it could not write about", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/none/report.html`;
    const { code, stdout, stderr } = await btblocker(["analyze", "--html", path, CAPTURES]);
    assert.deepEqual([code, stdout, stderr], [
      1,
      "",
      `Cannot write the report ${path}: no such directory\n`,
    ]);
    const noRight = await btblocker(
      ["analyze", "--html", `${directory}/report.html`, CAPTURES],
      { permissions: ["--allow-read", "--allow-env"] },
    );
    assert.deepEqual([noRight.code, noRight.stdout, noRight.stderr], [
      1,
      "",
      `Cannot write the report ${directory}/report.html: Deno was not allowed to write there ` +
      "(add --allow-write for its directory, or use deno task btblocker)\n",
    ]);
    assert.deepEqual(names(directory), []);
  });
});

Deno.test("analyze --html does not write over a capture", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/a.pcap`;
    Deno.copyFileSync(`${CAPTURES}libtorrent-lsd.pcap`, path);
    const before = Deno.statSync(path).size;
    const { code, stderr } = await btblocker(["analyze", "--html", path, path]);
    assert.equal(code, 1);
    assert.match(stderr, /^Cannot write the report .*: something else than a page is there/);
    assert.equal(Deno.statSync(path).size, before);
  });
});
