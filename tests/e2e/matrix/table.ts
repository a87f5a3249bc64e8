/** The client matrix as a table: docs/CLIENT-MATRIX.md. */

import { TRIXIE } from "../../lab/cache.ts";
import { isBlocked, rateName, type Row, type RowResult } from "./row.ts";

/** Rows that were not run, and why. */
export type Skipped = readonly (readonly [row: Row, reason: string])[];

/** A handshake and some messages, no block. */
const UNSEEN_BYTES = 16_384;

export interface Summary {
  blocked: number;
  through: number;
  unproven: number;
  problems: number;
}

/** What neither came through nor was found shows nothing either way. */
function isUnseen({ completes, wireBytes, bytes, methods }: RowResult): boolean {
  return completes && methods.length === 0 && bytes === 0 && wireBytes < UNSEEN_BYTES;
}

export function summarize(results: readonly RowResult[]): Summary {
  const blocked = results.filter(isBlocked).length;
  const problems = results.filter(({ problem }) => problem !== undefined).length;
  const failed = results.filter(({ completes }) => !completes).length - problems;
  const unproven = failed + results.filter(isUnseen).length;
  const through = results.length - blocked - unproven - problems;
  return { blocked, through, unproven, problems };
}

/** What became of a row, in words. */
export function outcome(result: RowResult): string {
  if (result.problem !== undefined) {
    return `laboratory: ${result.problem.split("\n")[0].slice(0, 80)}`;
  }
  if (!result.completes) return "does not complete without btblocker";
  if (isBlocked(result)) return "blocked";
  return isUnseen(result) ? "nothing came, nothing was seen" : "**let through**";
}

const HEAD = [
  "Seeder",
  "Leecher",
  "Mode",
  "Peers by",
  "IP",
  "Seeders",
  "Settings",
  "Without",
  "With btblocker",
  "Verified",
  "On the wire",
  "Seen as",
];

function cells(result: RowResult): string[] {
  const { row, completes, seconds, bytes, lateBytes, wireBytes, methods } = result;
  const rate = row.rate === undefined ? "" : ` of ${rateName(row.rate)}`;
  const settings = Object.entries(row.settings ?? {}).map((pair) => pair.join("="));
  const measured = completes && result.problem === undefined;
  return [
    row.seeder,
    row.leecher,
    row.midTransfer ? `${row.mode}, running` : row.mode,
    row.proxy === undefined ? row.discovery : `${row.discovery}, ${row.proxy}`,
    String(row.family),
    `${row.seeders}${rate}`,
    settings.join(", "),
    measured ? `${seconds.toFixed(1)} s` : "–",
    outcome(result),
    measured ? row.midTransfer ? `${bytes}, late ${lateBytes}` : String(bytes) : "–",
    measured ? String(wireBytes) : "–",
    methods.join(", "),
  ];
}

export function table(results: readonly RowResult[]): string {
  const format = (line: readonly string[]) => `| ${line.join(" | ")} |`;
  return [HEAD, HEAD.map(() => "---"), ...results.map(cells)].map(format).join("\n") + "\n";
}

/** What `isBlocked` asks for, and what the columns count. */
export const COLUMNS = `
"Without" is the time to a complete download of 1 MiB without btblocker. "Verified" are bytes of
whole and right pieces on the leecher's disk. "On the wire" is the payload of TCP and UDP that
reached the leecher from its peers, counted by netfilter on the leecher's side of the gateway:
connections that were opened before anything could be known, handshakes, and whatever else came
through, tracker and DHT nodes left out.

A row is blocked when something is seen and nothing is verified. Of a lone encrypted peer that is
another program's, or behind a proxy, nothing is known but the lengths of its messages: there at most 128 KiB may have come over the wire. "running"
rows start btblocker when a quarter has come, of 4 MiB at 50 kB/s from each of several seeders, of
2 MiB at 100 kB/s from one; both counts begin when it guards, "late" is what was verified later than five
seconds after that, in 30 seconds, and the row is blocked when that is nothing.
`;

const PACKAGES = [
  ...["transmission-daemon", "qbittorrent-nox", "aria2", "rtorrent", "deluged"],
  ...["python3-libtorrent", "ktorrent", "ctorrent", "biglybt"],
];

/** What is installed of the clients, in a root. */
function versions(root: string): string {
  const format = ["-f", "${db:Status-Abbrev}${Package} ${Version}\\n"];
  const { stdout } = new Deno.Command("dpkg-query", {
    args: [`--admindir=${root}/var/lib/dpkg`, "-W", ...format, ...PACKAGES],
    stderr: "null",
  }).outputSync();
  return new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.startsWith("ii ")).map((line) => line.slice(3)).join(", ");
}

/** Title, date and versions. */
export function heading(): string {
  const date = new Date().toISOString().slice(0, 10);
  return `# Real clients through btblocker

Made by \`deno task matrix --fetch\` on ${date} with ${versions("")}, WebTorrent 3.0.21; in a root
of Debian 13 (trixie) ${versions(TRIXIE) || "none"}; Linux ${Deno.osRelease()}.`;
}
