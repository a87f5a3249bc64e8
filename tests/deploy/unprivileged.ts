/** Starts the blocker as btblocker.service does: a plain user with four capabilities. */

import { fileURLToPath } from "node:url";
import type { Host } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";

export const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** A user without a name, a home or any file. */
export const USER = 61_234;

/** Where Deno keeps the packages and compiled sources. */
export async function denoDirectory(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/**
 * In mounts of its own: an empty /run in which only /run/btblocker is the user's (RuntimeDirectory=),
 * and a bpffs in which only btblocker is (btblocker.tmpfiles). The sources, Deno and its cache are
 * shown below /run, since their own place may be closed to others; a directory that it may not enter
 * would keep Deno from finding programs.
 */
const MOUNTS = `
set -e
umask 022
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/btblocker /run/sources /run/cache
chown "$USER_ID:$USER_ID" /run/btblocker
mount --bind "$SOURCES" /run/sources
mount --bind "$CACHE" /run/cache
touch /run/deno
mount --bind "$DENO" /run/deno
mount -t bpf -o mode=0711 bpf /sys/fs/bpf
mkdir -m 0700 /sys/fs/bpf/btblocker
chown "$USER_ID:$USER_ID" /sys/fs/bpf/btblocker
if [ "$BACKEND" = legacy ]; then
  mkdir /run/legacy
  for command in iptables ip6tables; do
    for suffix in "" -save -restore; do
      ln -s "$(command -v "$command-legacy$suffix")" "/run/legacy/$command$suffix"
    done
  done
  PATH=/run/legacy:$PATH
fi
cd /run
exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --no-new-privs \
  --inh-caps "-all,$CAPABILITIES" --ambient-caps "-all,$CAPABILITIES" \
  --bounding-set "-all,$CAPABILITIES" \
  /run/deno run --quiet --no-prompt -A /run/sources/main.ts "$@"
`;

/**
 * @param capabilities such as `+net_admin,+bpf`
 * @param backend what the commands iptables and ip6tables are
 */
export async function startUnprivileged(
  router: Host,
  capabilities: string,
  args: readonly string[],
  backend: "system" | "legacy" = "system",
): Promise<Program> {
  return router.spawn(["unshare", "--mount", "sh", "-c", MOUNTS, "sh", ...args], {
    env: {
      USER_ID: String(USER),
      SOURCES: PROJECT,
      CACHE: await denoDirectory(),
      DENO: Deno.execPath(),
      CAPABILITIES: capabilities,
      BACKEND: backend,
      DENO_DIR: "/run/cache",
      DENO_NO_UPDATE_CHECK: "1",
      HOME: "/nonexistent",
      NO_COLOR: "1",
      XTABLES_LOCKFILE: "/run/btblocker/xtables.lock",
    },
  });
}
