/** The charts: SVG, drawn anew for each width. Colours come from the style sheet. */
import { clock } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  if (text !== undefined) node.textContent = text;
  return node;
}

const AXIS_WIDTH = 58;
const AXIS_HEIGHT = 20;
const TOP = 8;

/** A number above it that is round, and of which half is too: the axis shows both. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}

/** Times in the middle of which no label would overlap another. */
function timeTicks(startMs, endMs, width) {
  const most = Math.max(2, Math.floor(width / 70));
  const steps = [15_000, 30_000, 300_000, 600_000, 900_000, 1_800_000];
  const step = steps.find((ms) => (endMs - startMs) / ms <= most) ?? steps.at(-1);
  const zoneMs = new Date(endMs).getTimezoneOffset() * 60_000;
  const ticks = [];
  const first = Math.ceil((startMs - zoneMs) / step) * step + zoneMs;
  for (let at = first; at <= endMs; at += step) ticks.push(at);
  return { ticks, withSeconds: step < 60_000 };
}

/**
 * One chart in a `<figure class="chart">`: `show` gives it what to draw, and the pointer, or the
 * arrow keys, read values off it.
 */
export class Chart {
  #figure;
  #height;
  #svg;
  #tip;
  #data = null;
  /** The step pointed at, or null. */
  #pointed = null;

  constructor(figure, height) {
    this.#figure = figure;
    this.#height = height;
    this.#svg = shape("svg", { role: "img", tabindex: 0 });
    this.#tip = document.createElement("div");
    this.#tip.className = "tip";
    this.#tip.hidden = true;
    figure.append(this.#svg, this.#tip);
    this.#svg.addEventListener("pointermove", (event) => this.#pointAt(event.offsetX));
    this.#svg.addEventListener("pointerdown", (event) => this.#pointAt(event.offsetX));
    this.#svg.addEventListener("pointerleave", () => this.#point(null));
    this.#svg.addEventListener("blur", () => this.#point(null));
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  /**
   * `kind`: "area" (the first row) or "columns" (stacked); `rows`: name, values, colour (a class);
   * `steps`: how many values, where there may be no rows;
   * `endMs`: when the newest step ends; `least`: the axis goes up to this at least; `format`: of a
   * value; `label`: what it shows, in words.
   */
  show(data) {
    this.#data = data;
    this.#draw();
  }

  get #scale() {
    const { rows, stepMs, endMs, least } = this.#data;
    const steps = rows[0]?.values.length ?? this.#data.steps;
    const width = Math.max(80, this.#figure.clientWidth - AXIS_WIDTH);
    const bottom = this.#height - AXIS_HEIGHT;
    const totals = Array.from(
      { length: steps },
      (_, step) => rows.reduce((sum, { values }) => sum + values[step], 0),
    );
    const highest = Math.max(0, ...totals);
    const top = roundUp(Math.max(least, highest));
    return {
      ...{ steps, width, bottom, totals, top, startMs: endMs - steps * stepMs },
      x: (step) => step * width / steps,
      y: (value) => bottom - value / top * (bottom - TOP),
    };
  }

  #draw() {
    if (this.#data === null || this.#figure.clientWidth === 0) return;
    const scale = this.#scale;
    const { kind, label } = this.#data;
    const svg = this.#svg;
    svg.setAttribute("viewBox", `0 0 ${scale.width + AXIS_WIDTH} ${this.#height}`);
    svg.setAttribute("height", this.#height);
    svg.setAttribute("aria-label", label);
    svg.replaceChildren(
      ...this.#axes(scale),
      ...kind === "area" ? this.#area(scale) : this.#columns(scale),
      ...this.#pointer(scale),
    );
  }

  #axes({ width, bottom, top, x, y, startMs, steps }) {
    const { endMs, format, stepMs } = this.#data;
    const parts = [];
    for (const value of [0, top / 2, top]) {
      const at = Math.round(y(value)) + 0.5;
      parts.push(shape("line", { x1: 0, x2: width, y1: at, y2: at, class: "grid" }));
      parts.push(
        shape(
          "text",
          { x: width + 8, y: at + 4, class: "axis" },
          value === 0 ? "0" : format(value),
        ),
      );
    }
    const { ticks, withSeconds } = timeTicks(startMs, endMs, width);
    for (const time of ticks) {
      const at = x((time - startMs) / stepMs);
      if (at < 18 || at > x(steps) - 18) continue; // its label would be cut
      const text = { x: at, y: bottom + 15, class: "axis", "text-anchor": "middle" };
      parts.push(shape("text", text, clock(time, withSeconds)));
    }
    return parts;
  }

  #area({ x, y, totals, bottom }) {
    const { colour } = this.#data.rows[0];
    const line = totals.map((value, step) => `${x(step + 0.5).toFixed(1)},${y(value).toFixed(1)}`);
    const [first, last] = [x(0.5), x(totals.length - 0.5)];
    return [
      shape("path", {
        d: `M${first},${bottom}L${line.join("L")}L${last},${bottom}Z`,
        class: `area ${colour}`,
      }),
      shape("path", { d: `M${line.join("L")}`, class: `line ${colour}` }),
    ];
  }

  #columns({ x, y, steps, bottom }) {
    const { rows } = this.#data;
    const gap = x(1) > 6 ? 2 : 1;
    const parts = [];
    for (let step = 0; step < steps; step++) {
      let sum = 0;
      for (const { values, colour } of rows) {
        if (values[step] === 0) continue;
        const low = y(sum);
        sum += values[step];
        const high = y(sum);
        // A line of the background between two of a stack; the lowest stands on the axis.
        const height = Math.max(1, low - high - (low < bottom ? 1 : 0));
        const width = Math.max(1, x(1) - gap);
        const box = { x: x(step) + gap / 2, y: high, width, height };
        parts.push(shape("rect", { ...box, class: `column ${colour}` }));
      }
    }
    return parts;
  }

