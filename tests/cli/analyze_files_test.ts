/** What `analyze` writes beside its output must never be what it judges. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { btblocker } from "./command_line.ts";

const CAPTURES = fileURLToPath(new URL("../captures/", import.meta.url));
const CAPTURE = Deno.readFileSync(`${CAPTURES}libtorrent-lsd.pcap`);
const OTHER = Deno.readFileSync(`${CAPTURES}coap.pcap`);

async function inDirectory(
  files: Record<string, Uint8Array>,
  act: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    for (const [name, content] of Object.entries(files)) {
      Deno.writeFileSync(`${directory}/${name}`, content);
    }
    await act(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("analyze --detection-log does not write into a capture", async () => {
  const packed = new Uint8Array(gzipSync(CAPTURE));
  await inDirectory({ "a.pcap": CAPTURE, "b.pcap.gz": packed }, async (directory) => {
    for (const [name, before] of [["a.pcap", CAPTURE], ["b.pcap.gz", packed]] as const) {
      const path = `${directory}/${name}`;
      for (const judged of [path, directory]) {
        const { code, stdout, stderr } = await btblocker([
          "analyze",
          "--detection-log",
          path,
          judged,
        ]);
        assert.deepEqual([code, stdout, stderr], [
          1,
          "",
          `Cannot write the detection log ${path}: a capture is there ` +
          "(name another file, or remove it)\n",
        ]);
        assert.deepEqual(Deno.readFileSync(path), before);
      }
    }
  });
});

Deno.test("analyze --detection-pcap leaves another capture alone, and says that judging goes on", async () => {
  await inDirectory({ "a.pcap": CAPTURE, "b.pcap": OTHER }, async (directory) => {
    const [judged, pcap] = [`${directory}/a.pcap`, `${directory}/b.pcap`];
    const { code, stderr } = await btblocker(["analyze", "--detection-pcap", pcap, judged]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^Cannot write the detection pcap .*b\.pcap: it holds something else .*\(judging goes on, packets /,
    );
    assert.deepEqual(Deno.readFileSync(pcap), OTHER);
  });
});

Deno.test("analyze refuses the format of a log that is not written", async () => {
  const { code, stderr } = await btblocker(["analyze", "--detection-log-format", "json", "x.pcap"]);
  assert.equal(code, 2);
  assert.equal(stderr, "Cannot use --detection-log-format without --detection-log\n");
});
