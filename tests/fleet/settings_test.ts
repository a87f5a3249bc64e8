import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { UsageError } from "../../src/errors.ts";
import { fleetSettings, reports, takesOver } from "../../src/fleet/settings.ts";

function settings(variables: Record<string, string>) {
  return fleetSettings(
    loadConfig({ variables, defaultConfigPath: "/nonexistent/config.toml" }).config,
  );
}

const URL = { FLEET_URL: "https://lapi.example:8080" };
const LOGIN = { FLEET_LOGIN: "gw-1", FLEET_PASSWORD: "password" };
const KEY = { FLEET_KEY: "key" };
const CERT = { FLEET_CERT: "/etc/gw.pem", FLEET_CERT_KEY: "/etc/gw.key" };

const cases: readonly [
  name: string,
  variables: Record<string, string>,
  reports: boolean,
  takesOver: boolean,
][] = [
  ["a machine and a bouncer", { ...URL, ...LOGIN, ...KEY }, true, true],
  ["a machine alone", { ...URL, ...LOGIN }, true, false],
  ["a bouncer alone", { ...URL, ...KEY }, false, true],
  ["both by certificate", { ...URL, ...CERT }, true, true],
];

for (const [name, variables, isMachine, isBouncer] of cases) {
  Deno.test(`fleetSettings(): ${name}`, () => {
    const found = settings(variables);
    assert.ok(found !== null);
    assert.equal(found.url, "https://lapi.example:8080/");
    assert.equal(reports(found), isMachine);
    assert.equal(takesOver(found), isBouncer);
  });
}

Deno.test("fleetSettings(): no fleet", () => assert.equal(settings({}), null));

Deno.test("secrets from files, as containers name them", () => {
  const variables = {
    ...URL,
    FLEET_LOGIN: "gw-1",
    FLEET_PASSWORD_FILE: "/run/secrets/password",
    FLEET_KEY_FILE: "/run/secrets/key",
  };
  const found = settings(variables);
  assert.equal(found?.password, "file:/run/secrets/password");
  assert.equal(found?.key, "file:/run/secrets/key");
});

const wrong: readonly [variables: Record<string, string>, RegExp][] = [
  [KEY, /without FLEET_URL/],
  [LOGIN, /without FLEET_URL/],
  [URL, /without a right to/],
  [{ ...URL, ...KEY, FLEET_LOGIN: "gw-1" }, /FLEET_LOGIN and FLEET_PASSWORD/],
  [{ ...URL, ...KEY, FLEET_PASSWORD: "x" }, /FLEET_LOGIN and FLEET_PASSWORD/],
  [{ ...URL, FLEET_CERT: "/etc/gw.pem" }, /FLEET_CERT and FLEET_CERT_KEY/],
  [{ ...CERT, FLEET_URL: "http://lapi.example:8080" }, /expected an address with https/],
];

for (const [variables, problem] of wrong) {
  Deno.test(`fleetSettings() refuses ${Object.keys(variables).join(", ")}`, () => {
    assert.throws(() => settings(variables), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, problem);
      assert.ok(!error.message.includes("password"), "no secret is told");
      return true;
    });
  });
}
