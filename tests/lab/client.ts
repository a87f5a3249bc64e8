/** What the drivers of the real clients have in common. */

import type { Host } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";
import type { Proxy } from "./proxies.ts";
import { type Torrent, verifiedBytes } from "../../src/demo/torrent.ts";

/** How peers are to talk; `default` is what the client does as it comes. */
export type Mode = "tcp" | "mse-rc4" | "mse-plain" | "utp" | "utp-mse" | "default";

export interface Endpoint {
  host: string;
  port: number;
}

export interface ClientOptions {
  host: Host;
  /** An empty directory of its own. */
  directory: string;
  torrent: Torrent;
  mode: Mode;
  /** A seeder has the whole content from the start. */
  role: "seed" | "leech";
  /** Listening port, TCP and UDP. */
  port: number;
  /** Start from the magnet link instead of the .torrent file. */
  magnet?: boolean;
  /** Peers given directly; only libtorrent takes them (see `Client.takesPeers`). */
  peers?: readonly Endpoint[];
  /** Switches DHT on, with these first nodes. */
  dht?: readonly Endpoint[];
  /** Announces itself on the local network (BEP 14); libtorrent only. */
  localDiscovery?: boolean;
  /** Proxy for everything; only of a client that {@link Client.takesProxy takes} one. */
  proxy?: Proxy;
  /** Certificate, key and parameters (PEM files) with which peers of an SSL torrent speak TLS; libtorrent only. */
  tls?: readonly [certificate: string, key: string, parameters: string];
  /** Bytes a second a seeder sends; for transfers that are still running when looked at. */
  uploadLimit?: number;
}

/** A client that has been started. */
export class RunningClient {
  constructor(
    readonly options: ClientOptions,
    readonly program: Program,
  ) {}

  /** Bytes of pieces on the disk that match the torrent. */
  verifiedBytes(): Promise<number> {
    return verifiedBytes(this.options.torrent, contentPath(this.options));
  }

  /** Waits for the whole content; gives the verified bytes when the time is up. */
  async completed(timeoutMs: number): Promise<number> {
    const { length } = this.options.torrent.content;
    const deadline = performance.now() + timeoutMs;
    while (true) {
      const bytes = await this.verifiedBytes();
      if (bytes === length || performance.now() > deadline || this.program.exit !== null) {
        return bytes;
      }
      await delay(250);
    }
  }

  stop(): Promise<Deno.CommandStatus> {
    return this.program.stop("SIGTERM", 2_000); // some tell their tracker first
  }
}

export interface Client {
  readonly name: string;
  /** The program that must be there. */
  readonly program: string;
  /** Modes it can be forced into, as the side that opens the connection and as the other. */
  readonly modes: readonly Mode[];
  /** Whether `ClientOptions.peers` works; else a tracker in its namespace names the peer. */
  readonly takesPeers: boolean;
  /** Whether `ClientOptions.proxy` works. */
  readonly takesProxy?: boolean;
  /** Starts it; resolved when it serves (a seeder has checked its files). */
  start(options: ClientOptions): Promise<RunningClient>;
}

/** Where the content is or will be. */
export function contentPath(options: ClientOptions): string {
  return `${options.directory}/data/${options.torrent.name}`;
}

/** Writes the .torrent file, and for a seeder the content; gives the .torrent file's path. */
export async function prepare(options: ClientOptions): Promise<string> {
  await Deno.mkdir(`${options.directory}/data`, { recursive: true });
  const path = `${options.directory}/sample.torrent`;
  await Deno.writeFile(path, options.torrent.file);
  if (options.role === "seed") await Deno.writeFile(contentPath(options), options.torrent.content);
  return path;
}

/** Listening ports of peers are in this range, so that a filter can tell peers from trackers. */
export const FIRST_PEER_PORT = 51_413;
export const LAST_PEER_PORT = 51_429;
const PEER_PORTS = `${FIRST_PEER_PORT}:${LAST_PEER_PORT}`;

/**
 * Refuses connections to other peers over one transport in the client's own namespace, for clients
 * that cannot be told to use the other one only.
 */
export async function refuse(host: Host, transport: "tcp" | "udp"): Promise<void> {
  const reject = transport === "tcp" ? ["REJECT", "--reject-with", "tcp-reset"] : ["REJECT"];
  for (const command of ["iptables", "ip6tables"]) {
    // Both chains: what comes from a peer that was not told is refused too.
    for (const chain of ["INPUT", "OUTPUT"]) {
      const rule = [chain, "-p", transport, "--dport", PEER_PORTS, "-j", ...reject];
      await host.run([command, "-w", "10", "-A", ...rule]);
    }
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
