/** `btblocker demo`: runs it and prints its table. */
import { type DemoRow, runDemo } from "../demo/demo.ts";
import type { Attempt } from "../demo/user.ts";
import { formatBytes } from "../text.ts";

export interface DemoOptions {
  json: boolean;
}

/** Exit code 1 when something was not as it should be. */
export async function demo({ json }: DemoOptions): Promise<number> {
  const { client, rows, good, log } = await runDemo((line) => json || console.log(line));
  if (json) console.log(JSON.stringify({ client, rows, good }));
  else printTable(rows, good, log);
  return good ? 0 : 1;
}

function printTable(rows: readonly DemoRow[], good: boolean, log: string): void {
  const cells = rows.map((row) => [
    row.traffic,
    amount(row, row.without),
    amount(row, row.with),
    row.detected ?? (row.isBitTorrent ? "not detected" : "untouched"),
  ]);
  const table = [["TRAFFIC", "WITHOUT", "WITH BTBLOCKER", "DETECTED"], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column].length)));
  console.log("");
  for (const row of table) {
    console.log(
      `  ${row.slice(0, 3).map((cell, i) => cell.padEnd(widths[i])).join("  ")}  ${row[3]}`,
    );
  }
  console.log("");
  console.log(
    good
      ? "No torrent byte passed, and the download did not notice. Everything is removed again."
      : `Not as it should be. The blocker said:\n${log}`,
  );
}

function amount(row: DemoRow, attempt: Attempt): string {
  if (row.unit === "answers") return `${attempt.received} of ${row.whole} answers`;
  const size = formatBytes(attempt.received);
  if (attempt.complete) return `${size}, checksum right`;
  return attempt.received === 0 ? "0 bytes" : `${size} of ${formatBytes(row.whole)}`;
}
