/** The status page as one document that asks for nothing else, and the policy that enforces it. */
import { createHash } from "node:crypto";
import ask from "./ask.js" with { type: "text" };
import chart from "./chart.js" with { type: "text" };
import dom from "./dom.js" with { type: "text" };
import format from "./format.js" with { type: "text" };
import lists from "./lists.js" with { type: "text" };
import style from "./page.css" with { type: "text" };
import html from "./page.html" with { type: "text" };
import page from "./page.js" with { type: "text" };
import show from "./show.js" with { type: "text" };

/** The modules as one script, in the order in which they need each other. */
const SCRIPT = [dom, format, chart, ask, show, lists, page].map(withoutImports).join("\n");

/** Of modules whose names do not collide: what they import stands before them. */
function withoutImports(module: string): string {
  return module.replace(/^import [^;]*;\n/gm, "").replace(/^export /gm, "");
}

/** Content-Security-Policy: this very script and this style, data from where the page is from. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `script-src ${source(SCRIPT)}`,
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
  .replace("<!-- scripts -->", () => `<script type="module">${SCRIPT}</script>`);
