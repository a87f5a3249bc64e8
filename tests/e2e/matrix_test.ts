/** The quick rows of the client matrix; all of them: `deno task matrix`. */

import assert from "node:assert/strict";
import { CLIENTS, labImpossible, programPresent } from "../lab/lab.ts";
import { isBlocked, type Row, rowName, runRow } from "./matrix/row.ts";
import { QUICK_ROWS } from "./matrix/rows.ts";

const impossible = labImpossible();
/** Shorter than in the whole matrix, where a stopped transfer is watched for a minute. */
const WATCH_MS = 10_000;

/** Verified bytes of pieces of 32 KiB, four seeders on a link without delay. */
const MOST_OF_LIBTORRENT = 128 << 10;

function isEncryptedAlone({ seeder, mode, discovery, midTransfer }: Row): boolean {
  return seeder === "libtorrent" && mode === "mse-rc4" && discovery === "direct" && !midTransfer;
}

for (const row of QUICK_ROWS) {
  const missing = impossible === null &&
    [row.seeder, row.leecher].some((client) => !programPresent(CLIENTS[client].program));
  Deno.test({
    name: `matrix: ${rowName(row)}${missing ? " (client missing)" : ""}`,
    ignore: impossible !== null || missing,
    async fn() {
      const result = await runRow(row, WATCH_MS);
      // A seed of libtorrent's writes four blocks at once. What it has shown by then is enough beside the
      // handshake of another, which comes some milliseconds too late in one run of five: README's limits.
      const most = isEncryptedAlone(row) ? MOST_OF_LIBTORRENT : 0;
      const isStopped = isBlocked({ ...result, bytes: Math.max(0, result.bytes - most) });
      assert.ok(isStopped, JSON.stringify(result, null, 2));
    },
  });
}
