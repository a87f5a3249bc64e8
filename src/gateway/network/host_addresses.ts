/**
 * Addresses of hosts by name that are never to be banned, such as the fleet's API. Asked of the system
 * as programs ask (hosts file, resolvers), again and again: names move, and large ones answer with
 * another address each time.
 */
import { lookup } from "node:dns/promises";
import { parseAddress } from "../../packet/address.ts";

/** How often names are resolved again. */
const AGAIN_MS = 60_000;
/** At the start somebody waits. */
const FIRST_MS = 5_000;
/** An address stays protected so long after the last answer that had it. */
const KEPT_MS = 24 * 3_600_000;

/** Every address of a host; rejects where it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface HostAddressesOptions {
  /** Names or addresses; a port or brackets are none of it. */
  readonly hosts: readonly string[];
  /** Gets all addresses, whenever they may have changed. */
  readonly take: (addresses: readonly Int32Array[]) => void;
  readonly warn: (message: string) => void;
  readonly resolve?: Resolve;
  readonly nowMs?: () => number;
}

export class HostAddresses implements Disposable {
  readonly #options: HostAddressesOptions;
  /** By address: when an answer had it last. */
  readonly #seen = new Map<string, number>();
  readonly #complained = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(options: HostAddressesOptions) {
    this.#options = options;
  }

  /** Resolves once, for some seconds at most, and goes on doing so. */
  static async watch(options: HostAddressesOptions): Promise<HostAddresses> {
    const hosts = new HostAddresses(options);
    let late: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => late = setTimeout(resolve, FIRST_MS));
    await Promise.race([hosts.refresh(), patience]);
    clearTimeout(late);
    hosts.#timer = setInterval(() => void hosts.refresh(), AGAIN_MS);
    return hosts;
  }

  /** Asks for all of them again. Never rejects: what was known stays. */
  async refresh(): Promise<void> {
    const { hosts, take, nowMs = Date.now } = this.#options;
    await Promise.all(hosts.map((host) => this.#resolve(host.replace(/^\[|\]$/g, ""))));
    for (const [address, seenMs] of this.#seen) {
      if (nowMs() - seenMs > KEPT_MS) this.#seen.delete(address);
    }
    take([...this.#seen.keys()].flatMap((text) => parseAddress(text) ?? []));
  }

  async #resolve(host: string): Promise<void> {
    const { warn, resolve = systemResolve, nowMs = Date.now } = this.#options;
    try {
      const addresses = parseAddress(host) === null ? await resolve(host) : [host];
      for (const address of addresses) this.#seen.set(address, nowMs());
      this.#complained.delete(host);
    } catch (error) {
      if (this.#complained.has(host)) return;
      this.#complained.add(host);
      warn(
        `Cannot resolve ${host}, so its addresses may be banned: ${(error as Error).message}; ` +
          "asked again every minute",
      );
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function systemResolve(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
