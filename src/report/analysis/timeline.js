/** The timeline: SVG, drawn anew for each width. Bars are flows, dots are detections. */
import { counted, endpoint, fileName, report, utcTime } from "./data.js";
import { node } from "../page/dom.js";
import { amount, bytes, duration } from "../page/format.js";
import { layOut } from "./lanes.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

const BAR = 7;
const LANE = 11;
const LABEL = 22;
const BELOW_HOST = 6;
const AXIS = 22;
const LABEL_WIDTH = 90;
/** Room for a dot at either end. */
const MARGIN = 5;
/** Less than this was no choice of a part but a touch, px; and the shortest part, ms. */
const LEAST_PART = 6;
const LEAST_PART_MS = 0.01;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TICKS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 20, 30].map((step) => step * SECOND),
  ...[1, 2, 5, 10, 20, 30].map((step) => step * MINUTE),
  ...[1, 2, 4, 6, 12].map((step) => step * HOUR),
  ...[1, 2, 7, 30, 90, 365, 3_650, 36_500, 365_000].map((step) => step * DAY),
];

/** `18:35:13`, as much of it as the step between two labels needs. */
function tickLabel(timeMs, step) {
  const [date, time] = utcTime(timeMs).split(" ");
  if (step >= DAY) return date;
  if (step >= MINUTE) return time.slice(0, 5);
  return step >= SECOND ? time.slice(0, 8) : time.slice(0, 12);
}

/** `250 ms`, `4.2 s`, `1h 30m`. */
export function lengthOf(ms) {
  if (ms < SECOND) return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
  return ms < MINUTE ? `${Math.round(ms / 100) / 10} s` : duration(ms / SECOND);
}

/** `onOpen(detection)` is called when a flow with a detection is pressed. */
export class Timeline {
  #figure;
  #axis = shape("svg", { class: "time-axis", "aria-hidden": "true" });
  #svg = shape("svg", { class: "flows", role: "img", tabindex: 0 });
  #scroll;
  #tip = node("div", "tip");
  #onOpen;
  #onDrawn;
  #data = null;
  #width = 0;
  /** The part of the time that is shown, `{ startMs, endMs }`, or null for all of it. */
  #part = null;
  /** Where on the axis a part is being chosen from, px; -1 when none is. */
  #chosenFrom = -1;
  #choice = shape("rect", { class: "part", y: 0, height: AXIS, width: 0 });
  /** Bars in the order of the keys, with their elements; and the one pointed at. */
  #bars = [];
  #pointed = -1;

