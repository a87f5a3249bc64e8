/**
 * A gateway with the stub engine, in the namespace it is started in: gateway.ts OPTIONS-JSON.
 * Prints the log, "ready", the counters as JSON at SIGUSR1, and "stopped".
 */

import { EnvironmentError } from "../../../src/errors.ts";
import { sumCounters } from "../../../src/gateway/queue/counters.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { Gateway } from "../../../src/gateway/supervisor.ts";
import { CAPTURE_POLICY } from "../../../src/engine/policy.ts";

const { worker = "./stub_worker.ts", traffic, fail, ...options } = JSON.parse(Deno.args[0]);
const queueCount = traffic?.queueCount ?? 1;
try {
  await using gateway = await Gateway.start({
    traffic: {
      chains: ["FORWARD"],
      queueNumber: 0,
      queueCount,
      marks: marksOf(0x3000_0000),
      recheck: 0,
      ...traffic,
    },
    manageRules: true,
    settings: { policy: CAPTURE_POLICY, monitorOnly: false, bans: null },
    flows: 1024,
    onDetection: () => {},
    log: (level, message) => console.log(`${level}: ${message}`),
    attachBans: () => {
      if (fail) throw new EnvironmentError("Cannot attach the bans: as asked");
      return { describe: () => "no bans" };
    },
    workerModule: new URL(worker, import.meta.url),
    ...options,
  });
  Deno.addSignalListener("SIGUSR1", () => {
    console.log(`counters ${JSON.stringify(sumCounters(gateway.workers.counters, queueCount))}`);
  });
  const stop = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGTERM", stop.resolve);
  console.log("ready");
  await stop.promise;
} catch (error) {
  console.log(`failed: ${(error as Error).message}`);
  Deno.exit(error instanceof EnvironmentError ? 1 : 3);
}
console.log("stopped");
Deno.exit(0);