  #pointer({ x, y, totals, bottom }) {
    const step = this.#pointed;
    if (step === null || step >= totals.length) return [];
    const at = x(step + 0.5);
    const line = shape("line", { x1: at, x2: at, y1: TOP, y2: bottom, class: "pointer" });
    if (this.#data.kind !== "area") return [line];
    const dot = { cx: at, cy: y(totals[step]), r: 4, class: `dot ${this.#data.rows[0].colour}` };
    return [line, shape("circle", dot)];
  }

  #pointAt(offset) {
    if (this.#data === null) return;
    const { width, steps } = this.#scale;
    this.#point(Math.min(steps - 1, Math.max(0, Math.floor(offset / width * steps))));
  }

  #key(event) {
    if (this.#data === null || !["ArrowLeft", "ArrowRight", "Escape"].includes(event.key)) return;
    event.preventDefault();
    const { steps } = this.#scale;
    if (event.key === "Escape") return this.#point(null);
    const from = this.#pointed ?? steps;
    const to = from + (event.key === "ArrowLeft" ? -1 : 1);
    this.#point(Math.min(steps - 1, Math.max(0, to)));
  }

  #point(step) {
    this.#pointed = step;
    this.#draw();
    this.#tip.hidden = step === null;
    if (step === null) return;
    const scale = this.#scale;
    const { rows, stepMs, format, kind } = this.#data;
    const time = document.createElement("span");
    time.className = "when";
    time.textContent = clock(scale.startMs + step * stepMs, stepMs < 60_000);
    const lines = rows.filter(({ values }) => kind === "area" || values[step] > 0)
      .map(({ name, values, colour }) => tipLine(name, format(values[step]), colour));
    if (lines.length === 0) lines.push(tipLine("nothing", "", ""));
    this.#tip.replaceChildren(time, ...lines);
    const at = scale.x(step + 0.5);
    const { offsetWidth } = this.#tip;
    const left = at + 12 + offsetWidth > scale.width ? at - 12 - offsetWidth : at + 12;
    this.#tip.style.left = `${Math.max(0, left)}px`;
  }
}

function tipLine(name, value, colour) {
  const line = document.createElement("span");
  const swatch = document.createElement("i");
  swatch.className = `swatch ${colour}`;
  const amount = document.createElement("b");
  amount.textContent = value;
  line.append(swatch, name, " ", amount);
  return line;
}