  constructor(figure, { onOpen, onDrawn }) {
    this.#figure = figure;
    this.#onOpen = onOpen;
    this.#onDrawn = onDrawn;
    this.#tip.hidden = true;
    this.#scroll = node("div", "lanes", this.#svg);
    figure.append(this.#axis, this.#scroll, this.#tip);
    const pointAt = (event) => this.#point(Number(event.target.dataset.bar ?? -1));
    this.#svg.addEventListener("pointermove", pointAt);
    this.#svg.addEventListener("pointerdown", pointAt);
    this.#svg.addEventListener("pointerleave", () => this.#point(-1));
    this.#svg.addEventListener("blur", () => this.#point(-1));
    this.#svg.addEventListener("click", () => this.#open());
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    this.#scroll.addEventListener("scroll", () => this.#place());
    this.#axis.addEventListener("pointerdown", (event) => this.#beginPart(event));
    this.#axis.addEventListener("pointermove", (event) => this.#stretchPart(event));
    this.#axis.addEventListener("pointerup", (event) => this.#endPart(event));
    this.#axis.addEventListener("pointercancel", () => this.#stopPart());
    new ResizeObserver(() => {
      if (figure.clientWidth !== this.#width) this.#draw();
    }).observe(figure);
  }

  /** Flows, the times between which they are drawn, `colourOf(method)`: a class. */
  show(data) {
    this.#data = data;
    this.showPart(null);
  }

  /** `{ startMs, endMs }`, or null for the whole time. */
  showPart(part) {
    this.#part = part;
    this.#draw();
  }

  #draw() {
    this.#width = this.#figure.clientWidth;
    if (this.#data === null || this.#width === 0) return;
    const { colourOf } = this.#data;
    const { startMs, endMs } = this.#shown;
    const flows = this.#data.flows.filter((flow) =>
      flow.firstMs <= endMs && flow.lastMs >= startMs
    );
    const room = this.#width - MARGIN * 2;
    const x = (timeMs) => {
      const share = (timeMs - startMs) / (endMs - startMs);
      return MARGIN + Math.min(1, Math.max(0, share)) * room;
    };
    const layout = layOut(flows, x);
    this.#bars = [];
    this.#point(-1);
    const parts = [];
    let top = 0;
    for (const host of layout.hosts) {
      const { address, flows, detections, lanes, bars } = host;
      const text = shape("text", { x: MARGIN, y: top + LABEL - 7, class: "host" }, address);
      const what = `  ${counted(flows, "flow")}` +
        (detections > 0 ? `, ${counted(detections, "detection")}` : "");
      text.append(shape("tspan", { class: "axis" }, what));
      parts.push(text);
      for (const bar of bars) parts.push(...this.#bar(bar, top + LABEL, x, colourOf));
      top += LABEL + lanes * LANE + BELOW_HOST;
    }
    const { grid, labels } = ticks(startMs, endMs, room, x, Math.max(top, LANE));
    this.#svg.replaceChildren(...grid, ...parts);
    this.#axis.replaceChildren(this.#choice, ...labels);
    const size = (svg, height) => {
      svg.setAttribute("viewBox", `0 0 ${this.#width} ${height}`);
      svg.setAttribute("height", height);
    };
    size(this.#axis, AXIS);
    size(this.#svg, Math.max(top, LANE));
    this.#svg.setAttribute(
      "aria-label",
      `${counted(layout.drawn, "flow")} of ${counted(layout.hosts.length, "host")} over ` +
        `${lengthOf(endMs - startMs)}; the arrow keys go from one to the next`,
    );
    this.#onDrawn({ ...layout, startMs, endMs, isPart: this.#part !== null });
  }

  get #shown() {
    return this.#part ?? this.#data;
  }

  /** Who draws across the axis chooses a part of the time. */
  #beginPart(event) {
    if (this.#data === null) return;
    this.#chosenFrom = event.offsetX;
    this.#axis.setPointerCapture(event.pointerId);
  }

  #stretchPart({ offsetX }) {
    if (this.#chosenFrom < 0) return;
    this.#choice.setAttribute("x", Math.min(offsetX, this.#chosenFrom));
    this.#choice.setAttribute("width", Math.abs(offsetX - this.#chosenFrom));
  }

  #endPart({ offsetX }) {
    if (this.#chosenFrom < 0) return;
    const [from, to] = [offsetX, this.#chosenFrom].sort((a, b) => a - b);
    this.#stopPart();
    if (to - from < LEAST_PART) return;
    const { startMs, endMs } = this.#shown;
    const room = this.#width - MARGIN * 2;
    const timeAt = (px) =>
      startMs + Math.min(1, Math.max(0, (px - MARGIN) / room)) * (endMs - startMs);
    const part = { startMs: timeAt(from), endMs: timeAt(to) };
    if (part.endMs - part.startMs >= LEAST_PART_MS) this.showPart(part);
  }

  #stopPart() {
    this.#chosenFrom = -1;
    this.#choice.setAttribute("width", 0);
  }

  #bar({ flow, lane, x: left, width }, top, x, colourOf) {
    const number = this.#bars.length;
    const y = top + lane * LANE;
    const [first] = flow.detections;
    const colour = first === undefined ? "" : ` detected ${colourOf(first.method)}`;
    const box = { x: left.toFixed(1), y, width: width.toFixed(1), height: BAR, rx: 2 };
    const bar = shape("rect", { ...box, class: `flow${colour}`, "data-bar": number });
    this.#bars.push({ flow, element: bar });
    const { startMs, endMs } = this.#shown;
    const inPart = flow.detections.filter(({ timeMs }) => startMs <= timeMs && timeMs <= endMs);
    const dots = inPart.map(({ timeMs, method }) =>
      shape("circle", {
        ...{ cx: x(timeMs).toFixed(1), cy: y + BAR / 2, r: 4.5, "data-bar": number },
        class: `dot ${colourOf(method)}`,
      })
    );
    return [bar, ...dots];
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") this.#open();
    else if (event.key === "Escape") this.#point(-1);
    else if (step === undefined) return;
    else {
      const last = this.#bars.length - 1;
      const from = this.#pointed < 0 && step < 0 ? last + 1 : this.#pointed;
      this.#point(Math.min(last, Math.max(0, from + step)));
      this.#bars[this.#pointed]?.element.scrollIntoView({ block: "nearest" });
      this.#place();
    }
    event.preventDefault();
  }

  #open() {
    const [detection] = this.#bars[this.#pointed]?.flow.detections ?? [];
    if (detection !== undefined) this.#onOpen(detection);
  }

