/** What the settings name on this machine: files, secrets, the address of the status page. */
import type { Config } from "../config/options.ts";
import { checkFleetFiles } from "../fleet/files.ts";
import { fleetSettings } from "../fleet/settings.ts";
import { CONTROL_DIRECTORY } from "../blocker/control.ts";
import { unfitKind } from "../report/append_file.ts";
import { readToken, StatusServer } from "../status/status_server.ts";
import { type Check, type Diagnosis, ok, problem, warning } from "./diagnosis.ts";

/** @param runningPid of the running blocker, which holds the address itself */
export function namedChecks(config: Config, runningPid: number | null): Check[] {
  return [
    fileCheck("detection log", config.detectionLog),
    fileCheck("detection pcap", config.detectionPcap),
    { name: "status page", look: () => statusPage(config, runningPid) },
    { name: "fleet", look: () => fleet(config) },
  ];
}

/** @param path of a file to be written, empty for none */
function fileCheck(name: string, path: string): Check {
  return {
    name,
    look() {
      if (path === "") return [];
      const there = statOrNull(path);
      const kind = there === null ? null : unfitKind(there);
      if (kind !== null) {
        return warning(name, `${path} is a ${kind}: nothing is written`, "name a file");
      }
      const directory = path.replace(/\/[^/]*$/, "") || "/";
      if (statOrNull(directory)?.isDirectory !== true) {
        const advice = `mkdir -p -m 0750 ${directory}`;
        return warning(name, `there is no directory ${directory}`, advice);
      }
      try {
        if (there === null) tryToMake(path);
        else Deno.openSync(path, { append: true }).close();
        return ok(name, path);
      } catch (error) {
        const detail = `${path} cannot be written: ${(error as Error).message}`;
        return warning(name, detail, "name a file that the user who runs btblocker can write");
      }
    },
  };
}

/** Rights alone do not tell: root cannot write a read-only file system either. */
function tryToMake(path: string): void {
  const probe = `${path}.btblocker-doctor-${Deno.pid}`;
  Deno.openSync(probe, { write: true, createNew: true, mode: 0o600 }).close();
  Deno.removeSync(probe);
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

/** Listens for a moment where the blocker would. */
async function statusPage(
  { statusListen: listen, statusToken: token }: Config,
  runningPid: number | null,
): Promise<Diagnosis | readonly Diagnosis[]> {
  if (listen === "") return [];
  const name = "status page";
  try {
    if (token !== "") readToken(token);
    if (runningPid !== null) return ok(name, `${listen}, not tried: btblocker runs`);
    if (listen.startsWith(`unix:${CONTROL_DIRECTORY}/`) && statOrNull(CONTROL_DIRECTORY) === null) {
      return ok(name, `${listen}, not tried: ${CONTROL_DIRECTORY} is made at the start`);
    }
    await StatusServer.try(listen);
    return ok(name, `${listen} is free`);
  } catch (error) {
    const [why] = (error as Error).message.split(" (set STATUS_LISTEN");
    return problem(name, why, "choose STATUS_LISTEN and STATUS_TOKEN that work");
  }
}

function fleet(config: Config): Diagnosis | readonly Diagnosis[] {
  const settings = fleetSettings(config);
  if (settings === null) return [];
  try {
    checkFleetFiles(settings);
    return ok("fleet", `${settings.url}, its files can be read`);
  } catch (error) {
    return problem("fleet", (error as Error).message, "give the user who runs btblocker the file");
  }
}
