/** Runs btblocker as its users do: as a process of its own. */
import { fileURLToPath } from "node:url";
import { programEnvironment } from "../../src/demo/environment.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Added to an environment that holds nothing of ours. */
  env?: Record<string, string>;
  stdin?: Uint8Array;
  /** Permissions instead of all (`--allow-read`). */
  permissions?: string[];
}

export async function btblocker(args: string[], options: RunOptions = {}): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...options.permissions ?? ["-A"], MAIN, ...args],
    env: { NO_COLOR: "1", ...programEnvironment(Deno.env.toObject()), ...options.env },
    clearEnv: true,
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(options.stdin as Uint8Array<ArrayBuffer>);
    await writer.close();
  }
  const { code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
