/** What this process may do. */
import { EnvironmentError } from "../errors.ts";

const CAP_NET_ADMIN = 12;
const CAP_NET_RAW = 13;

/** Throws when this process lacks the right that everything here needs. */
export function requireNetAdmin(): void {
  if (mayHave(CAP_NET_ADMIN)) return;
  throw new EnvironmentError(
    "Cannot guard this machine: the right to administer its network is missing",
    "grant CAP_NET_ADMIN or run as root",
  );
}

/** Whether it may send packets in the names of others, which RESET_OLDER does. */
export function maySendRaw(): boolean {
  return mayHave(CAP_NET_RAW);
}

/** By number (linux/capability.h). */
function mayHave(capability: number): boolean {
  let effective: bigint;
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  } catch {
    return true; // no such file: the kernel will say what is missing
  }
  return (effective >> BigInt(capability) & 1n) === 1n;
}
