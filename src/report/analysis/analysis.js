/** The page of an analysis: what was read, when what happened, and the bytes of each detection. */
import { counted, detections, endpoint, fileName, flows, report, utcTime } from "./data.js";
import { at, node, setState } from "../page/dom.js";
import { fieldList, hexDump } from "./dump.js";
import { amount, bytes } from "../page/format.js";
import { DataTable } from "./table.js";
import { lengthOf, Timeline, waysOf } from "./timeline.js";

const { files, hosts, leftOut } = report;
/** Colours told apart at a glance; what is rarer is grey. */
const COLOURS = 8;

const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);
const found = sum(files, "detections");
const timed = files.filter(({ firstMs }) => firstMs !== null);
const firstMs = Math.min(...timed.map((file) => file.firstMs));
const lastMs = Math.max(...timed.map((file) => file.lastMs));

const hostCount = `${leftOut.hostEnds > 0 ? "over " : ""}${amount(hosts.length + leftOut.hosts)}`;

/** Captures further apart than so many times their length, ms and beyond, make no one picture. */
const FAR_APART = 4;
const APART_MS = 60_000;
const lengths = timed.map((file) => file.lastMs - file.firstMs).sort((a, b) => a - b);
const usualLength = lengths[lengths.length >> 1] ?? 0;
const areTogether = lastMs - firstMs <= FAR_APART * usualLength * timed.length + APART_MS;

const methods = [...Map.groupBy(detections, ({ method }) => method)]
  .map(([method, some]) => ({ method, count: some.length }))
  .sort((a, b) => b.count - a.count);
const colourOf = (method) => {
  const rank = methods.findIndex((one) => one.method === method);
  return `series-${rank >= 0 && rank < COLOURS ? rank + 1 : 0}`;
};

/** What of the frames was not there to be judged. */
function lossOf(captures) {
  const cut = sum(captures, "cutFrames");
  const unreadable = sum(captures, "unreadableFrames");
  if (cut === 0 && unreadable === 0) return "in all captures";
  return [
    ...cut === 0 ? [] : [`${amount(cut)} cut`],
    ...unreadable === 0 ? [] : [`${amount(unreadable)} unreadable`],
  ].join(", ");
}

function showHead() {
  setState(found > 0 ? "warn" : "good", found > 0 ? counted(found, "detection") : "Nothing found");
  document.title = `btblocker analysis: ${files.map(({ path }) => fileName(path)).join(", ")}`
    .slice(0, 120);
  at("policy").textContent = report.policy;
  at("about").textContent = `${report.program} · ${utcTime(report.createdMs).slice(0, 16)} UTC`;
  const problems = files.flatMap(({ path, problems }) =>
    problems.map((problem) => node("li", "", `${path}: ${problem}`))
  );
  at("problems").hidden = problems.length === 0;
  at("problems").replaceChildren(...problems);
  const figure = (name, value, note) =>
    node("div", "", node("dt", "", name), node("dd", "", value), node("dd", "", note));
  const withDetections = files.filter((file) => file.detections > 0).length;
  const flowCount = sum(files, "flows");
  at("figures").append(
    figure("Captures", amount(files.length), `${amount(withDetections)} with detections`),
    figure("Packets", amount(sum(files, "packets")), lossOf(files)),
    figure("Bytes", bytes(sum(files, "bytes")), "captured"),
    figure("Flows", amount(flowCount), `${hostCount} addresses`),
    figure("Detections", amount(found), `of ${counted(flowCount, "flow")}`),
    timed.length === 0
      ? figure("Time", "–", "no packet with a time")
      : areTogether
      ? figure("Time", lengthOf(lastMs - firstMs), `${utcTime(firstMs).slice(0, 16)} UTC`)
      : figure(
        "Time",
        "Various",
        `${utcTime(firstMs).slice(0, 10)} to ${utcTime(lastMs).slice(0, 10)}`,
      ),
  );
}

// Detections

const filter = at("filter");
const opened = new Map();

function drillDown(detection) {
  const { file, packet, flow, note, timeMs, payloadLength, payload } = detection;
  const facts = [
    `${files[file].path}, frame ${packet}`,
    `${utcTime(timeMs)} UTC`,
    `${counted(payloadLength, "byte")} of payload` +
    (payload.length < payloadLength ? `, the first ${payload.length} kept` : ""),
  ];
  if (flow !== null) {
    const length = lengthOf(flow.lastMs - flow.firstMs);
    const opener = endpoint(flow.source, flow.sourcePort);
    facts.push(`flow of ${length}, opened by ${opener}: ${waysOf(flow)}`);
  }
  const cell = node("td", "");
  cell.colSpan = detectionColumns.length;
  cell.append(
    node("p", "facts", facts.join(" · ")),
    ...note === null ? [] : [node("p", "remark", note)],
    ...detection.fields.length === 0 ? [] : [fieldList(detection)],
    hexDump(detection, at("detections").clientWidth),
  );
  return node("tr", "drill", cell);
}

