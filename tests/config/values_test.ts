/** Values of options: what each takes and what it refuses, by whatever way it is given. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { loadConfig } from "../../src/config/load.ts";
import {
  type Config,
  flagOf,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  tomlKeyOf,
  tomlOf,
} from "../../src/config/options.ts";
import { load, problemsOf, withFile } from "./loading.ts";

const accepted: readonly (readonly [string, string, OptionName, Config[OptionName]])[] = [
  ["QUEUE_NUM", "65535", "queueNum", 65535],
  ["QUEUE_NUM", " 7 ", "queueNum", 7],
  ["QUEUE_COUNT", "1", "queueCount", 1],
  ["INTERFACE", "eth0, wg0", "interfaces", ["eth0", "wg0"]],
  ["INTERFACE", "br-1a2b3c4d5e6f,eth0.100", "interfaces", ["br-1a2b3c4d5e6f", "eth0.100"]],
  ["INTERFACE", "", "interfaces", []],
  ["CHAINS", "input,OUTPUT", "chains", ["INPUT", "OUTPUT"]],
  ["CHAINS", "FORWARD,FORWARD", "chains", ["FORWARD"]],
  ["MANAGE_RULES", "0", "manageRules", false],
  ["MARK_MASK", "0xC0000000", "markMask", 0xc0000000],
  ["MARK_MASK", "3", "markMask", 3],
  ["MARK_MASK", "AUTO", "markMask", "auto"],
  ["POLICY", "Strict", "policy", "strict"],
  ["BAN_TARGET", "both", "banTarget", "both"],
  ["BAN_SCOPE", "endpoint", "banScope", "endpoint"],
  ["BAN_DURATION", "18000", "banDuration", 18_000],
  ["BAN_FACTOR", "100", "banFactor", 100],
  ["BAN_DURATION_MAX", "30d", "banDurationMax", 2_592_000],
  ["BAN_DURATION", "5h", "banDuration", 18_000],
  ["BAN_DURATION", "30m", "banDuration", 1_800],
  ["BAN_DURATION", "1d", "banDuration", 86_400],
  ["BAN_DURATION", "1h30m", "banDuration", 5_400],
  ["BAN_DURATION", "31536000", "banDuration", 31_536_000],
  ["WHITELIST_PORTS", "22,443", "whitelistPorts", [22, 443]],
  ["WHITELIST_PORTS", "", "whitelistPorts", []],
  ["WHITELIST_IPS", "10.0.0.0/8,2001:db8::/32,192.0.2.1", "whitelistIps", [
    "10.0.0.0/8",
    "2001:db8::/32",
    "192.0.2.1",
  ]],
  ["WHITELIST_IPS", "0.0.0.0/0,10.0.0.1/32,::/0,2001:db8::1/128", "whitelistIps", [
    "0.0.0.0/0",
    "10.0.0.1/32",
    "::/0",
    "2001:db8::1/128",
  ]],
  ["MONITOR_ONLY", "true", "monitorOnly", true],
  ["MONITOR_ONLY", "1", "monitorOnly", true],
  ["MONITOR_ONLY", "TRUE", "monitorOnly", true],
  ["MONITOR_ONLY", "false", "monitorOnly", false],
  ["XDP_MODE", "native", "xdpMode", "native"],
  ["XDP_CLEANUP_INTERVAL", "60", "cleanupInterval", 60],
  ["CLEANUP_INTERVAL", "1m", "cleanupInterval", 60],
  ["LOG_LEVEL", "DEBUG", "logLevel", "debug"],
  ["DETECTION_LOG", "/var/log/d.log", "detectionLog", "/var/log/d.log"],
  ["STATUS_LISTEN", "127.0.0.1:9090", "statusListen", "127.0.0.1:9090"],
  ["STATUS_LISTEN", "[::1]:9090", "statusListen", "[::1]:9090"],
  ["STATUS_LISTEN", "localhost:65535", "statusListen", "localhost:65535"],
  ["STATUS_TOKEN", "0123456789abcdef", "statusToken", "0123456789abcdef"],
  ["STATUS_TOKEN", "file:/etc/token", "statusToken", "file:/etc/token"],
  ["WEBHOOK_URL", "https://host/hook?key=1", "webhookUrl", "https://host/hook?key=1"],
  ["WEBHOOK_URL", "file:/etc/webhook", "webhookUrl", "file:/etc/webhook"],
  [
    "STATUS_LISTEN",
    "unix:/run/btblocker/status.sock",
    "statusListen",
    "unix:/run/btblocker/status.sock",
  ],
  ["RECHECK", "1048576", "recheck", 1_048_576],
  // Compose files pass empty variables for "not set".
  ["QUEUE_NUM", "", "queueNum", 0],
  ["MONITOR_ONLY", "", "monitorOnly", false],
  ["CHAINS", "", "chains", ["FORWARD"]],
];

for (const [variable, value, name, expected] of accepted) {
  Deno.test(`loadConfig() takes ${variable}=${value}`, () => {
    assert.deepEqual(load({ [variable]: value }).config[name], expected);
  });
}

const refused = [
  ["QUEUE_NUM", "70000", "expected a number from 0 to 65535"],
  ["QUEUE_NUM", "-1", "expected a number from 0 to 65535"],
  ["QUEUE_NUM", "1.5", "expected a number from 0 to 65535"],
  ["QUEUE_NUM", "0x10", "expected a number from 0 to 65535"],
  ["QUEUE_NUM", "seven", "expected a number from 0 to 65535"],
  ["QUEUE_COUNT", "0", "expected a number from 1 to 64"],
  ["INTERFACE", "averyveryverylongname", "expected a comma-separated list of interface names"],
  ["INTERFACE", "eth0,,eth1", "expected a comma-separated list of interface names"],
  ["INTERFACE", "../../etc", "expected a comma-separated list of interface names"],
  ["DETECTION_LOG", "-1", "expected a path (./-NAME where the name begins with -)"],
  ["DETECTION_PCAP", "--policy", "expected a path"],
  ["CHAINS", "FORWARD,POSTROUTING", "expected a comma-separated list of INPUT, FORWARD, OUTPUT"],
  ["MARK_MASK", "0x40000000", "expected auto, or a 32-bit mask with exactly 2 bits"],
  ["MARK_MASK", "0x70000000", "expected auto, or a 32-bit mask with exactly 2 bits"],
  ["MARK_MASK", "0x130000000", "expected auto, or a 32-bit mask"],
  ["BAN_DURATION", "0", "expected a duration from 1 to"],
  ["BAN_DURATION", "5 hours", "expected a duration from 1 to"],
  ["BAN_DURATION", "-5m", "expected a duration from 1 to"],
  ["BAN_FACTOR", "0", "expected a number from 1 to 100"],
  ["BAN_FACTOR", "1.5", "expected a number from 1 to 100"],
  ["BAN_DURATION_MAX", "0", "expected a duration from 1 to"],
  ["BAN_DURATION", "999999999999999999999", "expected a duration from 1 to"],
  ["WHITELIST_PORTS", "22,0", "expected a comma-separated list of ports from 1 to 65535"],
  ["WHITELIST_PORTS", "22-25", "expected a comma-separated list of ports"],
  ["WHITELIST_IPS", "10.0.0.0/33", "expected a comma-separated list of addresses and networks"],
  ["WHITELIST_IPS", "10.0.0", "expected a comma-separated list of addresses and networks"],
  ["WHITELIST_IPS", "fe80::1%eth0", "expected a comma-separated list of addresses and networks"],
  ["WHITELIST_IPS", "2001:db8::/129", "expected a comma-separated list of addresses and networks"],
  ["WHITELIST_IPS", "10.0.0.0/08", "expected a comma-separated list of addresses and networks"],
  ["WHITELIST_IPS", "host/8", "expected a comma-separated list of addresses and networks"],
  ["MONITOR_ONLY", "yes please", "expected true, false, 1 or 0"],
  ["XDP_MODE", "fast", "expected auto, tc, generic, native, offload or off"],
  ["LOG_LEVEL", "verbose", "expected error, warn, info or debug"],
  ["STATUS_LISTEN", "9090", "expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH"],
  ["STATUS_LISTEN", "127.0.0.1:99999", "expected ADDRESS:PORT"],
  ["STATUS_LISTEN", "::1:80", "expected ADDRESS:PORT"],
  ["STATUS_LISTEN", "unix:status.sock", "expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH"],
  ["STATUS_LISTEN", "[127.0.0.1]:80", "expected ADDRESS:PORT"],
  ["STATUS_LISTEN", "[::1::]:80", "expected ADDRESS:PORT"],
  ["STATUS_LISTEN", "host:80", "expected ADDRESS:PORT"],
  ["FLEET_URL", "ftp://host", "expected http://HOST:PORT, https://HOST:PORT"],
  ["FLEET_URL", "https://host?key=1", "expected http://HOST:PORT, https://HOST:PORT"],
  ["FLEET_URL", "https://ho st", "expected http://HOST:PORT, https://HOST:PORT"],
  ["FLEET_URL", "https://[::1", "expected http://HOST:PORT, https://HOST:PORT"],
  ["CLEANUP_INTERVAL", "2d", "expected a duration from 1 to 86400 seconds"],
] as const;

for (const [variable, value, expected] of refused) {
  Deno.test(`loadConfig() refuses ${variable}=${value}`, () => {
    const problems = problemsOf(() => load({ [variable]: value }));
    assert.equal(problems.length, 1);
    assert.ok(problems[0].startsWith(`Cannot use ${variable}=${value}: ${expected}`), problems[0]);
  });
}

const FLEET = { FLEET_URL: "https://lapi.example:8080", FLEET_KEY: "key" };

/** Variables without which the option makes no sense. */
function companionsOf(option: OptionName): Record<string, string> {
  if (!option.startsWith("fleet")) return {};
  const { variable } = OPTIONS[option];
  const pairs: Record<string, Record<string, string>> = {
    FLEET_LOGIN: { FLEET_PASSWORD: "password" },
    FLEET_PASSWORD: { FLEET_LOGIN: "gw-1" },
    FLEET_CERT: { FLEET_CERT_KEY: "/etc/gw.key" },
    FLEET_CERT_KEY: { FLEET_CERT: "/etc/gw.pem" },
  };
  const others: Record<string, string> = { ...FLEET, ...pairs[variable] };
  delete others[variable];
  return others;
}

