/** The fleet's settings, taken from the configuration; secrets are read when they are used. */
import type { Config } from "../config/options.ts";
import { describeReadError, EnvironmentError } from "../errors.ts";
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
  /** Whether bans of private addresses are told and taken over. */
  readonly sharesPrivate: boolean;
  /** Paths of PEM files; empty for none. */
  readonly ca: string;
  readonly cert: string;
  readonly certKey: string;
  /** Empty: bans that wait are in memory only. */
  readonly spoolDirectory: string;
}

/** Null where there is no fleet. @param config as loadConfig() gives it: what goes together */
export function fleetSettings(config: Config): FleetSettings | null {
  const { fleetUrl: url } = config;
  if (url === "") return null;
  return {
    url: url.endsWith("/") ? url : `${url}/`,
    login: config.fleetLogin,
    password: config.fleetPassword,
    key: config.fleetKey,
    intervalMs: config.fleetInterval * 1000,
    scope: config.fleetScope,
    sharesPrivate: config.fleetPrivate,
    ca: config.fleetCa,
    cert: config.fleetCert,
    certKey: config.fleetCertKey,
    spoolDirectory: config.fleetSpool,
  };
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
  const path = setting.slice("file:".length);
  const secret = readPem(variable, path).trim();
  if (secret !== "") return secret;
  throw new EnvironmentError(`Cannot use ${path} of ${variable}: it is empty`);
}

/** The text of a file that a setting names. */
export function readPem(variable: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new EnvironmentError(`Cannot read ${path} of ${variable}: ${describeReadError(error)}`);
  }
}
