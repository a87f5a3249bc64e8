/** Errors that end a command with one clear line: "Cannot …: why (what to do)". */

/** The machine does not allow it: rights, libraries, kernel, another program. Exit code 1. */
export class EnvironmentError extends Error {
  override readonly name: string = "EnvironmentError";
  /** What to do about it, without parentheses; part of the message already. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, options?: ErrorOptions) {
    super(hint === undefined ? message : `${message} (${hint})`, options);
    this.hint = hint;
  }
}

/** The request is wrong: an unknown option, a value out of range. Exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** Why a file cannot be read, in words: Deno's own name the system call and say the path again. */
export function describeReadError(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  return error instanceof Error ? error.message : String(error);
}
