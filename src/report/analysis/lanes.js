/** Which flows the timeline draws, and where: hosts one below the other, their flows in lanes. */

/** What one picture can hold; whatever has no place is counted. */
const MAX_HOSTS = 60;
const MAX_FLOWS = 3_000;
/** Lanes of one host: for flows without a detection, and with. */
const MAX_LANES = 12;
const MAX_LANES_DETECTED = 40;
/** Room between two flows of a lane, and the least width of one, px. */
const GAP = 2;
const LEAST_WIDTH = 3;

/**
 * Each flow goes to that of its two ends that has more flows: the hosts inside, as a rule, whoever
 * opened the connection. `x(timeMs)` gives px. Answers
 * `{ hosts: [{ address, flows, detections, lanes, bars: [{ flow, lane, x, width }] }], drawn, left }`.
 */
export function layOut(flows, x) {
  const counts = new Map();
  for (const { source, destination } of flows) {
    counts.set(source, (counts.get(source) ?? 0) + 1);
    counts.set(destination, (counts.get(destination) ?? 0) + 1);
  }
  const byHost = Map.groupBy(
    flows,
    ({ source, destination }) =>
      counts.get(destination) > counts.get(source) ? destination : source,
  );
  const detectionsOf = (some) => some.reduce((sum, { detections }) => sum + detections.length, 0);
  const groups = [...byHost].map(([address, flows]) => ({
    ...{ address, flows, detections: detectionsOf(flows) },
  })).sort((a, b) => b.detections - a.detections || b.flows.length - a.flows.length);
  const hosts = [];
  let drawn = 0;
  for (const group of groups.slice(0, MAX_HOSTS)) {
    const { bars, lanes } = placeFlows(group.flows, x, MAX_FLOWS - drawn);
    drawn += bars.length;
    if (bars.length > 0) hosts.push({ ...group, flows: group.flows.length, bars, lanes });
  }
  return { hosts, drawn, left: flows.length - drawn, hostsLeft: groups.length - hosts.length };
}

/** Detected flows first, then the largest; each in the first lane that is free. */
function placeFlows(flows, x, room) {
  const weight = ({ bytesOut, bytesIn }) => bytesOut + bytesIn;
  const ordered = flows.toSorted((a, b) =>
    (b.detections.length > 0) - (a.detections.length > 0) || weight(b) - weight(a)
  );
  const lanes = [];
  const bars = [];
  for (const flow of ordered) {
    if (bars.length >= room) break;
    const from = x(flow.firstMs);
    const width = Math.max(LEAST_WIDTH, x(flow.lastMs) - from);
    const isFree = (lane) =>
      lane.every(({ start, end }) => from + width + GAP <= start || end + GAP <= from);
    let lane = lanes.findIndex(isFree);
    if (lane < 0) {
      if (lanes.length >= (flow.detections.length > 0 ? MAX_LANES_DETECTED : MAX_LANES)) continue;
      lane = lanes.push([]) - 1;
    }
    lanes[lane].push({ start: from, end: from + width });
    bars.push({ flow, lane, x: from, width });
  }
  return { bars: bars.sort((a, b) => a.flow.firstMs - b.flow.firstMs), lanes: lanes.length };
}
