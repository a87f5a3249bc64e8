/**
 * The status page in headless Chromium. `BTBLOCKER_SCREENSHOT=1` writes its pictures in docs too.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Network } from "../../src/demo/network.ts";
import { StatusServer } from "../../src/status/status_server.ts";
import { Blocker } from "../e2e/blocker.ts";
import { liveImpossible } from "../gateway/live.ts";
import { Browser, browserMissing } from "./browser.ts";
import { busyGateway } from "./busy_gateway.ts";
import { ban, FakeSource } from "../status/fake_status.ts";
import { takePictures, WANTS_PICTURES } from "./pictures.ts";
import {
  contrasts,
  hasElements,
  hasPoints,
  hasText,
  ragged,
  textOf,
  widths,
} from "./page_probes.js";

const missing = browserMissing();
if (missing !== null) console.log(`tests of the status page skipped: ${missing}`);
const ignore = missing !== null;

const TOKEN = "correct-horse-battery";

/** Waits until the text of an element is as expected. */
async function expectText(page: Page, selector: string, expected: RegExp): Promise<void> {
  try {
    await page.waitForFunction(hasText, { selector, pattern: expected.source });
  } catch {
    assert.match(await page.evaluate(textOf, selector), expected);
  }
}

interface Served {
  browser: Browser;
  source: FakeSource;
  address: string;
}

function pageTest(
  name: string,
  source: () => FakeSource,
  act: (served: Served) => Promise<void>,
  { listen = "127.0.0.1:0", token = "" } = {},
): void {
  Deno.test({
    name: `the status page ${name}`,
    ignore,
    async fn() {
      await using browser = await Browser.start();
      const fake = source(); // its times are of now
      await using server = await StatusServer.start({ listen, token, source: fake });
      await act({ browser, source: fake, address: server.address });
    },
  });
}

pageTest("shows everything, and asks for nothing of others", busyGateway, async (served) => {
  const { browser, address, source } = served;
  const { page, complaints, requests } = await browser.visit(address);
  await expectText(page, "#state", /^Guarding$/);
  await expectText(page, "#guarded", /^FORWARD · default policy · bans the source for 5h$/);
  await expectText(page, "#figures", /Packets a second\d+/);
  await expectText(page, "#figures", /Flows undecided6most wait for: answer/);
  await expectText(page, "#figures", /Whitelisted services3\.2Mconnections released by the rules/);
  await expectText(page, "#legend", /^dht \d+peer-wire \d+/);
  assert.equal(await page.title(), "btblocker: guarding");
  assert.equal(await page.locator("#bans tr").count(), source.list.length);
  assert.equal(await page.locator("#bans button").count(), 0);
  assert.equal(await page.locator("#recent li").count(), 50);
  assert.equal(await page.locator("#queues tr").count(), 2);
  assert.equal(await page.locator("#xdp tr").count(), 2);
  await expectText(page, "#latency", /half of the batches up to 50 µs, 99 % up to 250 µs/);
  for (const chart of ["#packets-chart", "#bytes-chart"]) {
    const line = await page.locator(`${chart} path.line`).getAttribute("d");
    assert.equal(line!.split("L").length, 360, chart);
  }
  assert(await page.locator("#found-chart rect").count() > 50);
  await page.click("[data-span=minute]");
  await page.waitForFunction(hasPoints, 60);
  await page.click("[data-split=clients]");
  await expectText(page, "#legend", /libtorrent \d+qBittorrent \d+/);
  await page.hover("#found-chart svg", { position: { x: 400, y: 60 } });
  await expectText(page, "#found-chart .tip", /^\d\d:\d\d/);
  await page.fill("#filter", "MANUAL");
  const manual = source.list.filter(({ reason }) => reason === "manual").length;
  assert.equal(await page.locator("#bans tr").count(), manual);
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests.filter((url) => !url.startsWith(address) && !/^data:/.test(url)), []);
  if (WANTS_PICTURES) {
    await takePictures("status-page", async (options) => {
      const { page } = await browser.visit(address, options);
      await page.locator("#recent time").first().waitFor();
      await page.locator("#bans td").first().waitFor();
      await page.locator("#packets-chart path.line").waitFor();
      return page;
    });
  }
});

