/** Which network namespace this process lives in: bans, socket and pins of two never mix. */
import { networkNamespaceCookie } from "../../../ffi/libc_net.ts";
import { EnvironmentError } from "../../errors.ts";
import { exists } from "../../files.ts";

export interface NetworkNamespace {
  /** As in `net:[4026531840]`. Used again once the namespace is gone. */
  readonly inode: number;
  /** The machine's own namespace, not a container's. */
  readonly isInitial: boolean;
  /** `<inode>-<cookie>`: not used again until reboot (just the inode before Linux 5.14). */
  readonly id: string;
}

/** This setting of the network stack as a whole exists in the initial namespace only. */
const ONLY_INITIAL = "/proc/sys/net/core/netdev_max_backlog";

export function networkNamespace(): NetworkNamespace {
  const inode = networkNamespaceInode();
  const cookie = networkNamespaceCookie();
  return {
    inode,
    isInitial: exists(ONLY_INITIAL),
    id: cookie === null ? `${inode}` : `${inode}-${cookie}`,
  };
}

/** Its inode number, without any call of the C library. */
export function networkNamespaceInode(): number {
  let link;
  try {
    link = Deno.readLinkSync("/proc/self/ns/net");
  } catch (error) {
    throw new EnvironmentError(
      `Cannot read /proc/self/ns/net: ${(error as Error).message}`,
      "btblocker needs Linux with /proc",
    );
  }
  return Number(/\[(\d+)\]/.exec(link)?.[1]);
}
