/** The status page as one document that asks for nothing else, and the policy that enforces it. */
import { createHash } from "node:crypto";
import chart from "./chart.js" with { type: "text" };
import format from "./format.js" with { type: "text" };
import html from "./page.html" with { type: "text" };
import page from "./page.js" with { type: "text" };
import style from "./page.css" with { type: "text" };

/** In the order in which they need each other. */
const SCRIPTS = [format, chart, page];

/** Content-Security-Policy: these very scripts and this style, data from where the page is from. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `script-src ${SCRIPTS.map(source).join(" ")}`,
  `style-src ${source(style)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

function source(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** The document. */
export const PAGE: string = html
  .replace("<!-- style -->", () => `<style>${style}</style>`)
  .replace("<!-- scripts -->", () => SCRIPTS.map((one) => `<script>${one}</script>`).join("\n"));
