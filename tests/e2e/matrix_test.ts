/** The quick rows of the client matrix; all of them: `deno task matrix`. */

import assert from "node:assert/strict";
import { CLIENTS, labImpossible, programPresent } from "../lab/lab.ts";
import { isBlocked, rowName, runRow } from "./matrix/row.ts";
import { QUICK_ROWS } from "./matrix/rows.ts";

const impossible = labImpossible();
/** Shorter than in the whole matrix, where a stopped transfer is watched for a minute. */
const WATCH_MS = 10_000;

for (const row of QUICK_ROWS) {
  const missing = impossible === null &&
    [row.seeder, row.leecher].some((client) => !programPresent(CLIENTS[client].program));
  Deno.test({
    name: `matrix: ${rowName(row)}${missing ? " (client missing)" : ""}`,
    ignore: impossible !== null || missing,
    async fn() {
      const result = await runRow(row, WATCH_MS);
      assert.ok(isBlocked(result), JSON.stringify(result, null, 2));
    },
  });
}
