/** What this process may do. */
import { EnvironmentError } from "../errors.ts";

const CAP_NET_ADMIN = 12;

/** Throws when this process lacks the right that everything here needs. */
export function requireNetAdmin(): void {
  let effective: bigint;
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  } catch {
    return; // no such file: the kernel will say what is missing
  }
  if ((effective >> BigInt(CAP_NET_ADMIN) & 1n) === 1n) return;
  throw new EnvironmentError(
    "Cannot guard this machine: the right to administer its network is missing",
    "grant CAP_NET_ADMIN or run as root",
  );
}
