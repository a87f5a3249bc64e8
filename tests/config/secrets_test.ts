/** Nothing that a problem, a warning or `showConfig()` says tells a secret. */
import assert from "node:assert/strict";
import { loadConfig, showConfig } from "../../src/config/load.ts";
import { load, problemsOf, withFile } from "./loading.ts";

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
