import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Metrics } from "../../src/status/metrics.ts";
import type { Status } from "../../src/status/status.ts";
import { fleetState, status } from "./fake_status.ts";

const promtool =
  new Deno.Command("sh", { args: ["-c", "command -v promtool"] }).outputSync().success;
if (!promtool) console.log("promtool's checks skipped: promtool is missing (apt: prometheus)");

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("Metrics have the original's names and ours", async () => {
  const told = lines(await new Metrics().text(status()));
  for (
    const line of [
      "btblocker_packets_processed 1200",
      'btblocker_detections_total{method="dht"} 5',
      'btblocker_detections_total{method="peer-wire"} 2',
      'btblocker_detections_total{method="lsd"} 0', // a rate needs the zero
      "btblocker_banned_ips 2",
      'btblocker_verdicts_total{verdict="drop"} 60',
      'btblocker_verdicts_total{verdict="drop_banned"} 20',
      "btblocker_released_flows_total 120",
      "btblocker_packets_whitelisted_total 15",
      "btblocker_service_connections_total 3210",
      "btblocker_foreign_mark_packets_total 0",
      'btblocker_undecided_flows{wait="answer"} 4',
      'btblocker_undecided_flows{wait="payload"} 0',
      'btblocker_queue_waiting_packets{queue="1"} 3',
      'btblocker_worker_up{queue="0"} 1',
      'btblocker_worker_restarts_total{queue="0"} 1',
      'btblocker_xdp_drops_total{interface="eth0"} 9',
      'btblocker_xdp_attached{interface="eth0",mode="native"} 1',
      'btblocker_xdp_attached{interface="wg0",mode="none"} 0',
      'btblocker_build_info{version="1.2.3",commit="abcdef0"} 1',
      "process_start_time_seconds 1705341600",
    ]
  ) {
    assert(told.includes(line), `${line} is missing in\n${told.join("\n")}`);
  }
});

Deno.test("Metrics tell what the detection files did not take; zeros where nothing", async () => {
  const told = async (changes: Partial<Status>) =>
    lines(await new Metrics().text(status(changes))).filter((line) => /_entries_/.test(line));
  const lost = "btblocker_detection_entries_lost_total";
  const leftOut = "btblocker_detection_entries_left_out_total";
  assert.deepEqual(await told({}), [
    ...[`${lost}{file="log"} 0`, `${lost}{file="pcap"} 0`],
    ...[`${leftOut}{file="log"} 0`, `${leftOut}{file="pcap"} 0`],
  ]);
  const detectionFiles = { log: { lost: 3, leftOut: 0 }, pcap: { lost: 0, leftOut: 70 } };
  assert.deepEqual(await told({ detectionFiles }), [
    ...[`${lost}{file="log"} 3`, `${lost}{file="pcap"} 0`],
    ...[`${leftOut}{file="log"} 0`, `${leftOut}{file="pcap"} 70`],
  ]);
});

Deno.test("Metrics tell of the fleet where there is one, each half by itself", async () => {
  const told = async (fleet: Status["fleet"]) =>
    lines(await new Metrics().text(status({ fleet }))).filter((line) => /fleet/.test(line));
  const none = [
    "btblocker_fleet_waiting_bans 0",
    "btblocker_fleet_lost_bans_total 0",
    "btblocker_fleet_held_bans 0",
  ];
  assert.deepEqual(await told(null), none);
  const lastFailure = {
    time: "2024-01-15T19:00:00.000Z",
    trouble: "away",
    problem: "it answers 503, ",
  } as const;
  const away = fleetState({ connected: false, lastFailure, failures: { away: 2, forbidden: 0 } });
  assert.deepEqual(await told(away), [
    'btblocker_fleet_up{role="machine"} 0',
    'btblocker_fleet_up{role="bouncer"} 0',
    'btblocker_fleet_last_success_timestamp_seconds{role="machine"} 1705348800',
    'btblocker_fleet_last_success_timestamp_seconds{role="bouncer"} 1705348800',
    'btblocker_fleet_failures_total{role="machine",trouble="away"} 2',
    'btblocker_fleet_failures_total{role="machine",trouble="forbidden"} 0',
    'btblocker_fleet_failures_total{role="bouncer",trouble="away"} 2',
    'btblocker_fleet_failures_total{role="bouncer",trouble="forbidden"} 0',
    "btblocker_fleet_waiting_bans 3",
    "btblocker_fleet_lost_bans_total 0",
    "btblocker_fleet_held_bans 1204",
  ]);
  const { takesOver } = fleetState({ lastSuccess: null });
  assert.deepEqual(await told({ reports: null, takesOver }), [
    'btblocker_fleet_up{role="bouncer"} 1',
    'btblocker_fleet_failures_total{role="bouncer",trouble="away"} 0',
    'btblocker_fleet_failures_total{role="bouncer",trouble="forbidden"} 0',
    ...none.slice(0, 2),
    "btblocker_fleet_held_bans 1204",
  ]);
});

