import assert from "node:assert/strict";
import { executablePages, Growth, residentBytes } from "../../src/blocker/memory.ts";
import { forgetPages } from "../../ffi/libc.ts";

const EXE = "/opt/deno/bin/deno";

/** One mapping as the kernel lists it, shortened. */
function mapping(range: string, mode: string, offset: string, file: string, anonymous = 0): string {
  return `${range} ${mode} ${offset} fe:00 1441840                    ${file}
Size:                 64 kB
Rss:                  44 kB
Anonymous:         ${`${anonymous}`.padStart(5)} kB
THPeligible:           0
VmFlags: rd mr mw me
`;
}

Deno.test("pages of the program are those that stand in memory as on disk", () => {
  const smaps = [
    mapping("1000-5000", "r--p", "00000000", EXE),
    mapping("5000-9000", "r-xp", "00004000", EXE),
    mapping("9000-a000", "rw-p", "00008000", EXE),
    mapping("a000-b000", "r--p", "00009000", EXE, 4), // written once, then protected: relocations
    mapping("b000-c000", "r--s", "0000a000", EXE),
    mapping("c000-d000", "r-xp", "00000000", "/usr/lib/libc.so.6"),
    mapping("d000-e000", "r-xp", "00004000", `${EXE} (deleted)`),
    mapping("7f31c7dc0000-7f31c7dc1000", "r-xp", "00005000", EXE), // a thread's copy of the builtins
    mapping("7f31d0000000-7f31d0001000", "r--p", "00000000", ""),
  ].join("");
  assert.deepEqual(executablePages(smaps, EXE), [
    { start: 0x1000n, length: 0x4000n },
    { start: 0x5000n, length: 0x4000n },
  ]);
  assert.deepEqual(executablePages("", EXE), []);
});

/** kB of this program's file that are resident, of the mappings from `starts`. */
function residentOf(smaps: string, starts: ReadonlySet<bigint>): number {
  let sum = 0;
  let isCounted = false;
  for (const line of smaps.split("\n")) {
    const from = /^([\da-f]+)-/.exec(line);
    if (from !== null) isCounted = starts.has(BigInt(`0x${from[1]}`));
    const resident = /^Rss: +(\d+)/.exec(line);
    if (resident !== null && isCounted) sum += Number(resident[1]);
  }
  return sum;
}

Deno.test({
  name: "pages that are let go of are no longer resident, and come back when used",
  ignore: Deno.build.os !== "linux",
  fn() {
    const smaps = () => Deno.readTextFileSync("/proc/self/smaps");
    const pages = executablePages(smaps(), Deno.execPath());
    assert.ok(pages.length >= 2, "code and constants");
    const starts = new Set(pages.map(({ start }) => start));
    const before = residentOf(smaps(), starts);
    for (const { start, length } of pages) assert.equal(forgetPages(start, length), 0);
    const after = residentOf(smaps(), starts);
    assert.ok(after < before * 0.7, `${before} kB, then ${after}`);
    assert.equal(new Intl.NumberFormat("de").format(1234.5), "1.234,5");
    assert.deepEqual(JSON.parse('{"a":[1,2.5]}'), { a: [1, 2.5] });
  },
});

Deno.test("what is resident is told apart: of files, and the process's own", () => {
  const status = "Name:\tdeno\nVmRSS:\t   79360 kB\nRssAnon:\t   55000 kB\n" +
    "RssFile:\t   24300 kB\nRssShmem:\t      60 kB\n";
  assert.deepEqual(residentBytes(status), { own: 55_000 * 1024, ofFiles: 24_300 * 1024 });
  assert.deepEqual(residentBytes(""), { own: 0, ofFiles: 0 });
});

Deno.test("growth is undone when it is worth it, from what the last undoing has left", () => {
  let amount = 80;
  let left = 70;
  let undone = 0;
  const growth = new Growth(10, () => amount, () => {
    amount = left;
    undone++;
  });
  growth.undo();
  assert.deepEqual({ amount, undone }, { amount: 70, undone: 1 });
  amount = 79;
  growth.look();
  assert.equal(undone, 1, "9 are not worth it");
  amount = 80;
  left = 76; // more is in use now
  growth.look();
  assert.deepEqual({ amount, undone }, { amount: 76, undone: 2 });
  amount = 85;
  growth.look();
  assert.equal(undone, 2);
});
