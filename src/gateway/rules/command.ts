/** The commands of the system that read and change the firewall. */

import { EnvironmentError } from "../../errors.ts";

const TIMEOUT_MS = 15_000;

export interface Result {
  success: boolean;
  stdout: string;
  stderr: string;
}

/** Runs a command without a shell; one that is not there is a failure like another. */
export async function execute(
  command: string,
  args: readonly string[],
  input?: string,
): Promise<Result> {
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      cwd: "/", // ours may be gone, or closed to this user; none of the commands reads a relative path
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      env: { LC_ALL: "C", PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).spawn();
    const output = child.output();
    if (input !== undefined) {
      const writer = child.stdin.getWriter();
      // A command that fails early does not read its input; its own message says more.
      await writer.write(new TextEncoder().encode(input)).catch(() => {});
      await writer.close().catch(() => {});
    }
    const { success, stdout, stderr } = await output;
    const decoder = new TextDecoder();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { success: false, stdout: "", stderr: `${command} not found` };
    }
    throw error;
  }
}

/** A command of the system failed. */
export class CommandError extends EnvironmentError {
  constructor(message: string, hint: string | undefined, readonly stderr: string) {
    super(message, hint);
  }
}

/** @param action completes "Cannot …" */
export function commandFailure(action: string, stderr: string): CommandError {
  const reason = stderr.trim().split("\n")[0] || "it gave no reason";
  const hint = /permission denied|must be root/i.test(stderr)
    ? "grant CAP_NET_ADMIN or run as root"
    : undefined;
  return new CommandError(`Cannot ${action}: ${reason}`, hint, stderr);
}

/** The output of a command that must work. */
export async function run(
  command: string,
  args: readonly string[],
  input: string | undefined,
  action: string,
): Promise<string> {
  const { success, stdout, stderr } = await execute(command, args, input);
  if (!success) throw commandFailure(`${action} with ${command}`, stderr);
  return stdout;
}
