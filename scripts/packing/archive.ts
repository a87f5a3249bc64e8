/**
 * Archives of which every byte follows from their contents: ustar (POSIX.1-1988, "ustar Interchange
 * Format") and gzip without names or times of its own.
 */
import { gzipSync } from "node:zlib";
import { createHash } from "node:crypto";

export interface ArchiveEntry {
  /** Relative path, at most 100 bytes; directories end in a slash. */
  path: string;
  bytes: Uint8Array;
  mode: number;
}

const BLOCK = 512;

/** A tar archive, entries sorted by path, owned by root, all of one time (seconds since 1970). */
export function tar(entries: readonly ArchiveEntry[], seconds: number): Uint8Array<ArrayBuffer> {
  const sorted = entries.toSorted((a, b) => a.path < b.path ? -1 : 1);
  const length = sorted.reduce((sum, { bytes }) => sum + BLOCK + roundUp(bytes.length), 2 * BLOCK);
  const archive = new Uint8Array(length);
  let at = 0;
  for (const entry of sorted) {
    archive.set(tarHeader(entry, seconds), at);
    archive.set(entry.bytes, at + BLOCK);
    at += BLOCK + roundUp(entry.bytes.length);
  }
  return archive;
}

function roundUp(length: number): number {
  return Math.ceil(length / BLOCK) * BLOCK;
}

function tarHeader({ path, bytes, mode }: ArchiveEntry, seconds: number): Uint8Array {
  const encoder = new TextEncoder();
  const name = encoder.encode(path);
  if (name.length > 100) throw new RangeError(`Cannot archive ${path}: the path is too long`);
  const header = new Uint8Array(BLOCK);
  const octal = (value: number, width: number) => value.toString(8).padStart(width, "0");
  const write = (at: number, text: string) => header.set(encoder.encode(text), at);
  header.set(name, 0);
  write(100, `${octal(mode, 7)}\0`);
  write(108, `${octal(0, 7)}\0`); // uid, gid: root
  write(116, `${octal(0, 7)}\0`);
  write(124, `${octal(bytes.length, 11)}\0`);
  write(136, `${octal(seconds, 11)}\0`);
  write(148, " ".repeat(8)); // the checksum counts itself as spaces
  write(156, path.endsWith("/") ? "5" : "0");
  write(257, "ustar\x0000");
  write(265, "root");
  write(297, "root");
  write(148, `${octal(header.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return header;
}

/** gzip at a level from 1 (fast) to 9 (small). */
export function gzip(bytes: Uint8Array, level: number): Uint8Array {
  return gzipSync(bytes, { level });
}

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Writes the file and, beside it, its checksum for `sha256sum -c`. */
export async function writeWithChecksum(path: string, bytes: Uint8Array): Promise<void> {
  await Deno.writeFile(path, bytes);
  const name = path.slice(path.lastIndexOf("/") + 1);
  await Deno.writeTextFile(`${path}.sha256`, `${sha256(bytes)}  ${name}\n`);
}