function toggle(button, detection, row) {
  const isOpen = opened.has(detection);
  if (isOpen) {
    opened.get(detection).remove();
    opened.delete(detection);
  } else {
    const drill = drillDown(detection);
    opened.set(detection, drill);
    row.after(drill);
  }
  button.setAttribute("aria-expanded", String(!isOpen));
}

function openButton(detection) {
  const button = node("button", "open", utcTime(detection.timeMs).slice(0, 23));
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", `Bytes of packet ${detection.packet}`);
  button.addEventListener("click", () => toggle(button, detection, button.closest("tr")));
  return button;
}

const ends = ({ source, sourcePort, destination, destinationPort }) =>
  node(
    "span",
    "address",
    endpoint(source, sourcePort),
    node("span", "arrow", " → "),
    endpoint(destination, destinationPort),
  );

const detectionColumns = [
  { title: "Time (UTC)", key: ({ timeMs }) => timeMs, cell: openButton, className: "time" },
  ...files.length < 2 ? [] : [{
    title: "Capture",
    key: ({ file }) => files[file].path,
    cell: ({ file }) => fileName(files[file].path),
    className: "name",
  }],
  {
    title: "Packet",
    key: ({ packet }) => packet,
    cell: ({ packet }) => String(packet),
    className: "number",
  },
  {
    title: "Proto",
    key: ({ transport }) => transport,
    cell: ({ transport }) => transport.toUpperCase(),
  },
  {
    title: "Source → destination",
    key: ({ source, sourcePort }) => endpoint(source, sourcePort),
    cell: ends,
    className: "ends",
  },
  {
    title: "Method",
    key: ({ method }) => method,
    cell: ({ method }) => [node("i", `swatch ${colourOf(method)}`), method],
    className: "method",
  },
  { title: "Strength", key: ({ strength }) => strength, cell: ({ strength }) => strength },
  { title: "Reason", key: ({ reason }) => reason, cell: ({ reason }) => reason },
  { title: "Client", key: ({ client }) => client ?? "", cell: ({ client }) => client ?? "–" },
];

const detectionTable = new DataTable(at("detections"), {
  columns: detectionColumns,
  noun: "detection",
  empty: "None",
});

function showDetections() {
  const wanted = filter.value.trim().toLowerCase();
  const isWanted = (one) =>
    [
      endpoint(one.source, one.sourcePort),
      endpoint(one.destination, one.destinationPort),
      ...[one.method, one.strength, one.reason, one.client ?? "", one.transport],
      files[one.file].path,
    ].some((text) => text.toLowerCase().includes(wanted));
  const rows = wanted === "" ? detections : detections.filter(isWanted);
  opened.clear();
  detectionTable.show(rows);
  at("detections-count").textContent = rows.length === detections.length
    ? amount(rows.length)
    : `${amount(rows.length)} of ${amount(detections.length)}`;
}

function filterBy(text) {
  filter.value = text;
  showDetections();
}

/** The detection's row, opened and in view. */
function open(detection) {
  let row = detectionTable.reveal(detection);
  if (row === null) {
    filterBy("");
    row = detectionTable.reveal(detection);
  }
  const button = row.querySelector(".open");
  if (!opened.has(detection)) toggle(button, detection, row);
  button.focus({ preventScroll: true });
  row.scrollIntoView({ block: "start" });
}

// Timeline

const timeline = new Timeline(at("timeline"), { onOpen: open, onDrawn: showTimelineNote });
const choice = at("file");
function showTimeline() {
  if (timed.length === 0) {
    at("span").textContent = "No TCP or UDP packet was read.";
    return;
  }
  const shown = choice.value === "" ? timed : [files[Number(choice.value)]];
  const some = choice.value === ""
    ? flows
    : flows.filter(({ file }) => file === Number(choice.value));
  const startMs = Math.min(...shown.map((file) => file.firstMs));
  const endMs = Math.max(...shown.map((file) => file.lastMs));
  timeline.show({ flows: some, startMs, endMs: Math.max(endMs, startMs + 1), colourOf });
}

function showTimelineNote({ left, hostsLeft, drawn, startMs, endMs, isPart }) {
  at("span").textContent = `${utcTime(startMs).slice(0, 23)} to ${utcTime(endMs).slice(0, 23)} UTC`;
  at("whole").hidden = !isPart;
  const parts = [
    "A bar is a flow, a dot the packet that was a detection. Draw across the times to see a part.",
  ];
  if (left > 0) {
    const hosts = hostsLeft > 0 ? ` and ${counted(hostsLeft, "host")}` : "";
    parts.push(
      `${counted(drawn, "flow")} drawn, those with detections first; ` +
        `${counted(left, "flow")}${hosts} found no room.`,
    );
  }
  if (leftOut.flows > 0) {
    parts.push(
      `The page holds ${counted(flows.length, "flow")}; ${amount(leftOut.flows)} more were left ` +
        "out, the smallest without a detection.",
    );
  }
  at("timeline-note").textContent = parts.join(" ");
}

