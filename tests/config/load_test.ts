import assert from "node:assert/strict";
import fc from "fast-check";
import { compareConfigs, loadConfig, showConfig, variablesOf } from "../../src/config/load.ts";
import {
  type Config,
  flagOf,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  tomlKeyOf,
  tomlOf,
} from "../../src/config/options.ts";
import { UsageError } from "../../src/errors.ts";

const NO_FILE = "/nonexistent/btblocker.toml";

function load(
  variables: Record<string, string> = {},
  flags: Partial<Record<OptionName, string>> = {},
) {
  return loadConfig({ variables, flags, defaultConfigPath: NO_FILE });
}

function problemsOf(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.split("\n");
  }
  return [];
}

function withFile(toml: string, act: (path: string) => void): void {
  const path = Deno.makeTempFileSync({ suffix: ".toml" });
  try {
    Deno.writeTextFileSync(path, toml);
    act(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("loadConfig() gives the original's defaults", () => {
  const { config, origins, file } = load();
  assert.equal(config.queueNum, 0);
  assert.deepEqual(config.interfaces, []);
  assert.equal(config.logLevel, "info");
  assert.equal(config.banDuration, 18_000);
  assert.equal(config.detectionLog, "");
  assert.equal(config.monitorOnly, false);
  assert.equal(config.blockSocks, false);
  assert.equal(config.xdpMode, "auto");
  assert.equal(config.cleanupInterval, 300);
  assert.deepEqual(config.whitelistPorts, [22, 53, 80, 443, 853, 5222, 5269]);
  assert.deepEqual(config.chains, ["FORWARD"]);
  assert.equal(config.markMask, "auto");
  assert.ok(config.queueCount >= 1 && config.queueCount <= 8);
  assert.equal(file, null);
  assert.ok(Object.values(origins).every((origin) => origin === "default"));
});

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
  ["MONITOR_ONLY", "yes please", "expected true, false, 1 or 0"],
  ["XDP_MODE", "fast", "expected auto, tc, generic, native, offload or off"],
  ["LOG_LEVEL", "verbose", "expected error, warn, info or debug"],
  ["STATUS_LISTEN", "9090", "expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH"],
  ["STATUS_LISTEN", "127.0.0.1:99999", "expected ADDRESS:PORT"],
  ["STATUS_LISTEN", "::1:80", "expected ADDRESS:PORT"],
  ["CLEANUP_INTERVAL", "2d", "expected a duration from 1 to 86400 seconds"],
] as const;

for (const [variable, value, expected] of refused) {
  Deno.test(`loadConfig() refuses ${variable}=${value}`, () => {
    const problems = problemsOf(() => load({ [variable]: value }));
    assert.equal(problems.length, 1);
    assert.ok(problems[0].startsWith(`Cannot use ${variable}=${value}: ${expected}`), problems[0]);
  });
}

Deno.test("loadConfig() names the flag with a wrong value", () => {
  assert.deepEqual(problemsOf(() => load({}, { queueNum: "70000" })), [
    "Cannot use --queue-num 70000: expected a number from 0 to 65535",
  ]);
});

Deno.test("loadConfig() prefers flag, then variable, then file, then default", () => {
  const toml = "ban_duration = 1\nqueue_num = 1\nlog_level = 'warn'\n";
  withFile(toml, (configPath) => {
    const { config, origins, file } = loadConfig({
      configPath,
      variables: { BAN_DURATION: "2", QUEUE_NUM: "2" },
      flags: { banDuration: "3" },
    });
    assert.equal(config.banDuration, 3);
    assert.equal(origins.banDuration, "flag --ban-duration");
    assert.equal(config.queueNum, 2);
    assert.equal(origins.queueNum, "variable QUEUE_NUM");
    assert.equal(config.logLevel, "warn");
    assert.equal(origins.logLevel, `file ${configPath}: log_level`);
    assert.equal(origins.chains, "default");
    assert.equal(file, configPath);
  });
});

Deno.test("loadConfig() prefers the present name to the original's", () => {
  const both = (other: string) => load({ CLEANUP_INTERVAL: "60", XDP_CLEANUP_INTERVAL: other });
  const { config, origins, warnings } = both("20");
  assert.equal(config.cleanupInterval, 60);
  assert.equal(origins.cleanupInterval, "variable CLEANUP_INTERVAL");
  assert.deepEqual(warnings, [
    "XDP_CLEANUP_INTERVAL=20 is not used: CLEANUP_INTERVAL=60 says otherwise, and holds",
  ]);
  assert.deepEqual(both("1m").warnings, [], "the same, written otherwise");
});

Deno.test("loadConfig() reads the file's own types", () => {
  const toml = `
    queue_num = 7
    interface = ["eth0", "wg0"]
    chains = "INPUT,OUTPUT"
    whitelist_ports = [22, 443]
    whitelist_ips = []
    ban_duration = "5m"
    monitor_only = true
    mark_mask = 0x0c
    xdp_cleanup_interval = 30
  `;
  withFile(toml, (configPath) => {
    const { config } = loadConfig({ configPath, variables: {} });
    assert.equal(config.queueNum, 7);
    assert.deepEqual(config.interfaces, ["eth0", "wg0"]);
    assert.deepEqual(config.chains, ["INPUT", "OUTPUT"]);
    assert.deepEqual(config.whitelistPorts, [22, 443]);
    assert.equal(config.banDuration, 300);
    assert.equal(config.monitorOnly, true);
    assert.equal(config.markMask, 12);
    assert.equal(config.cleanupInterval, 30);
  });
});

Deno.test("loadConfig() lists every problem at once", () => {
  const toml = "queue_number = 1\nban_duration = true\n[queue]\nnum = 3\n";
  withFile(toml, (configPath) => {
    const problems = problemsOf(() =>
      loadConfig({
        configPath,
        variables: { QUEUE_NUMBER: "4", LOG_LEVEL: "loud", PATH: "/bin", HOME: "/root" },
        flags: { policy: "lax" },
      })
    );
    assert.deepEqual(problems, [
      `Cannot use queue_number in ${configPath}: no such option (did you mean queue_num?)`,
      `Cannot use queue in ${configPath}: no such option`,
      "Cannot use --policy lax: expected default or strict",
      `Cannot use ban_duration = true in ${configPath}: expected a duration from 1 to 315360000 ` +
      "seconds, such as 300, 5m, 5h or 1d",
      "Cannot use LOG_LEVEL=loud: expected error, warn, info or debug",
    ]);
  });
});

Deno.test("loadConfig() refuses a wrong value even where a better source wins", () => {
  const problems = problemsOf(() => load({ QUEUE_NUM: "many" }, { queueNum: "3" }));
  assert.equal(problems.length, 1);
});

for (
  const [name, toml, expected] of [
    ["a syntax error", "queue_num = = 3\n", /line 1, column \d+: \S/],
    ["an unclosed string", 'a = "b\n', /line 1, column \d+: \S/],
  ] as const
) {
  Deno.test(`loadConfig() tells the place of ${name}`, () => {
    withFile(toml, (configPath) => {
      const problems = problemsOf(() => loadConfig({ configPath, variables: {} }));
      assert.equal(problems.length, 1);
      assert.ok(problems[0].startsWith(`Cannot read ${configPath}: `), problems[0]);
      assert.match(problems[0], expected);
    });
  });
}

Deno.test("loadConfig() wants the file that --config names", () => {
  assert.deepEqual(problemsOf(() => loadConfig({ configPath: NO_FILE, variables: {} })), [
    `Cannot read ${NO_FILE}: no such file`,
  ]);
  assert.deepEqual(problemsOf(() => loadConfig({ configPath: "/", variables: {} })), [
    "Cannot read /: it is a directory",
  ]);
});

Deno.test("loadConfig() refuses more queues than there are numbers", () => {
  const problems = problemsOf(() => load({ QUEUE_NUM: "65535", QUEUE_COUNT: "2" }));
  assert.deepEqual(problems, [
    "Cannot use 2 queues from number 65535: the last queue number is 65535",
  ]);
});

Deno.test("loadConfig() does not choose interfaces where a flag or a file names none by mistake", () => {
  const expected = /^Cannot use .*: expected a comma-separated list of interface names/;
  const flag = problemsOf(() => loadConfig({ flags: { interfaces: "" }, variables: {} }));
  assert.match(flag.join("\n"), expected);
  withFile('interface = ""', (configPath) => {
    assert.match(problemsOf(() => loadConfig({ configPath, variables: {} })).join("\n"), expected);
  });
  withFile("interface = []", (configPath) => {
    assert.deepEqual(loadConfig({ configPath, variables: {} }).config.interfaces, []);
  });
});

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
  load(Object.fromEntries(others.map((name) => [name, "x"])));
});

