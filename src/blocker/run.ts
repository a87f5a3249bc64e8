/** The blocker's life, from its settings to its end by a signal. */
import type { LoadedConfig } from "../config/load.ts";
import { log, logLine, setupLog } from "../report/log.ts";
import { Signals } from "./signals.ts";
import { starters, watchStarters } from "./starters.ts";
import { start } from "./start.ts";
import { ServiceManager } from "./systemd.ts";

const STATUS_MS = 10_000;
/**
 * A stop that takes longer is given up: the kernel detaches our programs and unbinds our queues when
 * the process ends, and rules let packets pass then. Less than TimeoutStopSec= of our unit.
 */
const STOP_MS = 12_000;

/** Blocks until SIGINT or SIGTERM. `reload` reads the settings again, for SIGHUP. */
export async function run(
  loaded: LoadedConfig,
  reload: () => Promise<LoadedConfig>,
): Promise<number> {
  setupLog({ level: loaded.config.logLevel, format: loaded.config.logFormat });
  for (const warning of loaded.warnings) logLine("warn", warning);
  using signals = new Signals(giveUpLater); // before anything is changed, so that all of it is undone
  using service = new ServiceManager();
  using _watch = watchStarters(starters(), ({ comm, pid }) => {
    log.warn("Stopping, since what started it is gone: {comm}, process {pid}", { comm, pid });
    signals.stop();
  });
  await using blocker = await start(loaded.config);
  service.ready(blocker.statusLine());
  using _status = everyFewSeconds(() => service.status(blocker.statusLine()));
  service.watch(() => blocker.isMoving());
  while (await signals.next() === "reload") {
    service.reloading();
    try {
      await blocker.reload((await reload()).config);
    } catch (error) {
      log.error("Cannot reload, the settings stay as they were: {problem}", {
        problem: (error as Error).message,
      });
    }
    service.ready(blocker.statusLine());
  }
  log.info("Stopping");
  service.stopping();
  return 0;
}

/** The program ends earlier, unless something of it hangs. */
function giveUpLater(): void {
  const timer = setTimeout(() => {
    log.error("Cannot stop in {seconds} seconds: ending all the same", { seconds: STOP_MS / 1000 });
    Deno.exit(1);
  }, STOP_MS);
  Deno.unrefTimer(timer);
}

/** Calls `action` now and then while the program runs. */
function everyFewSeconds(action: () => void): Disposable {
  const timer = setInterval(action, STATUS_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
