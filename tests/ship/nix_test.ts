/**
 * The NixOS module follows the option table, keeps the original's names, and evaluates. There is no
 * nixpkgs here: tests/ship/nix/eval.nix stands in for the parts of its library that are used.
 */

import assert from "node:assert/strict";
import { nixName, nixOptions } from "../../scripts/nix.ts";
import { OPTION_NAMES, OPTIONS } from "../../src/config/options.ts";
import { RUN_FLAGS } from "../../scripts/portable.ts";
import { ROOT, run } from "./build.ts";

const HAS_NIX = (await run(["sh", "-c", "command -v nix-instantiate"])).code === 0;
const needsNix = HAS_NIX ? "" : " (needs nix-instantiate, Debian's nix-bin)";

Deno.test("nix/options.nix is what the option table gives", async () => {
  assert.equal(await Deno.readTextFile(`${ROOT}nix/options.nix`), nixOptions());
});

Deno.test("the NixOS module has the original's names", () => {
  const names = OPTION_NAMES.map(nixName);
  const original = "interface queueNum chains banDuration logLevel detectionLogPath monitorOnly " +
    "xdpMode cleanupInterval whitelistPorts";
  for (const name of original.split(" ")) assert(names.includes(name), name);
});

Deno.test("the Nix package runs the program as the others do", async () => {
  const text = await Deno.readTextFile(`${ROOT}nix/package.nix`);
  const flags = Array.from(text.matchAll(/--add-flags "(--?[^"]*|run [^"]*)"/g), ([, one]) => one);
  assert.equal(flags.join(" ").replace(/^run /, ""), RUN_FLAGS);
});

async function nix(...args: string[]): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-nix-" });
  try {
    // What it warns of on standard error is no part of the JSON.
    const quietly = '"$@" 2>"$0/errors" || { cat "$0/errors"; exit 1; }';
    const command = ["sh", "-c", quietly, directory, "nix-instantiate", ...args];
    const { code, text } = await run(command, {
      HOME: directory,
      NIX_STATE_DIR: directory,
      NIX_STORE_DIR: `${directory}/store`,
    });
    assert.equal(code, 0, text);
    return text;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test({
  name: `the Nix files parse${needsNix}`,
  ignore: !HAS_NIX,
  fn: async () => {
    for (const name of ["flake", "nix/module", "nix/options", "nix/package"]) {
      await nix("--parse", `${ROOT}${name}.nix`);
    }
  },
});

interface Evaluated {
  options: Record<string, { default: unknown; type: string | null }>;
  config: {
    assertions: { assertion: boolean; message: string }[];
    systemd: { services: { btblocker: { environment: Record<string, string> } } };
  };
}

async function evaluate(settings: string): Promise<Evaluated> {
  const path = `/. + ${JSON.stringify(`${ROOT}tests/ship/nix/eval.nix`)}`;
  const expression = `import (${path}) { settings = { ${settings} }; }`;
  return JSON.parse(await nix("--eval", "--strict", "--json", "--expr", expression));
}

Deno.test({
  name: `the NixOS module evaluates${needsNix}`,
  ignore: !HAS_NIX,
  fn: async () => {
    const off = await evaluate("");
    assert.deepEqual(off.config, {});
    assert.deepEqual(off.options.chains.default, ["FORWARD"]);
    assert.equal(off.options.xdpMode.type, "one of auto, tc, generic, native, offload, off");
    assert.deepEqual(
      Object.keys(off.options).sort(),
      [...OPTION_NAMES.map(nixName), "enable", "package"].sort(),
    );
    const on = await evaluate(
      `enable = true; interface = "wg0,eth0"; banDuration = "5m"; monitorOnly = true; ` +
        `whitelistPorts = [ ]; chains = [ "INPUT" "OUTPUT" ]; queueCount = 2;`,
    );
    const { environment } = on.config.systemd.services.btblocker;
    const set = (name: string) => environment[name];
    assert.deepEqual(
      ["INTERFACE", "BAN_DURATION", "MONITOR_ONLY", "WHITELIST_PORTS", "CHAINS", "QUEUE_COUNT"]
        .map(set),
      ["wg0,eth0", "5m", "true", "", "INPUT,OUTPUT", "2"],
    );
    assert.equal(set("DETECTION_LOG"), undefined);
    assert.equal(set("FLEET_SPOOL"), "/var/lib/btblocker");
    assert(on.config.assertions.every(({ assertion }) => assertion));
    const noSpool = await evaluate(`enable = true; fleetSpool = "";`);
    assert.equal(noSpool.config.systemd.services.btblocker.environment.FLEET_SPOOL, "");
  },
});

const SECRETS = OPTION_NAMES.filter((name) => OPTIONS[name].kind.isSecret).map(nixName);

Deno.test({
  name: `the NixOS module refuses secrets in the store${needsNix}`,
  ignore: !HAS_NIX,
  fn: async () => {
    assert.deepEqual(SECRETS, ["webhookUrl", "statusToken", "fleetPassword", "fleetKey"]);
    const failing = async (value: string) => {
      const settings = SECRETS.map((name) => `${name} = "${value}";`).join(" ");
      const { config } = await evaluate(`enable = true; ${settings}`);
      return config.assertions.filter(({ assertion }) => !assertion).map(({ message }) => message);
    };
    const messages = (await failing("plain-text-in-the-store-of-32-char")).join("\n");
    for (const name of SECRETS) assert.match(messages, new RegExp(`btblocker\\.${name} would be`));
    assert.deepEqual(await failing("file:/etc/btblocker/secret"), []);
  },
});
