/** Whether threads may have time slices of their own: since Linux 6.12. */
export function takesTimeSlices(): boolean {
  const [major, minor] = Deno.osRelease().split(".").map(Number);
  return Deno.build.os === "linux" && (major > 6 || (major === 6 && minor >= 12));
}
