/** What is told to check, by what went wrong. */
import assert from "node:assert/strict";
import { FleetError } from "../../src/fleet/lapi.ts";
import { Voice } from "../../src/fleet/voice.ts";
import { FakeLapi } from "./fake_lapi.ts";

const ROWS: [name: string, error: Error, hint: RegExp | null][] = [
  [
    "a certificate that is not trusted",
    new FleetError("invalid peer certificate: UnknownIssuer", "forbidden"),
    /check FLEET_CA, FLEET_CERT, FLEET_CERT_KEY\)/,
  ],
  [
    "a wrong password",
    new FleetError("it answers 401, incorrect password", "forbidden", 401),
    /check FLEET_LOGIN, FLEET_PASSWORD, FLEET_KEY, FLEET_CERT\)/,
  ],
  ["nobody there", new FleetError("tcp connect error", "away"), null],
];

for (const [name, error, hint] of ROWS) {
  Deno.test(`the hint of the fleet: ${name}`, async () => {
    await using api = new FakeLapi();
    const messages: string[] = [];
    const log = (_: string, message: string) => void messages.push(message);
    const voice = new Voice(log, "reports its bans to", api.settings());
    voice.trouble(error, "1 ban waits");
    voice.trouble(error, "1 ban waits");
    assert.equal(messages.length, 1);
    if (hint === null) assert.doesNotMatch(messages[0], /check/);
    else assert.match(messages[0], hint);
  });
}
