/** `btblocker rules install|remove|show`: the firewall rules without the blocker. */

import type { LoadedConfig } from "../config/load.ts";
import { Firewall } from "../gateway/rules/firewall.ts";
import { requireNetAdmin } from "../gateway/rights.ts";
import { guardedTraffic } from "../blocker/settings.ts";

export async function rules(
  action: "install" | "remove" | "show",
  { config }: LoadedConfig,
): Promise<number> {
  const traffic = guardedTraffic(config);
  if (action !== "show") requireNetAdmin();
  const firewall = await Firewall.open("system", undefined, (message) => console.error(message));
  for (const warning of firewall.warnings) console.error(warning);
  switch (action) {
    case "install": {
      const installed = await firewall.install(traffic); // not disposed of: the rules stay
      void installed;
      console.log(`Installed (${firewall.describe()}); packets pass while no blocker runs`);
      return 0;
    }
    case "remove":
      await firewall.remove();
      console.log("Removed");
      return 0;
    case "show": {
      const isInstalled = await firewall.isInstalled(traffic);
      console.log(`# ${isInstalled ? "installed" : "not installed"} (${firewall.describe()})`);
      for (const section of firewall.preview(traffic)) console.log(section);
      return 0;
    }
  }
}
