/** Clients of another release of Debian: in a root of their own, in the lab's namespaces. */

import { fileURLToPath } from "node:url";
import type { Host } from "../../src/demo/network.ts";
import type { Client } from "./client.ts";

/** What is the same inside: the kernel's, what the programs write, the lab's scripts. */
const SHARED = ["/proc", "/sys", "/dev", "/tmp", fileURLToPath(new URL(".", import.meta.url))];

/** The client as that release has it; `name` says which. */
export function clientInRoot(client: Client, root: string, name: string): Client {
  return {
    ...client,
    name: `${client.name} (${name})`,
    program: client.program.startsWith("/")
      ? `${root}${client.program}`
      : `${root}/usr/bin/${client.program}`,
    start: (options) => client.start({ ...options, host: hostInRoot(options.host, root) }),
  };
}

/** The same host, whose commands run in `root`. */
function hostInRoot(host: Host, root: string): Host {
  // Mounts of its own, which end with its last process.
  const binds = SHARED.map((path) => `mkdir -p "$0${path}" && mount --rbind ${path} "$0${path}"`);
  const script = [...binds, 'exec chroot "$0" "$@"'].join(" && ");
  const enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, root];
  const inside = (command: readonly string[]) => host.inside([...enter, ...command]);
  return Object.create(host, { inside: { value: inside } });
}
