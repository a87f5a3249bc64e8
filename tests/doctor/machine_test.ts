import assert from "node:assert/strict";
import { isAtLeast, readCapabilities } from "../../src/doctor/machine.ts";

const VERSIONS = [
  ["6.1.0-18-amd64", 5, 9, true],
  ["5.9.0", 5, 9, true],
  ["5.10.0-27-arm64", 5, 9, true],
  ["5.4.0-150-generic", 5, 9, false],
  ["4.18.0-513.el8.x86_64", 4, 18, true],
  ["4.9.0", 4, 18, false],
  ["unreadable", 4, 18, false],
] as const;

for (const [release, major, minor, expected] of VERSIONS) {
  Deno.test(`isAtLeast() compares ${release} with ${major}.${minor}`, () => {
    assert.equal(isAtLeast(release, major, minor), expected);
  });
}

Deno.test("readCapabilities() reads the effective set", () => {
  // As /proc/PID/status showed it for a process with just these four (setpriv --ambient-caps).
  const status = "CapPrm:\t000000c000003000\nCapEff:\t000000c000003000\nCapBnd:\t0\n";
  assert.deepEqual(
    [...readCapabilities(status)].sort(),
    ["CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON"],
  );
  assert.equal(readCapabilities("CapEff:\t0000000000000000\n").size, 0);
  assert.equal(readCapabilities("").size, 0);
});
