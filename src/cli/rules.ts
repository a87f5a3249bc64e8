/** `btblocker rules install|remove|show`: the firewall rules without the blocker. */

import type { LoadedConfig } from "../config/load.ts";
import { agreeOnMarks, marksOfInstalled } from "../gateway/rules/agreed_marks.ts";
import { Firewall } from "../gateway/rules/firewall.ts";
import { requireNetAdmin } from "../gateway/rights.ts";
import { guardedTraffic } from "../blocker/settings.ts";

export async function rules(
  action: "install" | "remove" | "show",
  { config }: LoadedConfig,
): Promise<number> {
  if (action !== "show") requireNetAdmin();
  const firewall = await Firewall.open("system", undefined, (message) => console.error(message));
  for (const warning of firewall.warnings) console.error(warning);
  const tell = (_: string, message: string) => console.error(message);
  switch (action) {
    case "install": {
      const traffic = guardedTraffic(config, await agreeOnMarks(firewall, config.markMask, tell));
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
      const traffic = guardedTraffic(config, await marksOfInstalled(firewall, config.markMask));
      const { isInstalled } = await firewall.look(traffic);
      console.log(`# ${isInstalled ? "installed" : "not installed"} (${firewall.describe()})`);
      for (const section of firewall.preview(traffic)) console.log(section);
      return 0;
    }
  }
}
