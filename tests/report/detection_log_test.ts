import assert from "node:assert/strict";
import {
  DETECTION_LOG_LIMIT,
  DetectionLog,
  type DetectionLogFormat,
} from "../../src/report/detection_log.ts";
import type { FloodLimit } from "../../src/report/flood_bound.ts";
import { record } from "./detection_fixture.ts";

interface Fixture {
  directory: string;
  path: string;
  warnings: string[];
  clock: { nowMs: number };
  open(path?: string, format?: DetectionLogFormat, limit?: FloodLimit): DetectionLog;
}

function inDirectory(act: (fixture: Fixture) => void): void {
  const directory = Deno.makeTempDirSync();
  const warnings: string[] = [];
  const clock = { nowMs: 0 };
  const path = `${directory}/detections.log`;
  try {
    act({
      directory,
      path,
      warnings,
      clock,
      open: (where = path, format = "text", limit) =>
        new DetectionLog({
          path: where,
          format,
          ...limit === undefined ? {} : { limit },
          warn: (message) => warnings.push(message),
          nowMs: () => clock.nowMs,
        }),
    });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function entries(path: string): number {
  return Deno.readTextFileSync(path).split("=".repeat(80)).length - 1;
}

Deno.test("DetectionLog makes a file for its owner only, even under a loose umask", () => {
  inDirectory(({ path, open }) => {
    const before = Deno.umask(0);
    try {
      using log = open();
      log.write(record());
      assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    } finally {
      Deno.umask(before);
    }
    assert.equal(entries(path), 1);
  });
});

Deno.test("DetectionLog appends, and closes an older file to others", () => {
  inDirectory(({ path, open }) => {
    Deno.writeTextFileSync(path, "before\n", { mode: 0o644 });
    Deno.chmodSync(path, 0o644);
    using log = open();
    log.write(record());
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.ok(Deno.readTextFileSync(path).startsWith("before\n===="));
  });
});

Deno.test("DetectionLog goes on in a new file after reopen()", () => {
  inDirectory(({ path, open }) => {
    using log = open();
    log.write(record());
    Deno.renameSync(path, `${path}.1`);
    log.write(record());
    log.reopen();
    log.write(record());
    assert.equal(entries(`${path}.1`), 2);
    assert.equal(entries(path), 1);
    log.reopen(`${path}.json`, "json");
    log.write(record());
    assert.equal(JSON.parse(Deno.readTextFileSync(`${path}.json`)).method, "udp-tracker");
  });
});

Deno.test("DetectionLog counts what a vanished directory loses, says it once and tries again", () => {
  inDirectory(({ directory, path, warnings, clock, open }) => {
    const sub = `${directory}/sub`;
    using log = open(`${sub}/d.log`);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /^Cannot write the detection log .*: no such directory \(/);
    for (let i = 0; i < 5; i++) log.write(record());
    assert.equal(log.lost, 5);
    clock.nowMs += 6_000;
    log.write(record()); // tried again, still not there
    assert.equal(log.lost, 6);
    assert.equal(warnings.length, 1);
    Deno.mkdirSync(sub);
    clock.nowMs += 6_000;
    log.write(record());
    assert.equal(log.lost, 6);
    assert.equal(entries(`${sub}/d.log`), 1);
    assert.equal(warnings.length, 2);
    assert.match(warnings[1], /is written again, 6 entries were lost$/);
    assert.notEqual(path, "");
  });
});

Deno.test({
  name: "DetectionLog outlives a full disk (needs /dev/full)",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    inDirectory(({ warnings, open }) => {
      using log = open("/dev/full");
      for (let i = 0; i < 3; i++) log.write(record());
      assert.equal(log.lost, 3);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0], /No space left on device/);
    });
  },
});

/** The lines of a JSON log by their type: entries, or how many are missing. */
function linesOf(path: string): (string | number)[] {
  return Deno.readTextFileSync(path).trimEnd().split("\n").map((line) => JSON.parse(line))
    .map(({ event_type, entries }) => event_type === "left_out" ? entries : event_type);
}

/** Room for ten entries of JSON or so, and for half of one more a second. */
const SMALL: FloodLimit = { most: 4_000, perSecond: 200 };
const nobody = () => record({ bans: [] });

