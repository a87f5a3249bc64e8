/** What the demo's blocker takes over from the environment. The demo itself: tests/ship. */
import assert from "node:assert/strict";
import { blockerEnvironment } from "../../src/cli/demo.ts";
import { OPTION_NAMES, OPTIONS } from "../../src/config/options.ts";

Deno.test("the demo's blocker gets no setting, and no service manager to report to", () => {
  const needed = { PATH: "/bin", HOME: "/root", DENO_DIR: "/cache", LD_LIBRARY_PATH: "/lib" };
  const settings = OPTION_NAMES.flatMap((name) => {
    const { variable } = OPTIONS[name];
    return [variable, `${variable}_FILE`].map((variable) => [variable, "x"]);
  });
  const others = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "1", JOURNAL_STREAM: "8:1" };
  const all = { ...Object.fromEntries(settings), ...needed, ...others };
  assert.deepEqual(blockerEnvironment(all), needed);
});
