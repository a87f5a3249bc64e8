/** The status page: asks the blocker every second and shows what it says. */
import { ask, askForToken, hasToken, keepToken } from "./ask.js";
import { Chart } from "./chart.js";
import { at, node, notify, setState } from "./dom.js";
import { amount, bytes, clock } from "./format.js";
import { refreshBans, showBans, showDetections } from "./lists.js";
import { showStatus } from "./show.js";

const POLL_MS = 1_000;
/** Every so many polls: the hour changes every ten seconds, and the bans are dear to read. */
const HOUR_EVERY = 5;
const BANS_EVERY = 5;
/** Colours told apart at a glance; what is rarer is grey. */
const COLOURS = 6;
const CHART_HEIGHT = 150;
const MINUTES = 60;

const charts = {
  packets: new Chart(at("packets-chart"), CHART_HEIGHT),
  bytes: new Chart(at("bytes-chart"), CHART_HEIGHT),
  found: new Chart(at("found-chart"), CHART_HEIGHT),
};

const view = { span: "hour", split: "methods" };
const known = { history: null, bans: -1, detections: -1 };

/** A name keeps its colour as long as the page is open. */
const colours = { methods: new Map(), clients: new Map() };

function colourOf(split, name) {
  const taken = colours[split];
  if (!taken.has(name) && taken.size < COLOURS) taken.set(name, `series-${taken.size + 1}`);
  return taken.get(name) ?? "series-0";
}

function sumOf(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

function showHistory(history) {
  known.history = history;
  const nowMs = Date.now();
  const { traffic } = history;
  const endMs = nowMs - traffic.ageMs;
  const show = (chart, name, what, format, least) => {
    const row = traffic.rows.find((one) => one.name === name);
    const rows = [{ ...row, name: what, colour: "series-1" }];
    const most = Math.max(...row.values);
    chart.show({
      ...{ kind: "area", rows, stepMs: traffic.stepMs, endMs, least, format },
      label: `${what} over the last ${view.span}: now ${format(row.values.at(-1))}, ` +
        `at most ${format(most)}`,
    });
  };
  show(charts.packets, "packets", "Packets a second", amount, 10);
  show(charts.bytes, "bytes", "Bytes a second", bytes, 1000);
  showFound(history, nowMs);
}

/** The most frequent first; what got no colour is summed up last. */
function showFound(history, nowMs) {
  const { rows, stepMs, ageMs } = history[view.split];
  const ranked = rows.map((row) => ({ ...row, sum: sumOf(row.values) }))
    .sort((a, b) => b.sum - a.sum)
    .map((row) => ({ ...row, colour: colourOf(view.split, row.name) }));
  const shown = ranked.filter(({ colour }) => colour !== "series-0");
  const rest = ranked.filter(({ colour }) => colour === "series-0");
  if (rest.length > 0) {
    shown.push({
      name: rest.length === 1 ? rest[0].name : `${rest.length} others`,
      values: rest[0].values.map((_, step) => sumOf(rest.map(({ values }) => values[step]))),
      sum: sumOf(rest.map(({ sum }) => sum)),
      colour: "series-0",
    });
  }
  const all = sumOf(shown.map(({ sum }) => sum));
  charts.found.show({
    ...{ kind: "columns", rows: shown, stepMs, endMs: nowMs - ageMs, format: amount },
    ...{ steps: MINUTES, least: 4 },
    label: `Detections a minute over the last hour, ${all} in all: ` +
      shown.map(({ name, sum }) => `${name} ${sum}`).join(", "),
  });
  const entries = shown.map(({ name, sum, colour }) =>
    node("li", "", node("i", `swatch ${colour}`), `${name} `, node("b", "", amount(sum)))
  );
  at("legend").replaceChildren(
    ...entries.length > 0 ? entries : [node("li", "empty", "No detections in the last hour")],
  );
}

async function refreshHistory() {
  showHistory(await ask(`api/history?span=${view.span}`));
}

let turn = 0;
let hasFailed = false;

async function refresh() {
  const status = await ask("api/status");
  showStatus(status);
  const isNews = turn % HOUR_EVERY === 0 || status.counters.detections !== known.detections;
  if (view.span === "minute" || isNews) await refreshHistory();
  if (status.counters.detections !== known.detections) {
    showDetections(await ask("api/detections"));
    known.detections = status.counters.detections;
  }
  if (turn % BANS_EVERY === 0 || status.bans !== known.bans) {
    await refreshBans();
    known.bans = status.bans;
  } else {
    showBans();
  }
  turn++;
}

async function keepUp() {
  let waitMs = POLL_MS;
  try {
    if (!document.hidden) {
      await refresh();
      if (hasFailed) document.body.classList.remove("stale");
      hasFailed = false;
    }
  } catch (error) {
    if (error.status === 401) {
      const why = !hasToken()
        ? "This blocker shows its status to holders of the token."
        : error.message;
      keepToken("");
      waitMs = await askForToken(why) ? 0 : 10_000;
    } else {
      if (!hasFailed) notify(`No answer since ${clock(Date.now(), true)}: ${error.message}`);
      setState("bad", "No connection");
      document.body.classList.add("stale");
      hasFailed = true;
      known.detections = -1; // it may be another run when it is back
    }
  }
  setTimeout(keepUp, waitMs);
}

function choose(buttons, key, onChange) {
  for (const button of document.querySelectorAll(buttons)) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll(buttons)) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      view[key] = button.dataset[key];
      onChange();
    });
  }
}

choose("[data-span]", "span", () => refreshHistory().catch(() => {}));
choose("[data-split]", "split", () => {
  if (known.history !== null) showFound(known.history, Date.now());
});
keepUp();
