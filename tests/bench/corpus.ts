/** What the benchmarks measure on. */
import { fileURLToPath } from "node:url";

/** Paths of the captures that a directory's `labels.json` calls clean, and of the others. */
export function corpusFiles(
  directory = fileURLToPath(new URL("../captures", import.meta.url)),
): { clean: string[]; torrent: string[] } {
  const labels: { file: string; label: string }[] = JSON.parse(
    Deno.readTextFileSync(`${directory}/labels.json`),
  );
  const files = { clean: [] as string[], torrent: [] as string[] };
  for (const { file, label } of labels) {
    const path = [`${directory}/${file}`, `${directory}/pcap/${file}`].find(isFile);
    if (path === undefined) throw new Error(`Cannot find ${file} in ${directory}`);
    (label === "clean" ? files.clean : files.torrent).push(path);
  }
  return files;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The middle of the values; for benchmarks, which quote medians. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
