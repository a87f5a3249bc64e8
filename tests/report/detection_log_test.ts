import assert from "node:assert/strict";
import { DetectionLog, type DetectionLogFormat } from "../../src/report/detection_log.ts";
import { record } from "./detection_fixture.ts";

interface Fixture {
  directory: string;
  path: string;
  warnings: string[];
  clock: { nowMs: number };
  open(path?: string, format?: DetectionLogFormat): DetectionLog;
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
      open: (where = path, format = "text") =>
        new DetectionLog({
          path: where,
          format,
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
