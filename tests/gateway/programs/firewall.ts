/** Firewall in the namespace it is started in: firewall.ts BACKEND TABLE ACTION TRAFFIC-JSON */

import { type Backend, Firewall } from "../../../src/gateway/rules/firewall.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { type GuardedTraffic, type Table, TABLES } from "../../../src/gateway/rules/rule_text.ts";

const [backend, table, action, given] = Deno.args;
const traffic: GuardedTraffic = {
  chains: ["FORWARD"],
  queueNumber: 0,
  queueCount: 1,
  marks: marksOf(0x3000_0000),
  recheck: 0,
  monitorOnly: false,
  ...JSON.parse(given ?? "{}"),
};
const tables = table === "any" ? TABLES : [table as Table];
const told: string[] = [];
const firewall = await Firewall.open(backend as Backend, tables, (message) => told.push(message));
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
  installed: await firewall.isInstalled(traffic),
  description: firewall.describe(),
  warnings: firewall.warnings,
  told,
  conflicts: await firewall.conflicts(traffic.marks),
}));
