/** Where settings come from, which source wins, and what does not go together. */
import assert from "node:assert/strict";
import { compareConfigs, loadConfig, showConfig, variablesOf } from "../../src/config/load.ts";
import { load, NO_FILE, problemsOf, withFile } from "./loading.ts";

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
