/**
 * The client matrix: every row of rows.ts with real clients in network namespaces, as a table.
 *
 *     deno task matrix [--quick] [--jobs 2] [--minutes 50] [--fetch] [--markdown docs/CLIENT-MATRIX.md] [WORD…]
 *
 * `--fetch` gets WebTorrent from npm, and makes a Debian 13 with debootstrap for its versions of the
 * clients, where they are not there yet (minutes, 1 GB); else their rows are left out.
 * Words choose the rows whose name holds all of them. After `--minutes` no further row is begun, and
 * the table names those left out. Exit status 1 when something got through.
 */

import { commandLine, numberOf } from "../../../scripts/arguments.ts";
import { fetchWebtorrent, makeTrixie } from "../../lab/cache.ts";
import { CLIENTS, labImpossible, programPresent } from "../../lab/lab.ts";
import { ALL_ROWS, QUICK_ROWS } from "./rows.ts";
import { type Row, rowName, type RowResult, runRow } from "./row.ts";
import { COLUMNS, heading, outcome, type Skipped, summarize, table } from "./table.ts";

const USAGE =
  "deno task matrix [--quick] [--jobs 2] [--minutes 600] [--fetch] [--markdown FILE] [WORD…]";
const { values, words } = commandLine(USAGE, {
  quick: { type: "boolean", default: false },
  jobs: { type: "string", default: "2" },
  minutes: { type: "string", default: "600" },
  fetch: { type: "boolean", default: false },
  markdown: { type: "string" },
}, Infinity);
const mostMinutes = numberOf("--minutes", values.minutes, USAGE);
const jobs = numberOf("--jobs", values.jobs, USAGE);
const impossible = labImpossible();
if (impossible !== null) {
  console.error(`Cannot run the matrix: ${impossible}`);
  Deno.exit(1);
}

if (values.fetch) {
  // Each by itself: what cannot be had is named with its rows.
  for (const get of [fetchWebtorrent, makeTrixie]) {
    await get().catch((error) => console.error(`Cannot fetch: ${error.message}`));
  }
}
const began = performance.now();
const minutes = () => (performance.now() - began) / 60_000;

/** Why a row cannot run here, or null. */
function missing(row: Row): string | null {
  for (const name of [row.seeder, row.leecher]) {
    const { program } = CLIENTS[name];
    if (!programPresent(program)) return `${program} is not there`;
  }
  return null;
}

const chosen = (values.quick ? QUICK_ROWS : ALL_ROWS).filter((row) =>
  words.every((word) => rowName(row).includes(word))
);
const skipped: [Row, string][] = [];
const waiting: [number, Row][] = [];
for (const [index, row] of chosen.entries()) {
  const reason = missing(row);
  if (reason === null) waiting.push([index, row]);
  else skipped.push([row, reason]);
}
const results: RowResult[] = [];

async function worker(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [index, row] = next;
    if (minutes() > mostMinutes) {
      skipped.push([row, `not begun within ${mostMinutes} minutes`]);
      continue;
    }
    let result = await runRow(row);
    // A client that did not start on a busy machine says nothing about the blocker.
    if (result.problem !== undefined) result = await runRow(row);
    results[index] = result;
    console.log(`${Math.round(minutes())} min, ${waiting.length} to go: ${describe(result)}`);
    await write();
  }
}
await Promise.all(Array.from({ length: jobs }, worker));

const done = results.filter((result) => result !== undefined);
console.log(`\n${table(done)}\n${sums(done)}`);
for (const [row, reason] of skipped) console.log(`not run: ${rowName(row)}: ${reason}`);
const { through, problems } = summarize(done);
Deno.exit(through + problems > 0 ? 1 : 0);

function describe(result: RowResult): string {
  const { row, bytes, lateBytes, wireBytes, methods } = result;
  const counts = row.midTransfer
    ? `${bytes} bytes verified, ${lateBytes} late`
    : `${bytes} verified`;
  return `${rowName(row)}: ${outcome(result)}, ${counts}, ${wireBytes} on the wire (${
    methods.join(", ")
  })`;
}

function sums(all: readonly RowResult[]): string {
  const { blocked, through, unproven, problems } = summarize(all);
  return `${all.length} rows: ${blocked} blocked, ${through} let through, ${unproven} prove ` +
    `nothing (they do not complete without btblocker either, or nothing was seen), ${problems} failed in the laboratory.`;
}

/** After each row: a matrix that is cut off leaves what it has. */
async function write(): Promise<void> {
  if (values.markdown === undefined) return;
  const all = results.filter((result) => result !== undefined);
  const text = [heading(), COLUMNS, sums(all), "", table(all), notRun(skipped)].join("\n");
  await Deno.writeTextFile(values.markdown, text);
}

function notRun(rows: Skipped): string {
  if (rows.length === 0) return "";
  const lines = rows.map(([row, reason]) => `- ${rowName(row)}: ${reason}`);
  return `\n## Not run\n\n${lines.join("\n")}\n`;
}