pageTest("follows what happens", () => new FakeSource(), async ({ browser, source, address }) => {
  const { page, complaints } = await browser.visit(address);
  await expectText(page, "#bans", /^Nobody is banned$/);
  await expectText(page, "#recent", /^None yet$/);
  source.list = [ban("192.0.2.7", { untilMs: Date.now() + 119_000 })];
  source.now = { ...source.now, bans: 1 };
  source.detect();
  await expectText(page, "#bans", /^192\.0\.2\.7dht1m( \d+s)?12$/);
  source.list = [ban("192.0.2.7", { untilMs: Date.now() + 59_000 })];
  await expectText(page, "#bans .number", /^\d\ds$/);
  const left = await page.locator("#bans .number").first().textContent();
  await page.waitForFunction(hasText, {
    selector: "#bans .number",
    pattern: `^(?!${left}$)\\d+s$`, // the time left goes on
  });
  await expectText(page, "#recent", /udp-tracker announce request, qBittorrent 1\.4\.2/);
  await expectText(page, "#legend", /^udp-tracker 1$/);
  const row = await page.locator("#bans tr").elementHandle();
  source.now = {
    ...source.now,
    healthy: false,
    workers: source.now.workers.map((worker, i) => ({ ...worker, running: i === 0 })),
  };
  await expectText(page, "#state", /^Guarding in part$/);
  await expectText(page, "#notice", /worker of queue 1 does not run/);
  assert(await row!.evaluate((node) => node.isConnected)); // the same row, not a new one
  source.now = { ...source.now, workers: source.now.workers.slice(0, 1), monitorOnly: true };
  await expectText(page, "#state", /^Watching only$/);
  assert(await page.locator("#notice").isHidden());
  assert.deepEqual(complaints, []);
});

pageTest("shows what peers say as text", () => new FakeSource(), async (served) => {
  const { browser, source, address } = served;
  const client = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
  source.detect({}, { client });
  source.now = {
    ...source.now,
    xdp: [{ ...source.now.xdp[1], problem: "<b>no</b>" }],
    commit: "</script><script>document.title=1</script>",
  };
  const { page, complaints } = await browser.visit(address);
  await expectText(page, "#recent", /<img src=x onerror=/);
  await page.click("[data-split=clients]");
  await expectText(page, "#legend", /^<img src=x/);
  await expectText(page, "#xdp", /<b>no<\/b>/);
  assert.equal(await page.locator("main img, main b b, main script, #xdp b").count(), 0);
  assert.equal(await page.title(), "btblocker: guarding");
  assert.deepEqual(complaints, []);
});

for (const colorScheme of ["light", "dark"] as const) {
  pageTest(`fits a phone, ${colorScheme}`, busyGateway, async ({ browser, source, address }) => {
    const long = "2001:db8:1234:5678:9abc:def0:1234:5678";
    source.list = [ban(long), ban(long, { port: 65_535, protocol: "udp" }), ...source.list];
    source.detect({}, { source: long, destination: long, family: 6 });
    const { page, complaints } = await browser.visit(address, {
      viewport: { width: 375, height: 812 },
      colorScheme,
    });
    await page.locator("#recent time").first().waitFor();
    await page.locator("#bans tr").first().waitFor();
    for (const [content, room] of await page.evaluate(widths)) {
      assert(content <= room, `${content} of ${room} px`);
    }
    assert.deepEqual(await page.evaluate(ragged), []);
    const { body, worst } = await page.evaluate(contrasts);
    assert(colorScheme === "dark" ? body < 0.05 : body > 0.8);
    assert(worst.contrast >= 4.5, JSON.stringify(worst)); // WCAG 2, level AA
    assert.deepEqual(complaints, []);
  });
}

