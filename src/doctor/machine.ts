/** Facts about the machine and this process that several checks ask for; missing files are null. */

/** The text of a file (of /proc, /sys), or null. */
export function readText(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}

/** A number in a file, such as a setting below /proc/sys; null where there is none. */
export function readNumber(path: string): number | null {
  const text = readText(path)?.trim();
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

/** The kernel's release: `6.1.0-18-amd64`; empty where /proc is closed to us. */
export function kernelRelease(): string {
  return readText("/proc/sys/kernel/osrelease")?.trim() ?? "";
}

/** Whether a release is of version `major.minor` or later. */
export function isAtLeast(release: string, major: number, minor: number): boolean {
  const [, itsMajor, itsMinor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  if (itsMajor === undefined) return false;
  return Number(itsMajor) > major || (Number(itsMajor) === major && Number(itsMinor) >= minor);
}

/** Numbers of capabilities (linux/capability.h). */
export const CAPABILITIES = {
  CAP_DAC_OVERRIDE: 1,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;
export type Capability = keyof typeof CAPABILITIES;

/** The effective capabilities in the text of /proc/PID/status. */
export function readCapabilities(status: string): Set<Capability> {
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  const names = Object.keys(CAPABILITIES) as Capability[];
  return new Set(names.filter((name) => (bits >> BigInt(CAPABILITIES[name]) & 1n) === 1n));
}

export function capabilities(): Set<Capability> {
  return readCapabilities(readText("/proc/self/status") ?? "");
}

/** Whether this process is in a user namespace of its own (a rootless container). */
export function isInUserNamespace(): boolean {
  const map = readText("/proc/self/uid_map")?.trim().split(/\s+/).map(Number);
  // The initial one maps all 2^32 - 1 ids to themselves.
  return map !== undefined && !(map[0] === 0 && map[1] === 0 && map[2] === 0xffff_ffff);
}

/** What a command says for `--version`, its first line; null where it is not there or fails. */
export async function versionOf(command: string): Promise<string | null> {
  return (await outputOf(command, ["--version"]))?.split("\n")[0].trim() ?? null;
}

const COMMAND_TIMEOUT_MS = 5_000;

/** Standard output of a command; null where it is not there or fails. */
export async function outputOf(command: string, args: readonly string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(command, {
      args: [...args],
      cwd: "/", // ours may be gone, or closed to this user
      stdin: "null",
      stderr: "null",
      env: { LC_ALL: "C", PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` },
      signal: AbortSignal.timeout(COMMAND_TIMEOUT_MS),
    }).output();
    return success ? new TextDecoder().decode(stdout) : null;
  } catch {
    return null;
  }
}