Deno.test("Every option can be given in all three ways, and its example is allowed", () => {
  for (const name of OPTION_NAMES) {
    const { variable, example, default: otherwise } = OPTIONS[name];
    const others = companionsOf(name);
    const byFlag = load(others, { [name]: example }).config[name];
    const byVariable = load({ ...others, [variable]: example }).config[name];
    assert.deepEqual(byFlag, byVariable, name);
    assert.notDeepEqual(byFlag, otherwise, `the example of ${name} is its default`);
    withFile(`${tomlKeyOf(name)} = ${tomlOf(name, byFlag)}\n`, (configPath) => {
      assert.deepEqual(loadConfig({ configPath, variables: others }).config[name], byFlag, name);
    });
    assert.match(flagOf(name), /^--[a-z]+(-[a-z]+)*$/);
  }
});

Deno.test("loadConfig() takes any text: a value or a problem, nothing else", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...OPTION_NAMES),
      fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom("0", "1,2", "a/b")),
      (name, text) => {
        const problems = problemsOf(() => load(companionsOf(name), { [name]: text }));
        for (const problem of problems) {
          assert.match(
            problem,
            /^Cannot use --[a-z-]+ .*: expected |^Cannot .*FLEET_|^Cannot join /,
          );
        }
      },
    ),
  );
});

Deno.test("loadConfig() takes any file: values or problems, nothing else", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      withFile(text, (configPath) => problemsOf(() => loadConfig({ configPath, variables: {} })));
    }),
    { numRuns: 50 },
  );
});

// What is a secret is told by nobody, so that these say nothing of the value.
const refusedSecrets = [
  ["STATUS_TOKEN", "0123456789abcde", "expected 16 or more printable characters"],
  ["STATUS_TOKEN", "0123456789 abcdef", "expected 16 or more printable characters"],
  ["WEBHOOK_URL", "ftp://host/hook", "expected http://…, https://…, file:/PATH"],
  ["WEBHOOK_URL", "https://host/hook#part", "expected http://…, https://…, file:/PATH"],
  ["WEBHOOK_URL", "https://[::1/hook", "expected http://…, https://…, file:/PATH"],
] as const;

for (const [variable, value, expected] of refusedSecrets) {
  Deno.test(`loadConfig() refuses ${variable}=${value}`, () => {
    const problems = problemsOf(() => load({ [variable]: value }));
    assert.equal(problems.length, 1);
    assert.ok(problems[0].startsWith(`Cannot use ${variable}=…: ${expected}`), problems[0]);
  });
}
