/** Settings that are each right and do not go together. */
import { isLocalListenAddress } from "./kinds.ts";
import type { Config } from "./options.ts";

/** Netfilter has queues 0 to 65535. */
export const QUEUE_NUMBERS = 65_536;

/** One line a problem; empty where all is well. */
export function findConflicts(config: Config): string[] {
  return [
    ...queueProblems(config),
    ...banProblems(config),
    ...statusProblems(config),
    ...fleetProblems(config),
  ];
}

function queueProblems({ queueNum, queueCount }: Config): string[] {
  if (queueNum + queueCount <= QUEUE_NUMBERS) return [];
  return [
    `Cannot use ${queueCount} queues from number ${queueNum}: the last queue number is 65535`,
  ];
}

function banProblems({ banFactor, banDuration, banDurationMax }: Config): string[] {
  if (banFactor === 1 || banDuration <= banDurationMax) return [];
  return [
    `Cannot use BAN_DURATION_MAX ${banDurationMax} with BAN_FACTOR ${banFactor}: expected at least ` +
    `BAN_DURATION, ${banDuration} seconds`,
  ];
}

function statusProblems({ statusListen, statusToken }: Config): string[] {
  if (statusListen === "" || statusToken !== "" || isLocalListenAddress(statusListen)) return [];
  return [
    `Cannot serve the status page at ${statusListen}: others than this machine could read it ` +
    "(set STATUS_TOKEN, or listen at 127.0.0.1)",
  ];
}

function fleetProblems(config: Config): string[] {
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
