/** Firewall in the namespace it is started in: firewall.ts BACKEND TABLE ACTION TRAFFIC-JSON */

import { type Backend, Firewall } from "../../../src/gateway/rules/firewall.ts";
import { type GuardedTraffic, type Table, TABLES } from "../../../src/gateway/rules/rule_text.ts";
import { TRAFFIC } from "../rules/traffic.ts";

const [backend, table, action, given] = Deno.args;
const { withNft = true, ...changes } = JSON.parse(given ?? "{}");
const traffic: GuardedTraffic = { ...TRAFFIC, ...changes };
const tables = table === "any" ? TABLES : [table as Table];
const told: string[] = [];
const firewall = await Firewall.open(
  backend as Backend,
  tables,
  (message) => told.push(message),
  withNft,
);
switch (action) {
  case "install":
    await firewall.install(traffic);
    break;
  case "restore":
    for (let run = 1; run <= 2; run++) await firewall.restore(traffic);
    break;
  case "remove":
    await firewall.remove();
    break;
}
console.log(JSON.stringify({
  installed: (await firewall.look(traffic)).isInstalled,
  description: firewall.describe(),
  warnings: firewall.warnings,
  told,
  marks: await firewall.installedMarks(),
  users: await firewall.markUsers(),
}));
