/** The builds under test: made once a test process, from the tree, with little compression. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { programEnvironment } from "../../src/demo/environment.ts";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const IS_LINUX = Deno.build.os === "linux";

export interface Ran {
  code: number;
  signal: string | null;
  text: string;
}

/** Runs a command with nothing of this process's environment but PATH. */
export async function run(
  command: readonly string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const { code, signal, stdout, stderr } = await new Deno.Command(command[0], {
    args: command.slice(1),
    cwd: ROOT,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, signal, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Runs a task's script; gives what it printed. Packages come the way they come here. */
export async function script(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const command = [Deno.execPath(), "run", "-A", "--quiet", `${ROOT}scripts/${name}`, ...args];
  return await run(command, { ...programEnvironment(Deno.env.toObject()), ...env });
}

let built: Promise<string> | undefined;

/** Path of a portable executable; its directory goes when the process ends. */
export function portableExecutable(): Promise<string> {
  return built ??= buildPortable();
}

async function buildPortable(): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-ship-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
  const path = `${directory}/btblocker`;
  const { code, text } = await script("portable.ts", ["--level", "1", "--output", path]);
  assert.equal(code, 0, text);
  return path;
}
