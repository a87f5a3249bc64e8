/** Loading settings in tests. */
import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import type { OptionName } from "../../src/config/options.ts";
import { UsageError } from "../../src/errors.ts";

/** There is no such file. */
export const NO_FILE = "/nonexistent/btblocker.toml";

/** Settings from these and nothing else: no file, no variable of the process. */
export function load(
  variables: Record<string, string> = {},
  flags: Partial<Record<OptionName, string>> = {},
) {
  return loadConfig({ variables, flags, defaultConfigPath: NO_FILE });
}

/** What is wrong with settings, a line each; none where they are taken. */
export function problemsOf(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.split("\n");
  }
  return [];
}

/** A file of settings for as long as `act` runs. */
export function withFile(toml: string, act: (path: string) => void): void {
  const path = Deno.makeTempFileSync({ suffix: ".toml" });
  try {
    Deno.writeTextFileSync(path, toml);
    act(path);
  } finally {
    Deno.removeSync(path);
  }
}