  #point(number) {
    if (number === this.#pointed) return;
    this.#bars[this.#pointed]?.element.classList.remove("pointed");
    this.#pointed = number;
    const bar = this.#bars[number];
    this.#tip.hidden = bar === undefined;
    if (bar === undefined) return;
    bar.element.classList.add("pointed");
    this.#tip.replaceChildren(...describe(bar.flow));
    this.#place();
  }

  /** The tip stands below its flow, or above where there is no room. */
  #place() {
    const bar = this.#bars[this.#pointed];
    if (bar === undefined) return;
    const box = bar.element.getBoundingClientRect();
    const figure = this.#figure.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.#tip;
    const middle = box.left - figure.left + Math.min(box.width / 2, 40);
    const left = Math.min(Math.max(0, middle - 20), figure.width - offsetWidth);
    const below = box.bottom + 8 + offsetHeight < innerHeight;
    const top = below ? box.bottom - figure.top + 8 : box.top - figure.top - offsetHeight - 8;
    this.#tip.style.left = `${Math.max(0, left)}px`;
    this.#tip.style.top = `${top}px`;
  }
}

function ticks(startMs, endMs, room, x, height) {
  const most = Math.max(2, Math.floor(room / LABEL_WIDTH));
  const step = TICKS.find((ms) => (endMs - startMs) / ms <= most) ?? TICKS.at(-1);
  const grid = [];
  const labels = [];
  for (let time = Math.ceil(startMs / step) * step; time <= endMs; time += step) {
    const at = Math.round(x(time)) + 0.5;
    grid.push(shape("line", { x1: at, x2: at, y1: 0, y2: height, class: "grid" }));
    if (at < 24 || at > room - 24) continue; // its label would be cut
    const place = { x: at, y: 14, class: "axis", "text-anchor": "middle" };
    labels.push(shape("text", place, tickLabel(time, step)));
  }
  return { grid, labels };
}

function describe(flow) {
  const { transport, source, sourcePort, destination, destinationPort, firstMs, lastMs } = flow;
  const line = (className, ...parts) => node("span", className, ...parts);
  const ends = [endpoint(source, sourcePort), endpoint(destination, destinationPort)];
  const length = lastMs > firstMs ? `, for ${lengthOf(lastMs - firstMs)}` : "";
  const shown = flow.detections.slice(0, 3);
  return [
    line("what", `${transport.toUpperCase()} ${ends[0]} → ${ends[1]}`),
    line("when", `from ${utcTime(firstMs).slice(11, 23)}${length}`),
    line("when", waysOf(flow)),
    ...report.files.length > 1 ? [line("when", fileName(report.files[flow.file].path))] : [],
    ...shown.map(({ method, reason, client }) =>
      line("", node("b", "", method), ` ${reason}${client === null ? "" : `, ${client}`}`)
    ),
    ...flow.detections.length > shown.length
      ? [line("when", `and ${counted(flow.detections.length - shown.length, "detection")} more`)]
      : [],
  ];
}

const wayOf = (direction, packets, length) =>
  `${amount(packets)} ${packets === 1 ? "packet" : "packets"} (${bytes(length)}) ${direction}`;

/** `12 packets (3.4 kB) out, 1 packet (40 B) in`. */
export function waysOf({ packetsOut, packetsIn, bytesOut, bytesIn }) {
  return `${wayOf("out", packetsOut, bytesOut)}, ${wayOf("in", packetsIn, bytesIn)}`;
}
