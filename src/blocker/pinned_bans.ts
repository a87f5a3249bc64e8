/** The bans that an earlier run left pinned in the kernel, where no blocker runs. */
import { mapInfo } from "../../ffi/bpf.ts";
import { close } from "../../ffi/libc.ts";
import { EnvironmentError } from "../errors.ts";
import { BAN_MAP_NAMES, type BanMapName } from "../gateway/bans/ban_codec.ts";
import { openPinnedMap, pinDirectory } from "../gateway/bans/ban_pins.ts";
import { BanTable } from "../gateway/bans/ban_table.ts";
import { isIpv4 } from "../gateway/bans/ban_key.ts";
import { BanMap } from "../gateway/bans/ban_map.ts";
import { Bans, USUAL_IPV6_BITS } from "../gateway/bans/bans.ts";
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
    const rooms = [...maps.values()].map((fd) => mapInfo(fd).maxEntries);
    const bans = new Bans({
      table: BanTable.buffer(Math.min(Math.max(...rooms), MOST_BANS)),
      scope: "endpoint",
      maps: Object.fromEntries(maps),
      ipv6Bits: prefixOf(maps.get("blocked_ips")!),
    });
    bans.restore();
    using local = new LocalAddresses();
    return await new BanDesk(bans, local).answer(request);
  } finally {
    for (const fd of maps.values()) close(fd);
  }
}

/** Bans by hand of more are a table of gigabytes. */
const MOST_BANS = 4_194_304;

/** What the earlier run's bans of IPv6 addresses were for; the usual where it has none. */
function prefixOf(addressMap: number): number {
  const ban = new BanMap("blocked_ips", addressMap).entries().find(({ key }) => !isIpv4(key.words));
  return ban?.key.bits ?? USUAL_IPV6_BITS;
}

function describe(action: BanAction): string {
  return {
    list: "list bans",
    add: "add bans",
    remove: "remove bans",
    clear: "clear the bans",
  }[action];
}
