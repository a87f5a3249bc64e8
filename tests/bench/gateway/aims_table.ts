/** The table of aims as docs/PERFORMANCE.md has it: what was measured as shipped, and whether it is reached. */

export interface AimRow {
  readonly what: string;
  /** With its unit, as it is; the routers beside it where the measure has them. */
  readonly here: string;
  readonly unfiltered?: string;
  readonly stateful?: string;
  /** Quotients, or what is added; empty where there is nothing to compare with. */
  readonly toUnfiltered?: string;
  readonly toStateful?: string;
  readonly aim: string;
  readonly isReached: boolean;
}

const COLUMNS = [
  "What",
  "Unfiltered",
  "Stateful",
  "btblocker",
  "To unfiltered",
  "To stateful",
  "Aim",
  "",
] as const;

/** Markdown, which `deno fmt` leaves as it is. */
export function aimsTable(rows: readonly AimRow[]): string {
  const cells = rows.map((row) => [
    ...[row.what.trim(), row.unfiltered ?? "", row.stateful ?? "", row.here],
    ...[row.toUnfiltered ?? "", row.toStateful ?? "", row.aim],
    row.isReached ? "reached" : "not reached",
  ]);
  const widths = COLUMNS.map((name, i) =>
    Math.max(3, name.length, ...cells.map((row) => row[i].length))
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((text, i) => text.padEnd(widths[i])).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(COLUMNS), rule, ...cells.map(line)].join("\n");
}
