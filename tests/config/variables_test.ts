/** Variables that are none of ours, or nearly. */
import assert from "node:assert/strict";
import { load } from "./loading.ts";

Deno.test("loadConfig() is not stopped by the variables of other programs", () => {
  const { config, warnings } = load({ CHAIN: "mainnet", INTERFACES: "eth0" });
  assert.deepEqual(config.chains, ["FORWARD"]);
  assert.deepEqual(config.interfaces, []);
  assert.equal(warnings.length, 2);
});

const misspelt = [
  ["QUEUE_NUMBER", "QUEUE_NUM"],
  ["QUEUE_NUMM", "QUEUE_NUM"],
  ["INTERFACES", "INTERFACE"],
  ["MONITR_ONLY", "MONITOR_ONLY"],
  ["MONITOR-ONLY", "MONITOR_ONLY"],
  ["ONLY_MONITOR", "MONITOR_ONLY"],
  ["BAN_DURATOIN", "BAN_DURATION"],
  ["BTBLOCKER_LOG_LEVEL", "LOG_LEVEL"],
  ["WHITELIST_PORT", "WHITELIST_PORTS"],
  ["whitelist_ips", "WHITELIST_IPS"],
] as const;

for (const [variable, meant] of misspelt) {
  Deno.test(`loadConfig() asks whether ${variable} was meant to be ${meant}`, () => {
    assert.deepEqual(load({ [variable]: "1" }).warnings, [
      `The variable ${variable}=1 is none of ours (did you mean ${meant}?)`,
    ]);
  });
}

Deno.test("loadConfig() leaves the variables of others alone", () => {
  const others = [
    "PATH",
    "HOME",
    "LANG",
    "TERM",
    "USER",
    "PWD",
    "SHELL",
    "LOGNAME",
    "HOSTNAME",
    "DENO_DIR",
    "NO_COLOR",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "DEBIAN_FRONTEND",
    "LOG_DIR",
    "LOG_FILE",
    "POLICY_PATH",
    "QUEUE_URL",
    "QUEUE_SIZE",
    "SSH_CONNECTION",
    "XDG_RUNTIME_DIR",
  ];
  const { warnings } = load(Object.fromEntries(others.map((name) => [name, "x"])));
  assert.deepEqual(warnings, []);
});
