/**
 * The client matrix: every row of rows.ts with real clients in network namespaces, as a table.
 *
 *     deno task matrix [--quick] [--jobs 2] [--markdown docs/client_matrix.md] [WORD…]
 *
 * Words choose the rows whose name holds all of them. Exit status 1 when something got through.
 */

import { parseArgs } from "node:util";
import { CLIENTS, labImpossible, programPresent } from "../../lab/lab.ts";
import { ALL_ROWS, QUICK_ROWS } from "./rows.ts";
import { isBlocked, rowName, type RowResult, runRow } from "./row.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
    markdown: { type: "string" },
  },
});
const impossible = labImpossible();
if (impossible !== null) {
  console.error(`Cannot run the matrix: ${impossible}`);
  Deno.exit(1);
}

const rows = (values.quick ? QUICK_ROWS : ALL_ROWS).filter((row) =>
  positionals.every((word) => rowName(row).includes(word)) &&
  [row.seeder, row.leecher].every((client) => programPresent(CLIENTS[client].program))
);
const results: RowResult[] = [];
const waiting = [...rows.entries()];
const began = performance.now();
await Promise.all(Array.from({ length: Number(values.jobs) }, async () => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [index, row] = next;
    let result = await runRow(row);
    // A client that did not start on a busy machine says nothing about the blocker.
    if (result.problem !== undefined) result = await runRow(row);
    results[index] = result;
    const minutes = Math.round((performance.now() - began) / 60_000);
    console.log(`${minutes} min, ${waiting.length} to go: ${describe(result)}`);
  }
}));

const blocked = results.filter(isBlocked).length;
const problems = results.filter(({ problem }) => problem !== undefined).length;
const unproven = results.filter(({ completes }) => !completes).length - problems;
const through = results.length - blocked - unproven - problems;
const table = markdown(results);
console.log(`\n${table}`);
console.log(
  `${results.length} rows: ${blocked} blocked with 0 bytes, ${through} got something through, ` +
    `${unproven} do not complete without btblocker either, ${problems} failed in the laboratory`,
);
if (values.markdown !== undefined) {
  await Deno.writeTextFile(values.markdown, `${heading()}\n${table}`);
}
Deno.exit(through + problems > 0 ? 1 : 0);

function outcome(result: RowResult): string {
  if (result.problem !== undefined) return `laboratory: ${result.problem.split("\n")[0]}`;
  if (!result.completes) return "does not complete without btblocker";
  return result.bytes === 0 ? "blocked, 0 bytes" : `**${result.bytes} bytes**`;
}

function describe(result: RowResult): string {
  return `${rowName(result.row)}: ${outcome(result)} (${result.methods.join(", ")})`;
}

function markdown(all: readonly RowResult[]): string {
  const head = [
    "Seeder",
    "Leecher",
    "Mode",
    "Peers by",
    "IP",
    "Seeders",
    "Without",
    "With btblocker",
    "Seen as",
  ];
  const lines = all.map((result) => {
    const { seeder, leecher, mode, discovery, family, seeders, midTransfer } = result.row;
    const without = result.completes ? `${result.seconds.toFixed(1)} s` : "–";
    return [
      seeder,
      leecher,
      midTransfer ? `${mode}, running` : mode,
      discovery,
      family,
      seeders,
      without,
      outcome(result),
      result.methods.join(", "),
    ];
  });
  const format = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [format(head), format(head.map(() => "---")), ...lines.map(format)].join("\n") + "\n";
}

function heading(): string {
  const date = new Date().toISOString().slice(0, 10);
  const packages = [
    "transmission-daemon",
    "qbittorrent-nox",
    "aria2",
    "rtorrent",
    "deluged",
    "python3-libtorrent",
  ];
  const query = ["-W", "-f", "${Package} ${Version}\\n", ...packages];
  const { stdout } = new Deno.Command("dpkg-query", { args: query, stderr: "null" }).outputSync();
  const versions = new TextDecoder().decode(stdout).trim().split("\n").join(", ");
  return `# Real clients through btblocker

Made by \`deno task matrix\` on ${date} with ${versions}; Linux ${Deno.osRelease()}.

"Without" is the time to a complete download of 1 MiB without btblocker. "With btblocker" are the
leecher's verified bytes. "running" rows start btblocker in the middle of a transfer: the bytes are
those that arrived later than 3 seconds after its start, in 60 seconds.
`;
}
