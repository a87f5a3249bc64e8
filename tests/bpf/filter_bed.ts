/** What the tests of the filter share: the addresses of the two hosts, and what is asked of it. */
import type { BanAnswer } from "../../src/blocker/ban_request.ts";
import { programPresent } from "../lab/lab.ts";
import { type Filter, namespaceProblem } from "./namespaces.ts";

export const ignore = namespaceProblem !== null;
export const withoutTun = ignore || !programPresent("/dev/net/tun");
if (withoutTun && !ignore) {
  console.log("Tests of the XDP filter on TUN are skipped: no /dev/net/tun");
}
if (ignore) console.log(`Tests of the XDP filter are skipped: ${namespaceProblem}`);

export const BANNED = "10.9.1.2";
export const REVERSED = "2.1.9.10";
export const BANNED6 = "2001:db8::7";
export const OTHER6 = "2001:db8::8";
export const ADDRESSES = {
  gateway: ["10.9.1.1/24", "2.1.9.1/24", "2001:db8::1/64"],
  outside: [`${BANNED}/24`, `${REVERSED}/24`, `${BANNED6}/64`, `${OTHER6}/64`],
};
export const TALK: [string, string][] = [
  [BANNED, "10.9.1.1"],
  [REVERSED, "2.1.9.1"],
  [BANNED6, "2001:db8::1"],
  [OTHER6, "2001:db8::1"],
];

export async function add(
  filter: Filter,
  addresses: string[],
  durationSeconds = 3600,
): Promise<void> {
  await filter.ask("bans", { action: "add", addresses, durationSeconds });
}

export async function listed(filter: Filter): Promise<string[]> {
  const request = { action: "list", addresses: [], durationSeconds: 0 };
  const answers = await filter.ask<BanAnswer[]>("bans", request);
  return answers.flatMap((answer) => answer.type === "ban" ? [answer.ban.address] : []).sort();
}

/** The XDP program that `ip link show` names, or null. */
export function programOf(link: string): string | null {
  return /prog\/xdp id \d+ name (\S+)/.exec(link)?.[1] ?? null;
}
