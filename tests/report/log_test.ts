import assert from "node:assert/strict";
import { reportDetection } from "../../src/report/console.ts";
import { flushLog, log, logLine, type LogOptions, setupLog } from "../../src/report/log.ts";
import { record } from "./detection_fixture.ts";

function lines(options: Partial<LogOptions>, act: () => void): string[] {
  const written: string[] = [];
  setupLog({
    level: "info",
    format: "text",
    isTerminal: false,
    isJournal: false,
    write: (line) => written.push(line),
    ...options,
  });
  act();
  flushLog();
  setupLog({ level: "error", format: "text" });
  return written;
}

Deno.test("setupLog() writes text lines with time and level", () => {
  const written = lines({}, () => log.warn("Queue {queue} is full", { queue: 3 }));
  assert.equal(written.length, 1);
  assert.match(written[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARN {2}Queue 3 is full\n$/);
});

Deno.test("many lines of one kind of the parts hold back none of another kind", () => {
  const written = lines({ isJournal: true }, () => {
    for (let i = 0; i < 40; i++) {
      logLine("warn", `The fleet's ban of 192.0.2.${i} is ignored: reason ${"a".repeat(i)}`);
    }
    logLine("warn", "Another program removed the firewall rules; they are installed again");
    logLine("warn", "17 packets passed unjudged: more came than could be judged");
  });
  const others = written.filter((line) => !line.includes("fleet"));
  assert.deepEqual(others, [
    "<4>Another program removed the firewall rules; they are installed again\n",
    "<4>17 packets passed unjudged: more came than could be judged\n",
  ]);
  assert.equal(written.length, 20 + 2 + 1, "a limit, and a line that sums up");
});

Deno.test("setupLog() colours only a terminal", () => {
  const [plain] = lines({}, () => log.error("x"));
  const [coloured] = lines({ isTerminal: true }, () => log.error("x"));
  assert.ok(!plain.includes("\x1b"));
  assert.ok(coloured.includes("\x1b[31mERROR\x1b[0m"));
});

Deno.test("setupLog() gives journald its priorities", () => {
  const written = lines({ isJournal: true, level: "debug" }, () => {
    log.error("e");
    log.warn("w");
    log.info("i");
    log.debug("d");
  });
  assert.deepEqual(written, ["<3>e\n", "<4>w\n", "<6>i\n", "<7>d\n"]);
});

Deno.test("setupLog() writes JSON lines with the fields", () => {
  const [line] = lines({ format: "json" }, () => reportDetection(log, record()));
  const { time, ...fields } = JSON.parse(line);
  assert.match(time, /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(fields, {
    level: "info",
    message: "[DETECT] UDP 192.168.1.100:51234 → 8.8.8.8:6881 udp-tracker " +
      "(announce request, qBittorrent 1.4.2) - banned 192.168.1.100 for 5h",
    transport: "UDP",
    source: "192.168.1.100:51234",
    destination: "8.8.8.8:6881",
    method: "udp-tracker",
    why: "announce request, qBittorrent 1.4.2",
    action: "banned 192.168.1.100 for 5h",
  });
});

for (
  const [level, expected] of [
    ["error", ["e"]],
    ["warn", ["e", "w"]],
    ["info", ["e", "w", "i"]],
    ["debug", ["e", "w", "i", "d"]],
  ] as const
) {
  Deno.test(`setupLog() keeps to level ${level}`, () => {
    let isComputed = false;
    const written = lines({ level, isJournal: true }, () => {
      log.error("e");
      log.warn("w");
      log.info("i");
      log.debug("d", () => {
        isComputed = true;
        return {};
      });
    });
    assert.deepEqual(written.map((line) => line.slice(3, -1)), expected);
    assert.equal(isComputed, level === "debug", "a value that is not logged is not computed");
  });
}

Deno.test("setupLog() counts lines of one kind instead of printing thousands", () => {
  const written = lines({}, () => {
    for (let i = 0; i < 5_000; i++) {
      reportDetection(log, record({}, { sourcePort: i }));
    }
    log.warn("something else");
  });
  assert.equal(written.filter((line) => line.includes("[DETECT] UDP")).length, 21);
  assert.equal(written.filter((line) => line.includes("something else")).length, 1);
  assert.match(
    written.at(-1)!,
    /INFO {2}4980 more lines like: \[DETECT\] UDP 192\.168\.1\.100:4999 /,
  );
});

Deno.test("setupLog() writes one line whatever is in a message", () => {
  const [line] = lines({}, () => log.info("client {name}", { name: "a\nb\x1b[2J {x}" }));
  assert.ok(line.endsWith("client a\\x0ab\\x1b[2J {x}\n"), line);
});
