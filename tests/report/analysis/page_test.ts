/**
 * The page of `analyze --html` in headless Chromium, opened as the file that it is.
 * `BTBLOCKER_SCREENSHOT=1` writes its pictures in docs too.
 */
import assert from "node:assert/strict";
import type { BrowserContextOptions } from "playwright-core";
import { analyze } from "../../../src/cli/analyze.ts";
import { Output } from "../../../src/cli/output.ts";
import { CAPTURE_POLICY } from "../../../src/engine/policy.ts";
import { match } from "../../../src/protocols/match.ts";
import { parseAddress } from "../../../src/packet/address.ts";
import { Packet, PROTOCOL_UDP } from "../../../src/packet/packet.ts";
import { AnalysisCollector } from "../../../src/report/analysis/collector.ts";
import { analysisPage } from "../../../src/report/analysis/document.ts";
import { Browser, browserMissing, type Visit } from "../browser.ts";
import { detection } from "../detection_fixture.ts";
import { takePictures, WANTS_PICTURES } from "../pictures.ts";
import { contrasts, hasText, textOf, widths } from "../page_probes.js";
import { CAPTURES } from "./captured_detection.ts";
import { marksOf, tableText } from "./page_probes.js";
import { reportOf } from "./page_report.ts";

const missing = browserMissing();
if (missing !== null) console.log(`tests of the analysis' page skipped: ${missing}`);
const ignore = missing !== null;

/** DHT, encrypted peers of several hosts, a flow joined in the middle. */
const SWARM = [
  "libtorrent-mse-rc4-four-peers.pcap",
  "libtorrent-dht-tcp.pcap",
  "transmission-mse-rc4-four-peers.pcap",
  "libtorrent-tcp-mid-stream.pcap",
];

