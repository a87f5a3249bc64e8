/**
 * The ban side of the blocker as a process of its own, for tests in namespaces. It also counts the
 * datagrams that reach its port. Argument: settings as JSON. Standard output: one JSON log entry a
 * line, `{"ready":true}` once it guards, and answers to the commands of standard input.
 */
import { createSocket } from "node:dgram";
import { BanDesk } from "../../src/blocker/ban_desk.ts";
import { readBanRequest } from "../../src/blocker/ban_request.ts";
import { interfaceIndex } from "../../ffi/libc.ts";
import { Bans, REASON_FLEET } from "../../src/gateway/bans/bans.ts";
import { BanSide, type BanSideOptions } from "../../src/gateway/bans/ban_side.ts";
import { networkNamespaceInode } from "../../src/gateway/network/network_namespace.ts";
import { ControlServer } from "../../src/blocker/control.ts";
import { parseAddress } from "../../src/packet/address.ts";
import type { LogLine } from "../../src/log_line.ts";
import { TextLineStream } from "../../src/blocker/text_lines.ts";
import { openTun } from "./tun.ts";
import { addressKey } from "../../src/gateway/bans/ban_key.ts";
import { bytes } from "../gateway/bytes.ts";

export const PORT = 20_000;

export type FilterSettings = Omit<BanSideOptions, "log">;

export const DEFAULT_SETTINGS: FilterSettings = {
  interfaces: [],
  xdpMode: "auto",
  scope: "ip",
  limit: 1024,
  persist: false,
  whitelistIps: [],
  monitorOnly: false,
};

/** A source's datagrams, by `Date.now()`. */
export interface Heard {
  lastMs: number;
  /** The longest time without one. */
  pauseMs: number;
  /** When the first one came after half a second without any. */
  resumedMs: number;
}

const SILENCE_MS = 500;

async function main(settings: FilterSettings): Promise<void> {
  const print = (entry: unknown) => console.log(JSON.stringify(entry));
  const heard = new Map<string, Heard>();
  for (const type of ["udp4", "udp6"] as const) {
    createSocket({ type, ipv6Only: true })
      .on("message", (_, { address }) => {
        const now = Date.now();
        const before = heard.get(address) ?? { lastMs: now, pauseMs: 0, resumedMs: now };
        const pause = now - before.lastMs;
        const resumedMs = pause > SILENCE_MS ? now : before.resumedMs;
        heard.set(address, { lastMs: now, pauseMs: Math.max(before.pauseMs, pause), resumedMs });
      })
      .bind(PORT);
  }
  const tuns = new Map<string, (packet: Uint8Array<ArrayBuffer>) => void>();
  const answer = (argument: unknown) =>
    new BanDesk(side.bans, side.local).answer(readBanRequest(argument));
  await using server = new ControlServer(networkNamespaceInode(), { bans: answer });
  const log: LogLine = (level, message) => print({ level, message });
  using side = BanSide.open({ ...settings, log });
  side.attach();
  const commands: Record<string, (argument: unknown) => unknown> = {
    bans: answer,
    attachments: () => side.xdp?.attachments,
    // As a queue worker bans, and the main thread hears of it: what is attached after its first turn.
    banFrom: (argument) => {
      const { address, device } = argument as { address: string; device: string };
      new Bans(side.bans.handles).ban(parseAddress(address)!, 0, 17, 1, 3_600_000, 0);
      side.enforce([interfaceIndex(device), 0]);
      return side.xdp?.attachments;
    },
    drops: () => Object.fromEntries(side.xdp?.drops() ?? []),
    size: () => side.bans.size,
    sweep: () => side.bans.sweep(),
    refresh: () => side.xdp?.refresh(),
    isBanned: (address) => side.bans.isBanned(parseAddress(String(address))!, 17, 1),
    heard: () => Object.fromEntries(heard),
    openPorts: (ports) => side.setOpenPorts(ports as number[]),
    whitelist: (networks) => side.setWhitelist(networks as string[]),
    banEndpoint: (argument) => {
      const { address, port } = argument as { address: string; port: number };
      return side.bans.ban(parseAddress(address)!, 0, 17, port, 3_600_000, 0);
    },
    monitor: (on) => side.setMonitorOnly(on === true),
    banMany: (count) => banMany(side, Number(count)),
    feed: (argument) => {
      const { device, packet } = argument as { device: string; packet: string };
      if (!tuns.has(device)) tuns.set(device, openTun(device));
      tuns.get(device)?.(bytes(packet));
    },
  };
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => stop = resolve);
  Deno.addSignalListener("SIGTERM", stop);
  print({ ready: true });
  const serving = (async () => {
    for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
      const { command, argument } = JSON.parse(line);
      print({ answer: await commands[command](argument) ?? null });
    }
  })();
  await Promise.race([serving, stopped]);
  side[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  Deno.exit(0);
}

/** Bans `count` addresses of 11.0.0.0/8; returns bans a second. */
function banMany(side: BanSide, count: number): number {
  const words = Int32Array.of(0, 0, 0xffff, 0);
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    words[3] = 0x0b00_0000 + i;
    side.bans.add(addressKey(words), 3_600_000, REASON_FLEET);
  }
  return count / (performance.now() - start) * 1000;
}

if (import.meta.main) {
  try {
    await main(JSON.parse(Deno.args[0]));
  } catch (error) {
    console.log(JSON.stringify({ level: "fatal", message: (error as Error).message }));
    Deno.exit(1);
  }
}
