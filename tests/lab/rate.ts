/** Slow seeders: many peers of the internet send 30 to 100 kB/s each. */

import type { Host } from "../../src/demo/network.ts";

/**
 * What a seeder sends at most. By the client itself, which tears its writes; or by its link, in
 * front of which the client's writes stand in the socket's buffer and are joined.
 */
export interface Rate {
  bytesPerSecond: number;
  by: "client" | "link";
}

/** Limits what a host sends. */
export async function slowLink(host: Host, bytesPerSecond: number): Promise<void> {
  const tc = (...words: string[]) => host.run(["tc", ...words]);
  await tc("qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb", "default", "1");
  const rate = ["htb", "rate", `${bytesPerSecond * 8}bit`, "burst", "3k", "cburst", "3k"];
  await tc("class", "add", "dev", "eth0", "parent", "1:", "classid", "1:1", ...rate);
}