Deno.test("Metrics sum the latency histogram up, as Prometheus wants it", async () => {
  const told = lines(await new Metrics().text(status())).filter((line) => /latency/.test(line));
  assert.deepEqual(told, [
    'btblocker_verdict_latency_seconds_bucket{le="0.00001"} 1',
    'btblocker_verdict_latency_seconds_bucket{le="0.000025"} 2',
    'btblocker_verdict_latency_seconds_bucket{le="0.00005"} 92',
    'btblocker_verdict_latency_seconds_bucket{le="0.0001"} 93',
    'btblocker_verdict_latency_seconds_bucket{le="0.00025"} 94',
    'btblocker_verdict_latency_seconds_bucket{le="0.0005"} 95',
    'btblocker_verdict_latency_seconds_bucket{le="0.001"} 96',
    'btblocker_verdict_latency_seconds_bucket{le="0.0025"} 97',
    'btblocker_verdict_latency_seconds_bucket{le="0.005"} 98',
    'btblocker_verdict_latency_seconds_bucket{le="0.01"} 99',
    'btblocker_verdict_latency_seconds_bucket{le="0.05"} 100',
    'btblocker_verdict_latency_seconds_bucket{le="+Inf"} 100',
    "btblocker_verdict_latency_seconds_sum 0.012345",
    "btblocker_verdict_latency_seconds_count 100",
  ]);
});

Deno.test("Metrics forget an interface that is gone, and quote names", async () => {
  const metrics = new Metrics();
  await metrics.text(status());
  const xdp = [{
    interface: 'a"\\b',
    mode: "generic",
    attached: true,
    reason: null,
    problem: null,
    packetsDropped: 1,
    bytesDropped: 2,
  }];
  const told = lines(await metrics.text(status({ xdp }))).filter((line) => /xdp_drops/.test(line));
  assert.deepEqual(told, ['btblocker_xdp_drops_total{interface="a\\"\\\\b"} 1']);
});

Deno.test("Two Metrics do not share a registry", async () => {
  const [one, two] = [new Metrics(), new Metrics()];
  assert.match(await one.text(status()), /banned_ips 2/);
  assert.match(await two.text(status({ bans: 5 })), /banned_ips 5/);
});

Deno.test({
  name: "promtool finds nothing in the metrics but the original's name without its suffix",
  ignore: !promtool,
  async fn() {
    const member = status({ fleet: fleetState() });
    const { code, told } = await check(["check", "metrics"], await new Metrics().text(member));
    assert.deepEqual(told.trim().split("\n"), [
      'btblocker_packets_processed counter metrics should have "_total" suffix',
    ]);
    assert.equal(code, 3); // promtool's code for findings of style
  },
});

const DEPLOY = fileURLToPath(new URL("../../deploy/prometheus/", import.meta.url));

for (
  const args of [
    ["check", "rules", `${DEPLOY}alerts.yml`],
    ["check", "config", `${DEPLOY}prometheus.yml`],
    ["test", "rules", `${DEPLOY}alerts_test.yml`],
  ]
) {
  Deno.test({
    name: `promtool ${args[0]} ${args[1]} is content`,
    ignore: !promtool,
    async fn() {
      const { code, told } = await check(args);
      assert.equal(code, 0, told);
      assert.doesNotMatch(told, /FAILED|WARNING/);
    },
  });
}

async function check(args: string[], input = ""): Promise<{ code: number; told: string }> {
  const child = new Deno.Command("promtool", {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, told: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("The dashboard and the alerts ask for metrics that there are", async () => {
  const text = await new Metrics().text(status({ fleet: fleetState() }));
  const names = new Set(text.matchAll(/^([a-z_]+)(?:\{| )/gm).map(([, name]) => name));
  names.add("up");
  for (const file of ["../grafana/btblocker.json", "alerts.yml", "alerts_test.yml"]) {
    const content = Deno.readTextFileSync(new URL(file, `file://${DEPLOY}`));
    const asked = [...content.matchAll(/\b((?:btblocker|process)_[a-z_]+)\b/g)]
      .map(([, name]) => name);
    assert(asked.length > 0, file);
    for (const name of asked) assert(names.has(name), `${file} asks for ${name}`);
  }
});

Deno.test("The dashboard is JSON whose panels have queries and do not overlap", () => {
  interface Panel {
    id: number;
    title: string;
    type: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string; refId: string }[];
  }
  const text = Deno.readTextFileSync(new URL("../grafana/btblocker.json", `file://${DEPLOY}`));
  const { panels, uid } = JSON.parse(text) as { panels: Panel[]; uid: string };
  assert.equal(uid, "btblocker");
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Map<string, string>();
  for (const { title, type, gridPos: { x, y, w, h }, targets } of panels) {
    if (type !== "row") assert(targets!.every(({ expr }) => expr.length > 0), title);
    assert(x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert.equal(taken.get(`${column},${row}`), undefined, title);
        taken.set(`${column},${row}`, title);
      }
    }
  }
});
