/** The page of an analysis: one document that asks for nothing else, with the report inside. */
import type { EnginePolicy } from "../../engine/policy.ts";
import dom from "../page/dom.js" with { type: "text" };
import format from "../page/format.js" with { type: "text" };
import { hashSource, joinModules } from "../page/inline.ts";
import commonStyle from "../page/common.css" with { type: "text" };
import html from "./analysis.html" with { type: "text" };
import page from "./analysis.js" with { type: "text" };
import ownStyle from "./analysis.css" with { type: "text" };
import type { AnalysedDetection, AnalysisReport } from "./collector.ts";
import data from "./data.js" with { type: "text" };
import dump from "./dump.js" with { type: "text" };
import lanes from "./lanes.js" with { type: "text" };
import table from "./table.js" with { type: "text" };
import timeline from "./timeline.js" with { type: "text" };

const SCRIPT = joinModules([dom, format, data, table, dump, lanes, timeline, page]);
const STYLE = commonStyle + ownStyle;

/** This very script and this style and nothing else; `frame-ancestors` cannot be said in a page. */
const POLICY = [
  "default-src 'none'",
  `script-src ${hashSource(SCRIPT)}`,
  `style-src ${hashSource(STYLE)}`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** What the page says of how it was made. */
export interface AnalysisOrigin {
  /** Program and version: `btblocker 0.1.0 (commit c3eb4be, …)`. */
  readonly program: string;
  readonly createdMs: number;
  readonly policy: EnginePolicy;
}

/** The document. All that comes from captures is in one block of JSON, which holds no markup. */
export function analysisPage(report: AnalysisReport, origin: AnalysisOrigin): string {
  return html
    .replace("<!-- policy -->", () => contentPolicy())
    .replace("<!-- style -->", () => `<style>${STYLE}</style>`)
    .replace("<!-- scripts -->", () => `<script type="module">${SCRIPT}</script>`)
    .replace("<!-- report -->", () => dataBlock(pageData(report, origin)));
}

function contentPolicy(): string {
  return `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
}

/** A browser does not run it; without `<` it cannot end before its end. */
function dataBlock(value: unknown): string {
  const json = JSON.stringify(value).replaceAll("<", "\\u003c");
  return `<script id="report" type="application/json">${json}</script>`;
}

/** The report as the page reads it (data.js): long lists as rows of values, addresses once. */
function pageData(report: AnalysisReport, { program, createdMs, policy }: AnalysisOrigin) {
  const addresses = new Map<string, number>();
  const numberOf = (address: string) => {
    const known = addresses.get(address);
    if (known !== undefined) return known;
    addresses.set(address, addresses.size);
    return addresses.size - 1;
  };
  const flows = report.flows.map((flow) => [
    ...[flow.file, flow.transport === "tcp" ? 1 : 0],
    ...[numberOf(flow.source), flow.sourcePort],
    ...[numberOf(flow.destination), flow.destinationPort],
    ...[flow.firstMs, flow.lastMs],
    ...[flow.packetsOut, flow.packetsIn, flow.bytesOut, flow.bytesIn],
  ]);
  return {
    program,
    createdMs,
    policy: describePolicy(policy),
    files: report.files,
    hosts: report.hosts,
    detections: report.detections.map(detectionData),
    flows,
    addresses: [...addresses.keys()],
    leftOut: report.leftOut,
  };
}

function detectionData(detection: AnalysedDetection) {
  return {
    ...detection,
    payload: detection.payload.toBase64(),
    fields: detection.fields.map(({ start, end, name, isDecisive, value }) => [
      ...[start, end, name, isDecisive ? 1 : 0],
      ...value === null ? [] : [value],
    ]),
  };
}

/** In words: `default policy, all ports`. */
export function describePolicy(policy: EnginePolicy): string {
  const ports = policy.whitelistPorts.length === 0
    ? "all ports"
    : `all ports but ${policy.whitelistPorts.join(", ")}`;
  return [
    `${policy.strict ? "strict" : "default"} policy`,
    ports,
    ...policy.blockSocks ? ["SOCKS proxies too"] : [],
    ...policy.blockMentions ? ["mentions too"] : [],
  ].join(", ");
}
