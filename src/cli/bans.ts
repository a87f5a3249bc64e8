/**
 * `btblocker bans list|add|remove|clear`: asks the running blocker; where none runs, works on the
 * bans that an earlier run left pinned in the kernel.
 */
import { outOfFleet } from "../blocker/ban_desk.ts";
import {
  type BanAction,
  type BanAnswer,
  type BanRequest,
  checkBanRequest,
} from "../blocker/ban_request.ts";
import { askControl } from "../blocker/control.ts";
import { answerFromPins } from "../blocker/pinned_bans.ts";
import type { Ban } from "../gateway/bans/bans.ts";
import { networkNamespaceInode } from "../gateway/network/network_namespace.ts";
import { Output } from "./output.ts";
import { formatCount, formatDuration, formatLocalTime, printable } from "../text.ts";

export interface BansOptions {
  /** One JSON object a line. */
  json: boolean;
  /** Seconds, of `add`. */
  duration?: number;
  /** Of `remove`: everywhere in the fleet. */
  fleet?: boolean;
}

/** Runs the command and prints its answer; returns the exit code. */
export async function bans(
  action: BanAction,
  addresses: readonly string[],
  { json, duration = 0, fleet = false }: BansOptions,
): Promise<number> {
  const request: BanRequest = { action, addresses, durationSeconds: duration, fleet };
  checkBanRequest(request);
  const running = await askControl(networkNamespaceInode(), "bans", request);
  if (running === null && fleet) throw outOfFleet();
  const answers = running !== null ? running.result as BanAnswer[] : await answerFromPins(request);
  const nowMs = Date.now();
  const lines = json
    ? answers.map((answer) => JSON.stringify(toJson(answer, nowMs)))
    : toText(action, answers, nowMs);
  const output = new Output();
  for (const line of lines) output.line(line);
  output.flush();
  const isMissing = (answer: BanAnswer) =>
    answer.type === "removed" && !answer.wasBanned && answer.flows === 0 &&
    (answer.decisions ?? 0) === 0;
  return answers.some(isMissing) ? 1 : 0;
}

function toJson(answer: BanAnswer, nowMs: number): unknown {
  switch (answer.type) {
    case "ban":
      return { ...banJson(answer.ban, nowMs), who: answer.who };
    case "added": {
      const { address, untilMs, isNew } = answer;
      return { type: "added", address, until: iso(untilMs), new: isNew };
    }
    case "removed":
      return answer;
    case "cleared":
      return answer;
  }
}

function banJson(ban: Ban, nowMs: number): Record<string, unknown> {
  const { address, protocol, port, sinceMs, untilMs, reason, packets, bytes, lastSeenMs } = ban;
  return {
    type: "ban",
    address,
    protocol,
    port,
    since: iso(sinceMs),
    until: iso(untilMs),
    secondsLeft: secondsLeft(ban, nowMs),
    reason,
    packetsDropped: packets,
    bytesDropped: bytes,
    lastSeen: lastSeenMs === null ? null : iso(lastSeenMs),
  };
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function secondsLeft(ban: Ban, nowMs: number): number {
  return Math.max(0, Math.round((ban.untilMs - nowMs) / 1000));
}

function toText(action: BanAction, answers: readonly BanAnswer[], nowMs: number): string[] {
  if (action === "list") {
    const rows = answers.filter((answer) => answer.type === "ban");
    return rows.length === 0 ? ["No bans"] : banTable(rows, nowMs);
  }
  return answers.map((answer) => {
    switch (answer.type) {
      case "added":
        return `${answer.isNew ? "Banned" : "Banned already, now"} ${answer.address} until ${
          shortTime(answer.untilMs)
        }`;
      case "removed":
        return `${answer.address} ${answer.wasBanned ? "is no longer banned" : "was not banned"}${
          answer.network === undefined ? "" : `, nor is ${answer.network}`
        }${answer.flows === 0 ? "" : `; ${formatCount(answer.flows, "flow")} judged anew`}${
          stillWithin(answer.within)
        }${inFleet(answer.decisions)}`;
      case "cleared":
        return answer.bans === 1 ? "Lifted 1 ban" : `Lifted ${answer.bans} bans`;
      case "ban":
        return answer.ban.address;
    }
  });
}

function stillWithin(network: string | undefined): string {
  return network === undefined ? "" : `; ${network} is, and it with that`;
}

function inFleet(decisions: number | undefined): string {
  if (decisions === undefined) return "";
  return `; ${formatCount(decisions, "decision")} of the fleet lifted`;
}

const HEADINGS = ["ADDRESS", "SINCE", "UNTIL", "LEFT", "REASON", "DROPPED", "WHO"];

function banTable(
  answers: readonly Extract<BanAnswer, { type: "ban" }>[],
  nowMs: number,
): string[] {
  const rows = answers.map(({ ban, who }) => [
    ban.port === null ? ban.address : `${bracketed(ban.address)}:${ban.port}/${ban.protocol}`,
    shortTime(ban.sinceMs),
    shortTime(ban.untilMs),
    formatDuration(secondsLeft(ban, nowMs)),
    ban.reason,
    `${ban.packets}`,
    printable(who ?? ""),
  ]);
  const all = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, column) =>
    all.reduce((width, row) => Math.max(width, row[column].length), 0)
  );
  return all.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()
  );
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** Local time to the second. */
function shortTime(timeMs: number): string {
  return formatLocalTime(timeMs).slice(0, 19);
}
