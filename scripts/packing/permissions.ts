/** How Deno runs a packed program, whichever packer made it: from its files alone, and what it may do. */

/** Whatever settings, lock files and packages lie around it. */
export const ALONE = ["--no-config", "--no-lock", "--no-npm"] as const;

/**
 * The blocker reads /proc and /sys, which Deno allows to a program that may do everything and to no
 * other: denying or leaving out a single permission takes them away (docs/permissions.md). What
 * holds it is its capabilities and the unit's sandbox. Code from elsewhere is kept out by the flags
 * `--no-remote` and `--cached-only`.
 */
export const BLOCKER_PERMISSIONS = ["--no-prompt", "--allow-all"] as const;

/** Where only `analyze` works, only files are needed: captures to read, detections to write. */
export const ANALYZE_PERMISSIONS = [
  "--no-prompt",
  "--allow-env",
  "--allow-read",
  "--allow-write",
  "--deny-import",
] as const;