function showChoice() {
  const option = (value, text) => {
    const made = node("option", "", text);
    made.value = value;
    return made;
  };
  const single = files.map((file, number) => ({ file, number }))
    .filter(({ file }) => file.firstMs !== null);
  choice.append(option("", `All captures (${single.length})`));
  for (const { file, number } of single) {
    const what = file.detections === 0 ? "" : `, ${counted(file.detections, "detection")}`;
    choice.append(option(String(number), `${fileName(file.path)}${what}`));
  }
  if (!areTogether) {
    const [richest] = single.toSorted((a, b) => b.file.detections - a.file.detections);
    choice.value = String(richest.number);
  }
  choice.hidden = single.length < 2;
  choice.addEventListener("change", showTimeline);
}

function showLegend() {
  const entries = methods.map(({ method, count }) =>
    node(
      "li",
      "",
      node("i", `swatch ${colourOf(method)}`),
      `${method} `,
      node("b", "", amount(count)),
    )
  );
  at("legend").replaceChildren(
    ...entries,
    node("li", "", node("i", "swatch plain"), "no detection"),
  );
}

// Hosts and captures

function textButton(text, className, onClick) {
  const button = node("button", `link ${className}`, text);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

const hostTable = new DataTable(at("hosts"), {
  columns: [
    {
      title: "Address",
      key: ({ address }) => address,
      cell: ({ address, detections: count }) =>
        count === 0
          ? node("span", "address", address)
          : textButton(address, "address", () => filterBy(address)),
      className: "ends",
    },
    ...[
      ["Detections", "detections", amount],
      ["Flows", "flows", amount],
      ["Packets", "packets", amount],
      ["Sent", "bytesSent", bytes],
      ["Received", "bytesReceived", bytes],
    ].map(([title, name, format]) => ({
      ...{ title, key: (host) => host[name], cell: (host) => format(host[name]) },
      className: "number",
    })),
    ...[["Methods", "methods"], ["Clients", "clients"]].map(([title, name]) => ({
      ...{ title, key: (host) => host[name].join(", ") },
      cell: (host) => host[name].join(", ") || "–",
    })),
  ],
  noun: "host",
  empty: "None",
});

const fileTable = new DataTable(at("files"), {
  columns: [
    {
      title: "Capture",
      key: ({ path }) => path,
      cell: (file) =>
        file.firstMs === null || timed.length < 2
          ? node("span", "name", file.path)
          : textButton(file.path, "name", () => {
            choice.value = String(files.indexOf(file));
            showTimeline();
            at("timeline-title").scrollIntoView();
          }),
      className: "ends",
    },
    ...[
      ["Detections", "detections", amount],
      ["Flows", "flows", amount],
      ["Packets", "packets", amount],
      ["Bytes", "bytes", bytes],
    ].map(([title, name, format]) => ({
      ...{ title, key: (file) => file[name], cell: (file) => format(file[name]) },
      className: "number",
    })),
    {
      title: "From (UTC)",
      key: ({ firstMs }) => firstMs ?? 0,
      cell: ({ firstMs }) => firstMs === null ? "–" : utcTime(firstMs).slice(0, 19),
      className: "time",
    },
    {
      title: "Length",
      key: ({ firstMs, lastMs }) => lastMs - firstMs,
      cell: ({ firstMs, lastMs }) => firstMs === null ? "–" : lengthOf(lastMs - firstMs),
      className: "number",
    },
  ],
  noun: "capture",
  empty: "None",
});

function showNotes() {
  at("detections-note").textContent = leftOut.detections === 0
    ? ""
    : `${counted(leftOut.detections, "later detection")} left out: ` +
      `the page holds ${amount(detections.length)}.`;
  const notes = ["A detection counts for both its ends; bytes are those of the payload."];
  if (leftOut.hosts > 0) {
    notes.push(`${counted(leftOut.hosts, "address")} with fewer detections and flows left out.`);
  }
  if (leftOut.hostEnds > 0) {
    notes.push(
      `Further addresses, ${counted(leftOut.hostEnds, "end")} of flows, were not counted.`,
    );
  }
  at("hosts-note").textContent = notes.join(" ");
  at("hosts-count").textContent = hostCount;
  at("files-count").textContent = amount(files.length);
}

at("whole").addEventListener("click", () => timeline.showPart(null));
showHead();
showChoice();
showLegend();
showNotes();
showTimeline();
filter.addEventListener("input", showDetections);
showDetections();
hostTable.show(hosts);
fileTable.show(files);
