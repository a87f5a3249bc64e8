/** The report inside the page, and how its times are written. All of it is text, never markup. */
import { at } from "../page/dom.js";

export const report = JSON.parse(at("report").textContent);

/** Rows of values to objects; the order is that of document.ts. */
function readFlow(row, number) {
  const [file, isTcp, source, sourcePort, destination, destinationPort, firstMs, lastMs] = row;
  const [packetsOut, packetsIn, bytesOut, bytesIn] = row.slice(8);
  return {
    ...{ number, file, firstMs, lastMs, packetsOut, packetsIn, bytesOut, bytesIn },
    transport: isTcp === 1 ? "tcp" : "udp",
    source: report.addresses[source],
    sourcePort,
    destination: report.addresses[destination],
    destinationPort,
    detections: [],
  };
}

function readDetection(detection, number) {
  return {
    ...detection,
    number,
    flow: null,
    payload: Uint8Array.from(atob(detection.payload), (char) => char.charCodeAt(0)),
    fields: detection.fields.map(([start, end, name, isDecisive, value]) => ({
      ...{ start, end, name, isDecisive: isDecisive === 1, value: value ?? null },
    })),
  };
}

export const flows = report.flows.map(readFlow);
export const detections = report.detections.map(readDetection);

/** `ip:port`, `[v6]:port`. */
export function endpoint(address, port) {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function endsOf({ file, transport, source, sourcePort, destination, destinationPort }) {
  const ends = [endpoint(source, sourcePort), endpoint(destination, destinationPort)].sort();
  return [file, transport, ...ends].join(" ");
}

const flowByEnds = new Map(flows.map((flow) => [endsOf(flow), flow]));
for (const detection of detections) {
  detection.flow = flowByEnds.get(endsOf(detection)) ?? null;
  detection.flow?.detections.push(detection);
}

/** `2024-01-15 18:35:13.123456`, in UTC as in the table and in JSON. */
export function utcTime(timeMs) {
  const micros = Math.round(timeMs * 1000);
  const ms = Math.floor(micros / 1000);
  const text = new Date(ms).toISOString().replace("T", " ").slice(0, -1);
  return text + String(micros - ms * 1000).padStart(3, "0");
}

/** The last part of a path. */
export function fileName(path) {
  return path.split(/[/\\]/).at(-1) || path;
}

/** `1 flow`, `1,204 packets`. */
export function counted(count, noun) {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
