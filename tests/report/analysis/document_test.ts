import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CAPTURE_POLICY } from "../../../src/engine/policy.ts";
import { Packet } from "../../../src/packet/packet.ts";
import { AnalysisCollector } from "../../../src/report/analysis/collector.ts";
import { analysisPage, describePolicy } from "../../../src/report/analysis/document.ts";
import { detection } from "../detection_fixture.ts";
import { reportOf } from "./page_report.ts";

const ORIGIN = { program: "btblocker 0.1.0", createdMs: 0, policy: CAPTURE_POLICY };

/** What a peer and a file name can say at worst. */
const HOSTILE = [
  "</script><script>document.title=1</script>",
  "<!--<script>",
  "<!-- report --><!-- scripts -->",
  "<img src=x onerror=alert(1)>",
  '" onload="alert(1)',
  "$& $` $1 \u2028\u2029\0\ud800",
].join(" ");

function hostilePage(): string {
  const collector = new AnalysisCollector();
  collector.beginFile(HOSTILE);
  collector.packet(new Packet(), 0);
  const payload = new TextEncoder().encode(HOSTILE);
  collector.detection(detection({ client: HOSTILE, payload }), 1, 0);
  collector.problem(HOSTILE);
  return analysisPage(collector.finish(), ORIGIN);
}

Deno.test("analysisPage() holds what peers say as data, never as markup", () => {
  const page = hostilePage();
  const plain = analysisPage(new AnalysisCollector().finish(), ORIGIN);
  const markup = (text: string) => text.replace(/\{"program"[^]*?\}(?=<\/script>)/, "");
  assert.equal(markup(page), markup(plain));
  assert.notEqual(page, plain);
  const report = reportOf(page);
  assert.equal(report.files[0].path, HOSTILE);
  assert.equal(report.detections[0].client, HOSTILE);
  assert.deepEqual(report.files[0].problems, [HOSTILE]);
});

Deno.test("analysisPage() allows its own script and style, and nothing else", () => {
  const page = hostilePage();
  const [, policy] = /Content-Security-Policy" content="([^"]+)"/.exec(page)!;
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const [, style] = /<style>([^]*?)<\/style>/.exec(page)!;
  const [, script] = /<script type="module">([^]*?)<\/script>/.exec(page)!;
  assert.equal(
    policy,
    `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; ` +
      "base-uri 'none'; form-action 'none'",
  );
  // The policy stands before all that it is about.
  assert.ok(page.indexOf("Content-Security-Policy") < page.indexOf("<style>"));
});

Deno.test("analysisPage() names no other place", () => {
  const page = analysisPage(new AnalysisCollector().finish(), ORIGIN);
  const addresses = page.match(/\b(?:https?:)?\/\/[\w.-]+/g) ?? [];
  const namespaces = ["http://www.w3.org"];
  assert.deepEqual(addresses.filter((one) => !namespaces.includes(one)), []);
  assert.doesNotMatch(page, /\bsrc=|url\(|@import|\bstyle="|\son\w+="/);
});

Deno.test("analysisPage() joins modules whose names do not collide", () => {
  const page = analysisPage(new AnalysisCollector().finish(), ORIGIN);
  const [, script] = /<script type="module">([^]*?)<\/script>/.exec(page)!;
  assert.doesNotMatch(script, /^(import|export) /m);
  new Function(script); // a name declared twice is a SyntaxError
});

Deno.test("describePolicy() says what differs from the default", () => {
  assert.equal(describePolicy(CAPTURE_POLICY), "default policy, all ports");
  assert.equal(
    describePolicy({
      strict: true,
      blockSocks: true,
      blockMentions: true,
      whitelistPorts: [22, 53],
    }),
    "strict policy, all ports but 22, 53, SOCKS proxies too, mentions too",
  );
});
