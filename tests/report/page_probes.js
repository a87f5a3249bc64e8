/** What the page's test runs inside the page; JavaScript, since the tests have no types of a DOM. */

/** @param {string} selector */
export function textOf(selector) {
  return document.querySelector(selector)?.textContent ?? "";
}

/** @param {{ selector: string, pattern: string }} which */
export function hasText({ selector, pattern }) {
  return new RegExp(pattern).test(document.querySelector(selector)?.textContent ?? "");
}

/** @param {{ selector: string, count: number }} which */
export function hasElements({ selector, count }) {
  return document.querySelectorAll(selector).length === count;
}

/** Points of the line in the chart of packets. @param {number} count */
export function hasPoints(count) {
  const line = document.querySelector("#packets-chart path.line");
  return line?.getAttribute("d").split("L").length === count;
}

/** Width of the content and of the room for it, of everything that could be scrolled sideways. */
export function widths() {
  const regions = [document.documentElement, ...document.querySelectorAll(".scroll")];
  return regions.map(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth]);
}

/** Rows whose last column that is seen does not end where its table does. */
export function ragged() {
  return [...document.querySelectorAll("tr")].flatMap((row) => {
    const last = [...row.cells].findLast((cell) => cell.getClientRects().length > 0);
    const room = last === undefined ? 0 : Number.parseFloat(getComputedStyle(last).paddingRight);
    return room === 0 ? [] : [`${row.textContent}: ${room} px`];
  });
}

/** Luminance of the background, and the least contrast of a text to what is behind it (WCAG 2). */
export function contrasts() {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = numbers(colour).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const { backgroundColor } = getComputedStyle(node);
    const [, , , alpha = 1] = numbers(backgroundColor);
    return alpha > 0 ? backgroundColor : behind(node.parentElement);
  };
  const texts = document.querySelectorAll("h1, h2, h3, p, dt, dd, td, th, li, time, .state, .what");
  let worst = { contrast: Infinity, text: "" };
  for (const node of texts) {
    if (node.textContent.trim() === "") continue;
    const [ink, ground] = [getComputedStyle(node).color, behind(node)].map(luminance);
    const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    if (contrast < worst.contrast) worst = { contrast, text: node.textContent };
  }
  return { body: luminance(getComputedStyle(document.body).backgroundColor), worst };
}
