/**
 * That a blocker runs in a network namespace, told to all in it: also to those who see another /run,
 * as the host does of a container that shares its network. Bans changed beside a running blocker
 * would come back from its table in user space.
 *
 * Anybody may take an abstract name, so it is no lock: with it taken a blocker starts all the same,
 * and commands refuse to act.
 */
import { EADDRINUSE } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { takeAbstractName } from "../../ffi/libc_net.ts";

/** Those who see the same directory and namespace mean the same blocker. */
function nameOf(inode: number, directory: string): string {
  return `${directory}/presence-${inode}`;
}

/** Who asks holds the name for a moment too: only one that stays taken is shown. */
const LOOKS = 4;
const BETWEEN_LOOKS_MS = 10;

function takeName(inode: number, directory: string): number {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let look = 1;; look++) {
    const socket = takeAbstractName(nameOf(inode, directory));
    if (socket !== -EADDRINUSE || look === LOOKS) return socket;
    Atomics.wait(pause, 0, 0, BETWEEN_LOOKS_MS);
  }
}

/** Shows it until disposed of. Where the name is taken or cannot be had, nothing is shown. */
export function showPresence(inode: number, directory: string): Disposable {
  const socket = takeName(inode, directory);
  return {
    [Symbol.dispose]() {
      if (socket >= 0) close(socket);
    },
  };
}

/** Whether somebody shows it. */
export function isPresent(inode: number, directory: string): boolean {
  const socket = takeName(inode, directory);
  if (socket >= 0) close(socket);
  return socket === -EADDRINUSE;
}
