/** What a packed program may do. */

/**
 * The blocker reads and writes files, listens for its own commands and the status page, runs the
 * firewall's tools and calls C libraries, which is as much as everything. What is left out is code
 * from elsewhere: nothing is imported that was not packed.
 */
export const BLOCKER_PERMISSIONS = [
  "--no-prompt",
  "--allow-env",
  "--allow-ffi",
  "--allow-net",
  "--allow-read",
  "--allow-run",
  "--allow-sys",
  "--allow-write",
  "--deny-import",
] as const;

/** Where only `analyze` works, only files are needed: captures to read, a detection log to write. */
export const ANALYZE_PERMISSIONS = [
  "--no-prompt",
  "--allow-env",
  "--allow-read",
  "--allow-write",
  "--deny-import",
] as const;