async function inDirectory(act: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-analysis-" });
  try {
    await act(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Opens the page of the file, and waits until it shows what it holds. */
async function open(
  browser: Browser,
  path: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const visit = await browser.visit(`file://${path}`, options);
  await visit.page.waitForFunction(hasText, { selector: "#state", pattern: "^(?!Loading)" });
  return visit;
}

async function analysisOf(files: readonly string[], path: string): Promise<void> {
  const silent = new Output((bytes) => bytes.length);
  const captures = files.map((name) => CAPTURES + name);
  assert.equal(await analyze(captures, { json: true, html: path }, silent), 0);
}

function pageTest(
  name: string,
  act: (browser: Browser, directory: string) => Promise<void>,
): void {
  Deno.test({
    name: `the analysis' page ${name}`,
    ignore,
    async fn() {
      await inDirectory(async (directory) => {
        await using browser = await Browser.start();
        await act(browser, directory);
      });
    },
  });
}

pageTest(
  "shows every capture, host and detection, and asks for nothing",
  async (browser, directory) => {
    const path = `${directory}/report.html`;
    await analysisOf([""], path); // all of tests/captures
    const report = reportOf(await Deno.readTextFile(path));
    const { page, complaints, requests } = await open(browser, path);
    assert.equal(await page.textContent("#state"), `${report.detections.length} detections`);
    assert.equal(await page.locator("#detections tbody tr").count(), report.detections.length);
    assert.equal(await page.locator("#hosts tbody tr").count(), report.hosts.length);
    assert.equal(await page.locator("#files tbody tr").count(), report.files.length);
    const texts = await page.evaluate(tableText, "#detections tbody tr");
    report.detections.forEach(({ method, reason, source, packet }, i) => {
      for (const part of [method, reason, source, String(packet)]) {
        assert.ok(texts[i].includes(part), `${texts[i]}: ${part}`);
      }
    });
    // Each of these captures has its own time: one of them is shown, the others on demand.
    await page.selectOption("#file", { label: "libtorrent-lsd.pcap, 2 detections" });
    assert.equal(await page.locator("#timeline rect.detected").count(), 2);
    assert.equal(await page.locator("#timeline circle").count(), 2);
    await page.selectOption("#file", "");
    const drawn = await page.locator("#timeline rect.flow").count();
    const note = await page.textContent("#timeline-note");
    if (drawn < report.flows.length) {
      assert.match(note!, new RegExp(`^A bar is .* ${drawn} flows drawn, .* found no room\\.$`));
    }
    assert.deepEqual(complaints, []);
    assert.deepEqual(requests.slice(1).filter((url) => !url.startsWith("data:")), []);
  },
);

pageTest(
  "opens a detection at its bytes, with the matched field marked",
  async (browser, directory) => {
    const path = `${directory}/report.html`;
    await analysisOf(["deluge-tcp-http-tracker.pcap"], path);
    const { page, complaints } = await open(browser, path);
    await page.fill("#filter", "peer-wire");
    const button = page.locator("#detections .open").first();
    assert.equal(await button.getAttribute("aria-expanded"), "false");
    await button.click();
    assert.equal(await button.getAttribute("aria-expanded"), "true");
    assert.match((await page.textContent(".drill .facts"))!, /frame 41 · .* 68 bytes of payload/);
    // BEP 3: the first 20 bytes, in hexadecimal and as text, over two rows of the dump.
    assert.deepEqual(await page.evaluate(marksOf, ".dump .decisive"), [
      "13 42 69 74 54 6f 72 72  65 6e 74 20 70 72 6f 74",
      "·BitTorrent prot",
      "6f 63 6f 6c",
      "ocol",
    ]);
    assert.deepEqual(await page.evaluate(marksOf, ".fields mark"), [
      "protocol name (BEP 3: pstr)",
      "extension bits (reserved)",
      "info_hash",
      "peer_id",
    ]);
    assert.match((await page.textContent(".fields"))!, /peer_id bytes 48 to 67 -DE203s-/);
    await button.click();
    assert.equal(await page.locator(".drill").count(), 0);
    assert.deepEqual(complaints, []);
  },
);

pageTest("leads from the timeline to a detection", async (browser, directory) => {
  const path = `${directory}/report.html`;
  await analysisOf(["libtorrent-lsd.pcap"], path);
  const { page, complaints } = await open(browser, path);
  await page.hover("#timeline circle >> nth=0");
  const tip = await page.textContent("#timeline .tip");
  assert.match(
    tip!,
    /^UDP \S+ → 239\.192\.152\.143:6771from .*2 packets \(274 B\) out.*lsd local announce/,
  );
  await page.click("#timeline circle >> nth=0");
  await page.locator(".drill .dump").waitFor();
  assert.match((await page.textContent(".drill .fields"))!, /request line.*Infohash/);
  // The same with the keyboard.
  await page.focus("#timeline svg.flows");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator("#timeline .pointed").count(), 1);
  await page.keyboard.press("Enter");
  await page.locator(".drill >> nth=1").waitFor();
  assert.deepEqual(complaints, []);
});

pageTest("shows a part of the time", async (browser, directory) => {
  const path = `${directory}/report.html`;
  await analysisOf(["libtorrent-dht-tcp.pcap"], path);
  const { page, complaints } = await open(browser, path);
  const all = await page.locator("#timeline rect.flow").count();
  const whole = await page.textContent("#span");
  const axis = (await page.locator(".time-axis").boundingBox())!;
  await page.mouse.move(axis.x + axis.width * 0.6, axis.y + 10);
  await page.mouse.down();
  await page.mouse.move(axis.x + axis.width * 0.9, axis.y + 10, { steps: 3 });
  await page.mouse.up();
  const part = await page.locator("#timeline rect.flow").count();
  assert.ok(part > 0 && part < all, `${part} of ${all} flows`);
  assert.notEqual(await page.textContent("#span"), whole);
  await page.click("#whole");
  assert.equal(await page.locator("#timeline rect.flow").count(), all);
  assert.equal(await page.textContent("#span"), whole);
  assert.ok(await page.locator("#whole").isHidden());
  assert.deepEqual(complaints, []);
});

pageTest("sorts its tables, and a host leads to its detections", async (browser, directory) => {
  const path = `${directory}/report.html`;
  await analysisOf(SWARM, path);
  const { page, complaints } = await open(browser, path);
  const column = "#hosts tbody td:nth-child(4)";
  await page.getByRole("button", { name: "Packets", exact: true }).last().click(); // captures'
  await page.locator("#hosts").getByRole("button", { name: "Packets" }).click();
  const counts = (await page.evaluate(marksOf, column)).map((text) =>
    Number(text.replace(",", ""))
  );
  assert.deepEqual(counts, counts.toSorted((a, b) => b - a));
  assert.equal(await page.locator("#hosts [aria-sort]").getAttribute("aria-sort"), "descending");
  const host = page.locator("#hosts .link").first();
  const address = await host.textContent();
  await host.click();
  const rows = await page.evaluate(tableText, "#detections tbody tr");
  assert.ok(rows.length > 0 && rows.every((row) => row.includes(address!)));
  assert.deepEqual(complaints, []);
});

pageTest("shows what peers say as text", async (browser, directory) => {
  const path = `${directory}/report.html`;
  const client = '<img src=x onerror="document.title=1"></script><script>document.title=1</script>';
  const collector = new AnalysisCollector();
  collector.beginFile(client);
  const packet = new Packet();
  packet.protocol = PROTOCOL_UDP;
  collector.packet(packet, 0);
  const payload = new TextEncoder().encode(
    `d1:ad2:id20:abcdefghijklmnopqrste1:q${client.length}:` +
      `${client}1:t2:aa1:y1:qe`,
  );
  const found = detection({ match: match("dht", "query", "proof", client), client, payload });
  collector.detection(found, 1, 0);
  collector.problem(client);
  const origin = { program: client, createdMs: 0, policy: CAPTURE_POLICY };
  await Deno.writeTextFile(path, analysisPage(collector.finish(), origin));
  const { page, complaints, requests } = await open(browser, path);
  await page.click("#detections .open");
  assert.ok((await page.textContent(".drill"))!.includes(client));
  assert.ok((await page.textContent("#problems"))!.includes(client));
  assert.equal(await page.locator("img, main script, #problems script").count(), 0);
  assert.match(await page.title(), /^btblocker analysis: /);
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests.slice(1).filter((url) => !url.startsWith("data:")), []);
});

pageTest("says what it leaves out", async (browser, directory) => {
  const path = `${directory}/report.html`;
  const limits = { flows: 5_000, detections: 300, hosts: 20_000, hostsShown: 250 };
  const collector = new AnalysisCollector(limits);
  collector.beginFile("many.pcap");
  const packet = new Packet();
  packet.protocol = PROTOCOL_UDP;
  for (let i = 0; i < 12_000; i++) {
    packet.address.set(parseAddress(`10.${i >> 12}.${(i >> 6) & 63}.${i & 63}`)!, 0);
    packet.address.set(parseAddress(`192.0.2.${i & 3}`)!, 4);
    packet.payloadLength = i;
    collector.packet(packet, i);
    if (i % 30 === 0) collector.detection(detection({ source: `10.0.0.${i & 63}` }), i + 1, i);
  }
  collector.summary({
    ...{ packets: 12_000, bytes: 1e6, cutFrames: 1_234, unreadableFrames: 5 },
    ...{ flows: 12_000, detections: 400 },
  });
  const origin = { program: "btblocker", createdMs: 0, policy: CAPTURE_POLICY };
  await Deno.writeTextFile(path, analysisPage(collector.finish(), origin));
  const { page, complaints } = await open(browser, path);
  assert.match((await page.textContent("#figures"))!, /1,234 cut, 5 unreadable/);
  const shapes = await page.locator("#timeline rect.flow").count();
  assert.ok(shapes > 100 && shapes <= 3_000, `${shapes} flows drawn`);
  assert.match(
    (await page.textContent("#timeline-note"))!,
    /flows drawn, .* found no room\. The page holds 5,000 flows; 7,000 more were left out/,
  );
  assert.equal(
    await page.textContent("#detections-note"),
    "100 later detections left out: the page holds 300.",
  );
  assert.match((await page.textContent("#hosts-note"))!, /addresss? with fewer .* left out/);
  assert.equal(await page.locator("#detections tbody tr").count(), 200);
  await page.click("#detections + .more");
  assert.equal(await page.locator("#detections tbody tr").count(), 300);
  assert.deepEqual(complaints, []);
});

for (const colorScheme of ["light", "dark"] as const) {
  pageTest(`fits a phone, ${colorScheme}`, async (browser, directory) => {
    const path = `${directory}/report.html`;
    await analysisOf([...SWARM, "libtorrent-tcp-udp-tracker-ipv6.pcap"], path);
    const { page, complaints } = await open(browser, path, {
      viewport: { width: 375, height: 812 },
      colorScheme,
    });
    for (const method of ["dht", "mse", "udp-tracker"]) {
      await page.fill("#filter", method);
      await page.click("#detections .open");
      await page.locator(".dump").waitFor();
      for (const [content, room] of await page.evaluate(widths)) {
        assert.ok(content <= room, `${content} of ${room} px`);
      }
      const [dump] = await page.locator(".dump").evaluateAll((dumps) =>
        dumps.map((dump) => [dump.scrollWidth, dump.clientWidth])
      );
      assert.ok(dump[0] <= dump[1], `the dump: ${dump}`);
    }
    const { body, worst } = await page.evaluate(contrasts);
    assert.ok(colorScheme === "dark" ? body < 0.05 : body > 0.8);
    assert.ok(worst.contrast >= 4.5, JSON.stringify(worst)); // WCAG 2, level AA
    assert.deepEqual(complaints, []);
  });
}

pageTest("prints dark on white, whole", async (browser, directory) => {
  const path = `${directory}/report.html`;
  await analysisOf(SWARM, path);
  const viewport = { width: 718, height: 1000 }; // A4 between its margins
  const { page } = await open(browser, path, { viewport, colorScheme: "dark" });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const { body, worst } = await page.evaluate(contrasts);
  assert.ok(body > 0.95);
  assert.ok(worst.contrast >= 4.5, JSON.stringify(worst));
  const [[content, room]] = await page.locator(".lanes").evaluateAll((all) =>
    all.map(({ scrollHeight, clientHeight }) => [scrollHeight, clientHeight])
  );
  assert.ok(content <= room, "the timeline is cut");
  const [document] = await page.evaluate(widths);
  assert.ok(document[0] <= document[1], `${document[0]} of ${document[1]} px`);
  assert.ok(await page.locator("#filter").isHidden());
  assert.equal(await page.evaluate(textOf, "h1"), "btblocker analysis");
});

if (WANTS_PICTURES) {
  pageTest("as pictures", async (browser, directory) => {
    const path = `${directory}/report.html`;
    const cwd = Deno.cwd();
    try {
      Deno.chdir(CAPTURES); // the page names its captures as they were given
      const silent = new Output((bytes) => bytes.length);
      const options = { json: true, html: path };
      await analyze(["libtorrent-mse-rc4-beside-others.pcap"], options, silent);
    } finally {
      Deno.chdir(cwd);
    }
    await takePictures("analysis-page", async (options) => {
      const { page } = await open(browser, path, options);
      await page.locator("#detections .open").first().click();
      await page.locator("h1").click();
      return page;
    });
  });
}
