/**
 * The blocker with the stub engine, in the namespace it is started in: gateway.ts OPTIONS-JSON.
 * Prints the log, "ready", the counters as JSON at SIGUSR1, and "stopped".
 */

import { start } from "../../../src/blocker/start.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { EnvironmentError } from "../../../src/errors.ts";
import { setupLog } from "../../../src/report/log.ts";

const { worker = "./stub_worker.ts", backend, tables, rulesCheckMs, ...settings } = JSON.parse(
  Deno.args[0],
);
const { config } = loadConfig({ variables: {}, defaultConfigPath: "/nonexistent" });
setupLog({
  level: "info",
  format: "text",
  isTerminal: false,
  isJournal: false,
  // "2026-01-31T12:00:00.000Z WARN  …" → "warn: …"
  write: (line) => {
    console.log(line.trimEnd().replace(/^\S+ (\w+) +/, (_, level) => `${level.toLowerCase()}: `));
  },
});
try {
  await using blocker = await start(
    { ...config, queueCount: 1, recheck: 0, xdpMode: "off", ...settings },
    {
      workerModule: new URL(worker, import.meta.url),
      ...backend === undefined ? {} : { backend },
      ...tables === undefined ? {} : { tables },
      ...rulesCheckMs === undefined ? {} : { rulesCheckMs },
    },
  );
  Deno.addSignalListener("SIGUSR1", () => {
    console.log(`counters ${JSON.stringify(blocker.status().counters)}`);
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
