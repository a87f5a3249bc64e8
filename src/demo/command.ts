/**
 * `btblocker demo-peer …`, hidden: the programs that the demo starts in its hosts. They are this
 * very executable, so that the demo needs nothing else, compiled or not. The orders come as one JSON
 * argument.
 */

import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";
import { serveInternet } from "./internet.ts";
import { announce, type Attempt, download, leech, ping } from "./user.ts";

/** What a process of the demo is to do. */
export type DemoOrder =
  | {
    role: "internet";
    address: string;
    contentPath: string;
    pieceLength: number;
    infoHash: string;
  }
  | {
    role: "leech";
    from: string;
    to: string;
    timeoutMs: number;
    infoHash: string;
    length: number;
    pieceLength: number;
    checksum: string;
  }
  | { role: "announce"; from: string; to: string; timeoutMs: number; infoHash: string }
  | { role: "ping" | "download"; from: string; to: string; timeoutMs: number };

/** The command line that runs this program again. */
export function ownCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const flags = ["run", "--quiet", "--no-prompt", "-A"];
  return [Deno.execPath(), ...flags, fileURLToPath(Deno.mainModule)];
}

/** The command line of a process of the demo. */
export function demoPeerCommand(order: DemoOrder): string[] {
  return [...ownCommand(), "demo-peer", JSON.stringify(order)];
}

/** Carries out an order; attempts print their result as one JSON line. Returns the exit code. */
export async function demoPeer(json: string): Promise<number> {
  let order: DemoOrder;
  try {
    order = JSON.parse(json);
  } catch {
    throw new UsageError("Cannot use this order: it is the demo's own command");
  }
  if (order.role === "internet") {
    const { address, contentPath, pieceLength } = order;
    const content = await Deno.readFile(contentPath);
    await serveInternet({
      address,
      content,
      pieceLength,
      infoHash: Uint8Array.fromHex(order.infoHash),
    });
    return await new Promise<never>(() => {});
  }
  const attempt: Attempt = await carryOut(order);
  console.log(JSON.stringify(attempt));
  return 0;
}

function carryOut(order: Exclude<DemoOrder, { role: "internet" }>): Promise<Attempt> {
  switch (order.role) {
    case "leech":
      return leech({ ...order, infoHash: Uint8Array.fromHex(order.infoHash) });
    case "announce":
      return announce({ ...order, infoHash: Uint8Array.fromHex(order.infoHash) });
    case "ping":
      return ping(order);
    case "download":
      return download(order);
  }
}
