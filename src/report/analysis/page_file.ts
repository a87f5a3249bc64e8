/** The file that a page is written to: whole or not at all. */
import { basename, dirname, join } from "node:path";
import { EnvironmentError } from "../../errors.ts";
import { printable } from "../../text.ts";

/** It holds what people sent: for its owner only. */
const MODE = 0o600;
const PAGE_BEGINS = "<!DOCTYPE html>";

export class PageFile {
  readonly #path: string;
  readonly #directory: string;
  readonly #temporary: string;

  /**
   * Tries at once whether `path` can be written, and leaves it as it is.
   *
   * @throws EnvironmentError when it cannot, or when something else than a page is there: a capture
   * named by mistake shall not be lost
   */
  constructor(path: string) {
    this.#path = targetOf(path);
    this.#directory = dirname(this.#path);
    const random = crypto.randomUUID().slice(0, 8);
    this.#temporary = join(this.#directory, `.${basename(this.#path)}.${random}.tmp`);
    attempt(path, () => {
      Deno.openSync(this.#temporary, { write: true, createNew: true, mode: MODE }).close();
      Deno.removeSync(this.#temporary);
    });
  }

  /**
   * Writes the page beside its place and moves it there.
   *
   * @throws EnvironmentError
   */
  write(html: string): void {
    attempt(this.#path, () => {
      try {
        Deno.writeTextFileSync(this.#temporary, html, { createNew: true, mode: MODE });
        Deno.renameSync(this.#temporary, this.#path);
      } catch (error) {
        removeIfThere(this.#temporary);
        throw error;
      }
    });
  }
}

/** Where a link leads; what is there must be a page. */
function targetOf(path: string): string {
  if (path === "" || path === "-" || path.endsWith("/")) {
    throw new EnvironmentError(cannot(path, "this names no file"));
  }
  return attempt(path, () => {
    let target: string;
    try {
      target = Deno.realPathSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return path;
      throw error;
    }
    const info = Deno.statSync(target);
    if (info.isDirectory) throw new EnvironmentError(cannot(path, "it is a directory"));
    if (!info.isFile) throw new EnvironmentError(cannot(path, "it is no regular file"));
    if (info.size > 0 && !beginsAsPage(target)) {
      throw new EnvironmentError(
        cannot(path, "something else than a page is there"),
        "name another file, or remove it",
      );
    }
    return target;
  });
}

function beginsAsPage(path: string): boolean {
  using file = Deno.openSync(path);
  const start = new Uint8Array(PAGE_BEGINS.length);
  const length = file.readSync(start) ?? 0;
  const text = new TextDecoder().decode(start.subarray(0, length));
  return text.toLowerCase() === PAGE_BEGINS.toLowerCase();
}

function attempt<Result>(path: string, step: () => Result): Result {
  try {
    return step();
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    if (error instanceof Deno.errors.NotCapable) {
      throw new EnvironmentError(
        cannot(path, "Deno was not allowed to write there"),
        "add --allow-write for its directory, or use deno task btblocker",
      );
    }
    throw new EnvironmentError(cannot(path, describe(error)));
  }
}

function cannot(path: string, why: string): string {
  return `Cannot write the report ${printable(path)}: ${why}`;
}

function describe(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such directory";
  if (error instanceof Deno.errors.NotADirectory) return "no such directory";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return error instanceof Error ? error.message : String(error);
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // it was never made, or the disk is gone
  }
}
