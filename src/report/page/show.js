/** What the blocker says of itself: state, figures, queues, XDP. */
import { at, emptyRow, node, notify, setState } from "./dom.js";
import { amount, bytes, duration, latency } from "./format.js";

export function showStatus(status) {
  const down = status.workers.filter((worker) => !worker.running).map(({ queue }) => queue);
  if (down.length > 0) {
    setState("bad", down.length === status.workers.length ? "Not guarding" : "Guarding in part");
    notify(
      `The worker of queue ${down.join(", ")} does not run: its packets pass unjudged until it ` +
        "is back. The log says why.",
    );
  } else {
    if (status.monitorOnly) setState("warn", "Watching only");
    else setState("good", "Guarding");
    const { foreignMarks } = status.counters;
    notify(
      foreignMarks === 0
        ? ""
        : `Packets came with bits of MARK_MASK set by another program: ${amount(foreignMarks)} ` +
          "so far. The log names the mark.",
    );
  }
  const bans = status.monitorOnly || status.banTarget === "none"
    ? "bans nobody"
    : `bans the ${status.banTarget === "both" ? "two ends" : status.banTarget}` +
      `${status.banScope === "endpoint" ? "'s port" : ""} for ` +
      duration(status.banDurationSeconds).replace(" ", "") +
      (status.banDurationMaxSeconds === status.banDurationSeconds
        ? ""
        : `, repeated offenders up to ${duration(status.banDurationMaxSeconds).replace(" ", "")}`);
  at("guarded").textContent = `${status.chains.join(", ")} · ${status.policy} policy · ${bans}`;
  const up = duration((Date.now() - Date.parse(status.started)) / 1000);
  at("about").textContent = `${status.version} (${status.commit}) · up ${up}`;
  showFigures(status);
  showQueues(status);
  showXdp(status);
}

const figures = new Map();

function showFigure(name, value, note) {
  let figure = figures.get(name);
  if (figure === undefined) {
    figure = { value: node("dd", ""), note: node("dd", "") };
    figures.set(name, figure);
    at("figures").append(node("div", "", node("dt", "", name), figure.value, figure.note));
  }
  figure.value.textContent = value;
  figure.note.textContent = note;
}

function showFigures({ rates, counters, bans, xdp, firstLook, undecided }) {
  const inDriver = xdp.reduce((sum, { packetsDropped }) => sum + packetsDropped, 0);
  const dropped = counters.dropped + counters.bannedDrops;
  showFigure("Packets a second", amount(rates.packets), `${amount(counters.packets)} in all`);
  showFigure("Bytes a second", bytes(rates.bytes), `${bytes(counters.bytes)} in all`);
  showFigure("Flows", amount(counters.flows), `${amount(counters.released)} released as clean`);
  const waits = Object.entries(undecided).sort(([, a], [, b]) => b - a);
  showFigure(
    "Flows undecided",
    amount(waits.reduce((sum, [, flows]) => sum + flows, 0)),
    waits[0][1] === 0 ? "in the last minute" : `most wait for: ${waits[0][0]}`,
  );
  if (counters.serviceConnections > 0) {
    showFigure(
      "Whitelisted services",
      amount(counters.serviceConnections),
      "connections released by the rules",
    );
  }
  if (firstLook !== null) {
    const settled = Object.values(firstLook.flows).reduce((sum, flows) => sum + flows, 0);
    showFigure(
      "Settled in the kernel",
      amount(settled),
      `${amount(firstLook.packets)} packets without a trip`,
    );
  }
  showFigure(
    "Detections",
    amount(counters.detections),
    counters.payloadFlows === 0 ? "since the start" : `of ${amount(counters.payloadFlows)} flows`,
  );
  showFigure("Packets dropped", amount(dropped + inDriver), `${amount(inDriver)} in the driver`);
  showFigure("Bans in force", amount(bans), bans === 1 ? "address" : "addresses");
}

/** The bound that this part of the batches kept. */
function quantile({ boundsUs, buckets }, part) {
  const count = buckets.reduce((sum, bucket) => sum + bucket, 0);
  let seen = 0;
  for (const [index, bucket] of buckets.entries()) {
    seen += bucket;
    if (count > 0 && seen >= count * part) return boundsUs[index] ?? Infinity;
  }
  return null;
}

function showQueues({ workers, latency: batches }) {
  at("queues").replaceChildren(...workers.map((worker) => {
    const lost = worker.unjudged + (worker.kernelDrops ?? 0);
    return node(
      "tr",
      "",
      node("td", "", String(worker.queue)),
      node(
        "td",
        "",
        node("span", `state ${worker.running ? "good" : "bad"}`, worker.running ? "runs" : "down"),
      ),
      node("td", "number", amount(worker.packets)),
      node("td", "number", worker.waiting === null ? "–" : amount(worker.waiting)),
      node("td", "number", amount(lost)),
      node("td", "number roomy", amount(worker.restarts)),
    );
  }));
  const [half, most] = [quantile(batches, 0.5), quantile(batches, 0.99)];
  const last = batches.boundsUs.at(-1);
  const upTo = (us) => us === Infinity ? `more than ${latency(last)}` : `up to ${latency(us)}`;
  at("latency").textContent = half === null
    ? ""
    : `From receipt to verdict: half of the batches ${upTo(half)}, 99 % ${upTo(most)}.`;
}

function showXdp({ xdp, monitorOnly }) {
  const rows = xdp.map(({ interface: name, mode, problem, packetsDropped, bytesDropped }) =>
    node(
      "tr",
      "",
      node("td", "", name),
      mode === null ? node("td", "empty", problem ?? "not attached") : node("td", "", mode),
      node("td", "number", amount(packetsDropped)),
      node("td", "number", bytes(bytesDropped)),
    )
  );
  at("xdp").replaceChildren(...rows.length > 0 ? rows : [emptyRow(4, "No interface")]);
  at("xdp-note").textContent = rows.length > 0
    ? ""
    : monitorOnly
    ? "Nobody is banned in monitor mode."
    : "Bans hold in the queue workers only.";
}
