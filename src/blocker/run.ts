/** The blocker's life, from its settings to its end by a signal. */
import type { LoadedConfig } from "../config/load.ts";
import { log, setupLog } from "../report/log.ts";
import { Signals } from "./signals.ts";
import { start } from "./start.ts";
import { ServiceManager } from "./systemd.ts";

const STATUS_MS = 10_000;

/** Blocks until SIGINT or SIGTERM. `reload` reads the settings again, for SIGHUP. */
export async function run(
  loaded: LoadedConfig,
  reload: () => Promise<LoadedConfig>,
): Promise<number> {
  setupLog({ level: loaded.config.logLevel, format: loaded.config.logFormat });
  using signals = new Signals(); // before anything is changed, so that all of it is undone
  using service = new ServiceManager();
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

/** Calls `action` now and then while the program runs. */
function everyFewSeconds(action: () => void): Disposable {
  const timer = setInterval(action, STATUS_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
