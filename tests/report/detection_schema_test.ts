/** docs/detection.schema.json against what is written: log, API, webhook, `analyze --json`. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { METHODS } from "../../src/protocols/match.ts";
import { detectionJson } from "../../src/report/detection_json.ts";
import { jsonEntry } from "../../src/report/detection_text.ts";
import { DetectionHistory } from "../../src/status/history.ts";
import { SOURCES } from "../../src/who/person.ts";
import { btblocker } from "../cli/command_line.ts";
import { record } from "./detection_fixture.ts";

const SCHEMA = JSON.parse(
  Deno.readTextFileSync(new URL("../../docs/detection.schema.json", import.meta.url)),
);
const ajv = new Ajv2020({
  strict: true,
  strictRequired: false,
  strictTypes: false,
  allErrors: true,
});
ajv.addSchema(SCHEMA, "detection");

function check(shape: string, value: unknown): void {
  const validate = ajv.getSchema(`detection#/$defs/${shape}`)!;
  assert(validate(value), `${JSON.stringify(value)}: ${ajv.errorsText(validate.errors)}`);
}

const HASH = "a".repeat(40);
const WHO = { address: "10.8.0.5", source: "wireguard", id: "K=", name: "alice" } as const;

Deno.test("the schema knows every method and every source of names", () => {
  assert.deepEqual(SCHEMA.$defs.found.properties.method.enum, [...METHODS]);
  assert.deepEqual(SCHEMA.$defs.who.properties.source.enum, [...SOURCES]);
});

for (
  const [name, one] of [
    ["a dropped one", record()],
    ["one with a person and a hash", record({ who: WHO }, { infoHash: HASH })],
    ["a monitored one", record({ action: "monitored", bans: [] }, { client: null })],
  ] as const
) {
  Deno.test(`the schema describes ${name}: log, page, webhook`, () => {
    check("logged", JSON.parse(jsonEntry(one)));
    const history = new DetectionHistory();
    history.add(0, one);
    check("shown", JSON.parse(JSON.stringify(history.recent[0])));
    check("record", JSON.parse(JSON.stringify(detectionJson(one))));
  });
}

Deno.test("the schema refuses what is none", () => {
  const validate = ajv.getSchema("detection#/$defs/record")!;
  assert.equal(validate({ ...detectionJson(record()), method: "guess" }), false);
  assert.equal(validate({ ...detectionJson(record()), info_hash: "AA" }), false);
});

Deno.test("the schema describes every detection of analyze", async () => {
  const captures = fileURLToPath(new URL("../captures", import.meta.url));
  const { stdout } = await btblocker(["analyze", "--json", captures]);
  const rows = stdout.trim().split("\n").map((line) => JSON.parse(line))
    .filter(({ type }) => type === "detection");
  assert(rows.length > 50);
  for (const row of rows) check("analysed", row);
});