Deno.test("showConfig() prints a file that gives the same settings", () => {
  const before = load({ INTERFACE: "eth0", BAN_DURATION: "5m", MARK_MASK: "0x30" }, {
    policy: "strict",
  });
  const text = showConfig(before);
  assert.match(text, /^ban_duration = 300 +# variable BAN_DURATION$/m);
  assert.match(text, /^policy = "strict" +# flag --policy$/m);
  assert.match(text, /^queue_num = 0 +# default$/m);
  withFile(text, (configPath) => {
    assert.deepEqual(loadConfig({ configPath, variables: {} }).config, before.config);
  });
});

Deno.test("a reload without the file that was there is refused, and one without any is not", () => {
  const directory = Deno.makeTempDirSync();
  try {
    const defaultConfigPath = `${directory}/config.toml`;
    const again = (lastFile: string | null) => {
      return loadConfig({ defaultConfigPath, variables: {}, lastFile });
    };
    assert.equal(again(null).file, null);
    Deno.writeTextFileSync(defaultConfigPath, "monitor_only = true\n");
    const { file, config } = again(null); // it has come meanwhile
    assert.deepEqual([file, config.monitorOnly], [defaultConfigPath, true]);
    Deno.removeSync(defaultConfigPath);
    assert.deepEqual(problemsOf(() => again(file)), [
      `Cannot read ${defaultConfigPath}: no such file any more (restart to go on without it)`,
    ]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("Every name that an option has is looked at, not only the first one found", () => {
  const variables = { CLEANUP_INTERVAL: "5", XDP_CLEANUP_INTERVAL: "abc" };
  assert.match(problemsOf(() => load(variables)).join(), /^Cannot use XDP_CLEANUP_INTERVAL=abc: /);
  withFile("cleanup_interval = 5\nxdp_cleanup_interval = 'abc'\n", (configPath) => {
    const [problem, ...more] = problemsOf(() => loadConfig({ configPath, variables: {} }));
    assert.match(problem, /^Cannot use xdp_cleanup_interval = "abc" in /);
    assert.deepEqual(more, []);
  });
  const { config, origins } = load({ CLEANUP_INTERVAL: "5", XDP_CLEANUP_INTERVAL: "6" });
  assert.equal(config.cleanupInterval, 5);
  assert.equal(origins.cleanupInterval, "variable CLEANUP_INTERVAL");
});

Deno.test("A ban may not begin longer than repeated offenders are banned at most", () => {
  const problem = "Cannot use BAN_DURATION_MAX 604800 with BAN_FACTOR 2: expected at least " +
    "BAN_DURATION, 604801 seconds";
  assert.deepEqual(problemsOf(() => load({ BAN_FACTOR: "2", BAN_DURATION: "604801" })), [problem]);
  assert.deepEqual(problemsOf(() => load({ BAN_FACTOR: "2", BAN_DURATION: "7d" })), []);
  assert.deepEqual(problemsOf(() => load({ BAN_DURATION: "30d" })), [], "bans do not grow");
});

Deno.test("Fleet settings that do not go together are told with all other problems", () => {
  assert.deepEqual(problemsOf(() => load({ FLEET_KEY: "key", QUEUE_NUM: "-1" })), [
    "Cannot use QUEUE_NUM=-1: expected a number from 0 to 65535",
    "Cannot join a fleet without FLEET_URL, the address of its API",
  ]);
});

for (
  const address of [
    "https://user:hunter2@host",
    "https://hunter2@host",
    "https://user:hunter2/hunter2@hunter2@host",
    "user:hunter2@host",
  ]
) {
  Deno.test(`The password in FLEET_URL=${address} is not told`, () => {
    const told = [
      ...problemsOf(() => load({ FLEET_URL: address })),
      ...problemsOf(() => load({}, { fleetUrl: address })),
      ...load({ FLEET_URLS: address }).warnings,
    ];
    withFile(`fleet_url = "${address}"\n`, (configPath) => {
      told.push(...problemsOf(() => loadConfig({ configPath, variables: {} })));
    });
    assert.equal(told.length, 4);
    for (const problem of told) assert.match(problem, /@host/);
    assert.doesNotMatch(told.join("\n"), /hunter2/);
  });
}

Deno.test("variablesOf() names options as the documents do", () => {
  assert.equal(variablesOf(["queueCount", "statusListen"]), "QUEUE_COUNT, STATUS_LISTEN");
});

Deno.test("compareConfigs() tells what a reload takes over and what not", () => {
  const before = load().config;
  const after = load({ BAN_DURATION: "1m", WHITELIST_PORTS: "1", QUEUE_NUM: "9" }).config;
  assert.deepEqual(compareConfigs(before, after), {
    live: ["banDuration", "whitelistPorts"],
    restart: ["queueNum"],
  });
});

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

Deno.test("loadConfig() wants a token where others can reach the status page", () => {
  const cases: [string, string, boolean][] = [
    ["127.0.0.1:9090", "", true],
    ["127.3.2.1:9090", "", true],
    ["localhost:9090", "", true],
    ["[::1]:9090", "", true],
    ["unix:/run/btblocker/status.sock", "", true],
    ["0.0.0.0:9090", "", false],
    ["[::]:9090", "", false],
    ["192.0.2.1:9090", "", false],
    ["0.0.0.0:9090", "correct-horse-battery", true],
    ["[::]:9090", "file:/etc/btblocker/token", true],
  ];
  for (const [STATUS_LISTEN, STATUS_TOKEN, isAllowed] of cases) {
    const problems = problemsOf(() => load({ STATUS_LISTEN, STATUS_TOKEN }));
    assert.equal(problems.length === 0, isAllowed, `${STATUS_LISTEN} ${problems}`);
    if (!isAllowed) {
      assert.equal(
        problems[0],
        `Cannot serve the status page at ${STATUS_LISTEN}: others than this machine could read ` +
          "it (set STATUS_TOKEN, or listen at 127.0.0.1)",
      );
    }
  }
});

Deno.test("a token is never printed", () => {
  const told = [
    ...problemsOf(() => load({ STATUS_TOKEN: "hunter2" })),
    ...load({ STATUS_TOKNE: "hunter2hunter2hunter2" }).warnings,
    ...problemsOf(() => load({}, { statusToken: "hunter2 hunter2 hunter2" })),
    showConfig(load({ STATUS_TOKEN: "hunter2hunter2hunter2" })),
  ];
  assert.equal(told.length, 4);
  assert.doesNotMatch(told.join("\n"), /hunter2/);
  assert.match(told[0], /^Cannot use STATUS_TOKEN=…: expected 16 or more printable characters, /);
  // The name of a file is no secret.
  const path = "file:/etc/btblocker/token";
  assert.match(showConfig(load({ STATUS_TOKEN: path })), /status_token = "file:\/etc\/btblocker/);
});
