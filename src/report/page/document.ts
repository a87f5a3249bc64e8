/** The status page as one document that asks for nothing else, and the policy that enforces it. */
import ask from "./ask.js" with { type: "text" };
import chart from "./chart.js" with { type: "text" };
import commonStyle from "./common.css" with { type: "text" };
import dom from "./dom.js" with { type: "text" };
import format from "./format.js" with { type: "text" };
import { hashSource, joinModules } from "./inline.ts";
import lists from "./lists.js" with { type: "text" };
import ownStyle from "./page.css" with { type: "text" };
import html from "./page.html" with { type: "text" };
import page from "./page.js" with { type: "text" };
import show from "./show.js" with { type: "text" };

const SCRIPT = joinModules([dom, format, chart, ask, show, lists, page]);
const STYLE = commonStyle + ownStyle;

/** Content-Security-Policy: this very script and this style, data from where the page is from. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `script-src ${hashSource(SCRIPT)}`,
  `style-src ${hashSource(STYLE)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The document. */
export const PAGE: string = html
  .replace("<!-- style -->", () => `<style>${STYLE}</style>`)
  .replace("<!-- scripts -->", () => `<script type="module">${SCRIPT}</script>`);
