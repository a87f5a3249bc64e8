/** The fleet's settings, taken from the configuration; secrets are read when they are used. */
import type { Config } from "../config/options.ts";
import { EnvironmentError, UsageError } from "../errors.ts";
import type { FleetScope } from "./decisions.ts";

export interface FleetSettings {
  /** Ends in a slash. */
  readonly url: string;
  /** Empty: this machine does not report, or shows its certificate instead. */
  readonly login: string;
  readonly password: string;
  /** Empty: this machine takes no bans over, or shows its certificate instead. */
  readonly key: string;
  readonly intervalMs: number;
  readonly scope: FleetScope;
  /** Paths of PEM files; empty for none. */
  readonly ca: string;
  readonly cert: string;
  readonly certKey: string;
  readonly spoolDirectory: string;
}

/** Null where there is no fleet; throws UsageError for settings that do not go together. */
export function fleetSettings(config: Config): FleetSettings | null {
  const problems = findProblems(config);
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  const { fleetUrl: url } = config;
  if (url === "") return null;
  return {
    url: url.endsWith("/") ? url : `${url}/`,
    login: config.fleetLogin,
    password: config.fleetPassword,
    key: config.fleetKey,
    intervalMs: config.fleetInterval * 1000,
    scope: config.fleetScope,
    ca: config.fleetCa,
    cert: config.fleetCert,
    certKey: config.fleetCertKey,
    spoolDirectory: config.fleetSpool,
  };
}

function findProblems(config: Config): string[] {
  const { fleetUrl, fleetLogin, fleetPassword, fleetKey, fleetCert, fleetCertKey } = config;
  if (fleetUrl === "") {
    const isMeant = [fleetLogin, fleetPassword, fleetKey, fleetCert].some((text) => text !== "");
    return isMeant ? ["Cannot join a fleet without FLEET_URL, the address of its API"] : [];
  }
  const problems: string[] = [];
  if ((fleetLogin === "") !== (fleetPassword === "")) {
    problems.push("Cannot use FLEET_LOGIN and FLEET_PASSWORD one without the other");
  }
  if ((fleetCert === "") !== (fleetCertKey === "")) {
    problems.push("Cannot use FLEET_CERT and FLEET_CERT_KEY one without the other");
  }
  if (fleetLogin === "" && fleetKey === "" && fleetCert === "") {
    problems.push(
      `Cannot join the fleet at ${fleetUrl} without a right to: expected FLEET_LOGIN with ` +
        "FLEET_PASSWORD, FLEET_KEY, or FLEET_CERT",
    );
  }
  if (fleetCert !== "" && !fleetUrl.toLowerCase().startsWith("https:")) {
    problems.push(`Cannot show FLEET_CERT to ${fleetUrl}: expected an address with https`);
  }
  return problems;
}

/** Whether this machine tells the fleet of its bans. */
export function reports({ password, cert }: FleetSettings): boolean {
  return password !== "" || cert !== "";
}

/** Whether this machine takes over the fleet's bans. */
export function takesOver({ key, cert }: FleetSettings): boolean {
  return key !== "" || cert !== "";
}

/** The secret itself. Its file is read each time: who replaces it need not restart anything. */
export function readSecret(variable: string, setting: string): string {
  if (!setting.startsWith("file:")) return setting;
  return readPem(variable, setting.slice("file:".length)).trim();
}

/** The text of a file that a setting names. */
export function readPem(variable: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new EnvironmentError(`Cannot read ${path} of ${variable}: ${(error as Error).message}`);
  }
}