for (const format of ["text", "json"] as const) {
  Deno.test(`DetectionLog (${format}) is not filled by a flood, and says what is missing`, () => {
    inDirectory(({ path, warnings, open }) => {
      {
        using log = open(path, format, SMALL);
        for (let i = 0; i < 10_000; i++) log.write(nobody());
        assert.equal(log.lost, 0);
        const text = Deno.readTextFileSync(path);
        const written = format === "text" ? entries(path) : text.split("\n").length - 1;
        assert.equal(written + log.leftOut, 10_000);
        assert.ok(text.length >= 4_000 && text.length < 5_000, `${text.length}`);
        assert.equal(warnings.length, 1);
        assert.match(
          warnings[0],
          /^Too many entries for the detection log .*: it takes 4.0 kB at once, then 200 B a second; 1 left out so far$/,
        );
      }
      const text = Deno.readTextFileSync(path);
      const [, told] = /^Left Out: +(\d+) entries since |"entries":(\d+)/m.exec(text)
        ?.filter((group) => group !== undefined) ?? [];
      assert.match(warnings[1], new RegExp(`second; ${told} left out so far$`), "at the end");
      assert.equal(warnings.length, 2);
    });
  });
}

Deno.test("DetectionLog has the next entry after a flood, and before it what is missing", () => {
  inDirectory(({ path, clock, open }) => {
    using log = open(path, "json", SMALL);
    for (let i = 0; i < 1_000; i++) log.write(nobody());
    const { leftOut } = log;
    clock.nowMs += 3_000;
    log.write(nobody());
    assert.deepEqual(linesOf(path).slice(-2), [leftOut, "detection"]);
    // The flood goes on: entries as the time brings them, the number of others once a minute.
    for (let i = 0; i < 500; i++) {
      clock.nowMs += 100;
      log.write(nobody());
    }
    assert.equal(linesOf(path).filter((line) => typeof line === "number").length, 1);
    clock.nowMs += 10_000;
    log.write(nobody());
    assert.deepEqual(linesOf(path).slice(-2), [log.leftOut - leftOut, "detection"]);
  });
});

Deno.test("DetectionLog has room for who was banned, whatever is forged", () => {
  inDirectory(({ path, open }) => {
    using log = open(path, "json", SMALL);
    for (let i = 0; i < 1_000; i++) log.write(nobody());
    const { leftOut } = log;
    log.write(record());
    assert.equal(log.leftOut, leftOut);
    assert.deepEqual(linesOf(path).slice(-2), [leftOut, "detection"]);
  });
});

Deno.test("DetectionLog says what is missing in the file it is missing in", () => {
  inDirectory(({ path, open }) => {
    using log = open(path, "json", SMALL);
    for (let i = 0; i < 1_000; i++) log.write(nobody());
    Deno.renameSync(path, `${path}.1`); // a rotation
    log.reopen();
    assert.equal(linesOf(`${path}.1`).at(-1), log.leftOut);
    assert.equal(Deno.statSync(path).size, 0);
  });
});

Deno.test("DetectionLog does not forget what is missing while the disk is full", () => {
  inDirectory(({ path, clock, open }) => {
    using log = open(path, "json", SMALL);
    for (let i = 0; i < 1_000; i++) log.write(nobody());
    const { leftOut } = log;
    log.reopen("/dev/full"); // takes nothing; the old file was told
    assert.equal(linesOf(path).at(-1), leftOut);
    for (let i = 0; i < 10; i++) log.write(nobody());
    clock.nowMs += 120_000;
    log.write(nobody());
    assert.equal(log.lost, 1);
    log.reopen(path);
    log.write(nobody());
    assert.deepEqual(linesOf(path).slice(-2), [10, "detection"]);
  });
});

Deno.test("DetectionLog leaves nothing out at usual rates, nor where that was asked", () => {
  inDirectory(({ directory, path, warnings, clock, open }) => {
    // Without what it takes at once, so that the rate alone is seen.
    using log = open(path, "json", { ...DETECTION_LOG_LIMIT, most: 8_000 });
    for (let i = 0; i < 2_000; i++) { // a hundred a second, all of them only watched
      clock.nowMs += 10;
      log.write(nobody());
    }
    assert.equal(log.leftOut, 0);
    using all = new DetectionLog({
      ...{ path: `${directory}/all`, format: "json", warn: (message) => warnings.push(message) },
      ...{ limit: SMALL, isBounded: false },
    });
    for (let i = 0; i < 1_000; i++) all.write(nobody());
    assert.equal(linesOf(`${directory}/all`).length, 1_000);
    assert.deepEqual(warnings, []);
  });
});
