/** CPUs that per-CPU maps have a value for: `0-7` in /sys (the same in every namespace). */
export function possibleCpus(): number {
  const text = Deno.readTextFileSync("/sys/devices/system/cpu/possible");
  return 1 + Math.max(...text.trim().split(/[-,]/).map(Number));
}
