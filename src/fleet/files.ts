/** The files that the fleet's settings name: secrets and certificates. */
import { EnvironmentError } from "../errors.ts";
import { Lapi } from "./lapi.ts";
import type { FleetSettings } from "./settings.ts";

/** Reads all of them; throws EnvironmentError where one cannot be read or used. */
export function checkFleetFiles(settings: FleetSettings): void {
  try {
    new Lapi(settings)[Symbol.dispose](); // which asks nothing of the API yet
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    throw new EnvironmentError(
      "Cannot use the certificates of FLEET_CA, FLEET_CERT and FLEET_CERT_KEY: " +
        (error as Error).message,
    );
  }
}