pageTest("lifts a ban with the token", () => new FakeSource(), async (served) => {
  const { browser, source, address } = served;
  source.list = [ban("192.0.2.7"), ban("192.0.2.8")];
  source.now = { ...source.now, bans: 2 };
  const { page, complaints } = await browser.visit(address);
  const button = page.getByLabel("Lift the ban of 192.0.2.8");
  await button.click();
  await expectText(page, "#bans", /Sure\?/);
  assert.equal(source.list.length, 2);
  await button.click();
  await page.fill("#token", "wrong-horse-battery");
  await page.keyboard.press("Enter");
  await expectText(page, "#ask-why", /token is wrong/);
  assert.equal(source.list.length, 2);
  await page.fill("#token", TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForFunction(hasElements, { selector: "#bans tr", count: 1 });
  assert.deepEqual(source.list.map((one) => one.address), ["192.0.2.7"]);
  // Known now: the next one takes two clicks and no dialog.
  const last = page.getByLabel("Lift the ban of 192.0.2.7");
  await last.click();
  await last.click();
  await expectText(page, "#bans", /Nobody is banned/);
  assert.deepEqual(await page.context().cookies(), []);
  // The browser itself reports the refusal; nothing else was complained of.
  assert.deepEqual(complaints.filter((text) => !/status of 401/.test(text)), []);
}, { token: TOKEN });

pageTest("asks for the token where others can reach it", busyGateway, async (served) => {
  const { browser, address } = served;
  const { page } = await browser.visit(address.replace("0.0.0.0", "127.0.0.1"));
  await expectText(page, "#ask-why", /shows its status to holders of the token/);
  assert.equal(await page.locator("#bans tr").count(), 0);
  await page.fill("#token", TOKEN);
  await page.keyboard.press("Enter");
  await expectText(page, "#state", /^Guarding$/);
  await page.reload(); // the tab remembers
  await expectText(page, "#state", /^Guarding$/);
}, { listen: "0.0.0.0:0", token: TOKEN });

Deno.test({
  name: "the status page says when the blocker is gone, and goes on when it is back",
  ignore,
  async fn() {
    const source = new FakeSource();
    await using browser = await Browser.start();
    const first = await StatusServer.start({ listen: "127.0.0.1:0", token: "", source });
    const { address } = first;
    const { page } = await browser.visit(address);
    await expectText(page, "#state", /^Guarding$/);
    await first[Symbol.asyncDispose]();
    await expectText(page, "#state", /^No connection$/);
    await expectText(page, "#notice", /^No answer since \d\d:\d\d:\d\d/);
    const listen = new URL(address).host;
    await using _second = await StatusServer.start({ listen, token: "", source });
    await expectText(page, "#state", /^Guarding$/);
    await page.locator("body:not(.stale)").waitFor();
  },
});

const impossible = missing ?? liveImpossible("iptables", "nc");

Deno.test({
  name: `the status page of a running blocker${impossible === null ? "" : ` (${impossible})`}`,
  ignore: impossible !== null,
  async fn() {
    const network = await Network.create("btpage");
    try {
      const client = await network.addHost("client");
      const server = await network.addHost("server");
      const socket = `${network.directory}/status.sock`;
      const interfaces = [client.routerInterface];
      const blocker = await Blocker.start(network.router, interfaces, network.directory, {
        STATUS_LISTEN: `unix:${socket}`,
        STATUS_TOKEN: TOKEN,
      });
      await blocker.program.printedMatch(/Status page at unix:/);
      using pipe = pipeTo(socket);
      await using browser = await Browser.start();
      const { page, complaints } = await browser.visit(pipe.address);
      await expectText(page, "#state", /^Guarding$/);
      // BEP 5, "Contacting trackerless peers": the example of get_peers.
      const query = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e" +
        "1:q9:get_peers1:t2:aa1:y1:qe";
      await client.run(["sh", "-c", `printf %s "$0" | nc -u -w1 ${server.ipv4} 6881`, query]);
      await expectText(page, "#recent", /dht/);
      await expectText(page, "#legend", /^dht 1$/);
      await expectText(page, "#queues", /runs/);
      await expectText(page, "#xdp", new RegExp(client.routerInterface));
      await expectText(page, "#latency", /half of the batches/);
      await blocker.command("bans", "add", "203.0.113.77");
      await expectText(page, "#bans", /203\.0\.113\.77manual/);
      const before = await page.locator("#bans tr").count();
      const button = page.getByLabel("Lift the ban of 203.0.113.77");
      await button.click();
      await button.click();
      await page.fill("#token", TOKEN);
      await page.keyboard.press("Enter");
      await page.waitForFunction(hasElements, { selector: "#bans tr", count: before - 1 });
      assert.doesNotMatch(await blocker.command("bans", "list"), /203\.0\.113\.77/);
      assert.deepEqual(complaints, []);
      assert.equal((await blocker.stop()).code, 0);
      assert.throws(() => Deno.statSync(socket)); // gone with the blocker
    } finally {
      await network.dispose();
    }
  },
});

/** The blocker is in another network namespace, but files are the same: its unix socket by TCP. */
function pipeTo(path: string): Disposable & { address: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accept = async () => {
    for await (const visitor of listener) {
      const socket = await Deno.connect({ transport: "unix", path }).catch(() => null);
      if (socket === null) { // the blocker has stopped, the page goes on asking
        visitor.close();
        continue;
      }
      visitor.readable.pipeTo(socket.writable).catch(() => {});
      socket.readable.pipeTo(visitor.writable).catch(() => {});
    }
  };
  accept().catch(() => {});
  const { port } = listener.addr as Deno.NetAddr;
  return {
    address: `http://127.0.0.1:${port}/`,
    [Symbol.dispose]: () => listener.close(),
  };
}
