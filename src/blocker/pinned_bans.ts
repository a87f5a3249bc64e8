/** The bans that an earlier run left pinned in the kernel, where no blocker runs. */
import { close } from "../../ffi/libc.ts";
import { EnvironmentError } from "../errors.ts";
import { BAN_MAP_NAMES, type BanMapName } from "../gateway/bans/ban_codec.ts";
import { openPinnedMap, pinDirectory } from "../gateway/bans/ban_pins.ts";
import { BanTable } from "../gateway/bans/ban_table.ts";
import { Bans } from "../gateway/bans/bans.ts";
import { LocalAddresses } from "../gateway/network/local_addresses.ts";
import { networkNamespace } from "../gateway/network/network_namespace.ts";
import { BanDesk } from "./ban_desk.ts";
import type { BanAction, BanAnswer, BanRequest } from "./ban_request.ts";

/** Does the same to the maps as the running blocker does to its own. */
export async function answerFromPins(request: BanRequest): Promise<BanAnswer[]> {
  const directory = pinDirectory(networkNamespace());
  const maps = new Map<BanMapName, number>();
  try {
    for (const name of BAN_MAP_NAMES) {
      const { fd, problem } = openPinnedMap(directory, name, null);
      if (fd >= 0) maps.set(name, fd);
      if (problem === null) continue;
      throw new EnvironmentError(`Cannot use ${directory}/${name}: ${problem}`, "run as root");
    }
    if (!maps.has("blocked_ips")) {
      throw new EnvironmentError(
        `Cannot ${describe(request.action)}: btblocker does not run in this network namespace ` +
          "and no bans are kept from an earlier run",
        "start it with btblocker run",
      );
    }
    // No packet is judged here: the table in user space stays as good as empty.
    const bans = new Bans({
      table: new SharedArrayBuffer(BanTable.byteLength(request.addresses.length + 1)),
      scope: "endpoint",
      maps: Object.fromEntries(maps),
    });
    using local = new LocalAddresses();
    return await new BanDesk(bans, local.never).answer(request);
  } finally {
    for (const fd of maps.values()) close(fd);
  }
}

function describe(action: BanAction): string {
  return {
    list: "list bans",
    add: "add bans",
    remove: "remove bans",
    clear: "clear the bans",
  }[action];
}
