/** Running the tools that packing needs. */
import { fileURLToPath } from "node:url";

/** The checkout, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A build that cannot go on, in words for the one who builds. */
export class BuildError extends Error {
  override readonly name: string = "BuildError";
}

/** An argument whose value cannot be used. */
export class UsageError extends BuildError {
  override readonly name = "UsageError";
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** Runs a command; gives what it printed on both outputs, and whether it succeeded. */
export async function run(
  command: readonly string[],
  options: RunOptions = {},
): Promise<{ success: boolean; text: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command[0], {
      args: command.slice(1),
      stdin: "null",
      cwd: options.cwd ?? ROOT,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env },
    }).output();
    const decoder = new TextDecoder();
    return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new BuildError(`Cannot run ${command[0]}: it is not installed`);
  }
}

/** Runs a command that must succeed; `action` completes the sentence "Cannot ...". */
export async function runOrFail(
  action: string,
  command: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { success, text } = await run(command, options);
  if (!success) throw new BuildError(`Cannot ${action}: ${text.trim()}`);
  return text;
}

/**
 * A file that is there whole or not at all: written beside its place and renamed. Where there was one, it
 * may be running.
 *
 * @param write writes the file of the name that it gets
 */
export async function writeWhole(
  path: string,
  write: (unfinished: string) => Promise<unknown>,
): Promise<void> {
  const unfinished = `${path}.new`;
  try {
    await write(unfinished);
    await Deno.rename(unfinished, path);
  } catch (error) {
    await Deno.remove(unfinished).catch(() => {}); // it may not have come to that
    throw error;
  }
}

/** The body of a script: prints a BuildError's message alone, and gives the exit code. */
export async function script(body: () => Promise<void>): Promise<never> {
  try {
    await body();
  } catch (error) {
    const isExpected = error instanceof BuildError || error instanceof RangeError ||
      error instanceof TypeError;
    console.error(isExpected ? error.message : error);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
  Deno.exit(0);
}
