import assert from "node:assert/strict";
import { AppendFile } from "../../src/report/append_file.ts";

interface Bed {
  readonly directory: string;
  readonly path: string;
  readonly warnings: string[];
  readonly clock: { nowMs: number };
  open(where?: string): AppendFile;
}

function inDirectory(act: (bed: Bed) => void): void {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/d.log`;
  const warnings: string[] = [];
  const clock = { nowMs: 0 };
  const open = (where = path) =>
    new AppendFile({
      ...{ path: where, name: "detection log", entries: "entries" },
      warn: (message) => warnings.push(message),
      nowMs: () => clock.nowMs,
    });
  try {
    act({ directory, path, warnings, clock, open });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const LINE = new TextEncoder().encode("entry\n");
const add = (file: AppendFile) => file.write(() => LINE);
const linesOf = (path: string) => Deno.readTextFileSync(path).split("\n").length - 1;

Deno.test({
  name: "a FIFO, on which opening would wait for good, is refused and tried again",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inDirectory(({ path, warnings, clock, open }) => {
      assert.ok(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
      using file = open();
      assert.equal(add(file), false);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0], /^Cannot write the detection log .*: it is a FIFO, not a file \(/);
      Deno.removeSync(path);
      clock.nowMs += 6_000;
      assert.equal(add(file), true);
      assert.equal(file.lost, 1);
    }),
});

Deno.test("a directory is refused", () => {
  inDirectory(({ directory, warnings, open }) => {
    using file = open(directory);
    assert.equal(add(file), false);
    assert.match(warnings.join(), /it is a directory, not a file/);
  });
});

Deno.test("a removed file is noticed, what went with it is counted, and it is made anew", () => {
  inDirectory(({ path, warnings, clock, open }) => {
    using file = open();
    add(file);
    clock.nowMs += 3_000;
    add(file); // seen to be there
    Deno.removeSync(path);
    add(file); // too soon to look again
    assert.equal(file.lost, 0);
    clock.nowMs += 3_000;
    assert.equal(add(file), true);
    assert.equal(linesOf(path), 1);
    assert.equal(file.lost, 2, "at most: one of them was written before it was removed");
    assert.match(warnings.join(), /was removed: up to 2 entries went with it$/);
  });
});

Deno.test("a vanished directory is noticed, said once, and the file made anew when it is back", () => {
  inDirectory(({ directory, warnings, clock, open }) => {
    const sub = `${directory}/sub`;
    Deno.mkdirSync(sub);
    using file = open(`${sub}/d.log`);
    Deno.removeSync(sub, { recursive: true });
    for (let i = 0; i < 4; i++) {
      clock.nowMs += 6_000;
      assert.equal(add(file), false);
    }
    assert.equal(file.lost, 4);
    assert.equal(warnings.filter((message) => message.includes("no such directory")).length, 1);
    Deno.mkdirSync(sub);
    clock.nowMs += 6_000;
    assert.equal(add(file), true);
    assert.equal(linesOf(`${sub}/d.log`), 1);
    assert.match(warnings.at(-1)!, /is written again, 4 entries were lost$/);
  });
});

Deno.test("a file that was moved away loses nothing", () => {
  inDirectory(({ path, warnings, clock, open }) => {
    using file = open();
    add(file);
    Deno.renameSync(path, `${path}.1`);
    clock.nowMs += 3_000;
    add(file);
    assert.deepEqual([linesOf(`${path}.1`), linesOf(path), file.lost], [1, 1, 0]);
    assert.deepEqual(warnings, []);
  });
});
