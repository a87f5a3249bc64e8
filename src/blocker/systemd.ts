/**
 * What a service tells systemd (sd_notify(3)): ready, in words what it is doing, reloading, stopping,
 * still alive. Datagrams to the socket that NOTIFY_SOCKET names; where it names none, nothing.
 */
import { sendUnixDatagram } from "../../ffi/libc_net.ts";

/** Sends one datagram of `NAME=value` lines to a socket. Negative when that cannot be done. */
export type SendDatagram = (path: string, bytes: Uint8Array<ArrayBuffer>) => number;

export interface ServiceOptions {
  /** `Deno.env.get` unless given. */
  readonly variable?: (name: string) => string | undefined;
  readonly send?: SendDatagram;
}

/** The service manager as seen from the service. */
export class ServiceManager implements Disposable {
  readonly #socket: string | undefined;
  readonly #send: SendDatagram;
  /** How often systemd wants to hear from us, in milliseconds; 0 for not at all. */
  readonly watchdogMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: ServiceOptions = {}) {
    const variable = options.variable ?? ((name: string) => Deno.env.get(name));
    const socket = variable("NOTIFY_SOCKET");
    // Of the kinds of socket there are, these are sent to like files (AF_VSOCK belongs to machines).
    this.#socket = socket?.startsWith("/") || socket?.startsWith("@") ? socket : undefined;
    this.#send = options.send ?? sendUnixDatagram;
    this.watchdogMs = watchdogMs(variable);
  }

  /** Started; `status` is shown by `systemctl status`. Also the end of a reload. */
  ready(status: string): void {
    this.#notify({ READY: "1", STATUS: status });
  }

  /** What it is doing, one line. */
  status(text: string): void {
    this.#notify({ STATUS: text });
  }

  /** Settings are being read again; {@link ready} ends that. */
  reloading(): void {
    this.#notify({ RELOADING: "1", STATUS: "Reading the settings again" });
  }

  stopping(): void {
    this.#notify({ STOPPING: "1", STATUS: "Removing the rules" });
  }

  /**
   * From now on tells systemd, twice in the time it grants, that all is well; is silent where
   * `isAlive` says no, so that systemd starts the service again. Nothing without WatchdogSec=.
   */
  watch(isAlive: () => boolean): void {
    if (this.#socket === undefined || this.watchdogMs === 0) return;
    clearInterval(this.#timer);
    const look = () => {
      if (isAlive()) this.#notify({ WATCHDOG: "1" });
    };
    this.#timer = setInterval(look, this.watchdogMs / 2);
    look();
  }

  /** Stops watching. Twice is harmless. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #notify(fields: Readonly<Record<string, string>>): void {
    if (this.#socket === undefined) return;
    const lines = Object.entries(fields).map(([name, value]) =>
      `${name}=${value.replaceAll("\n", " ")}\n`
    );
    // A manager that does not listen is no reason to stop blocking.
    this.#send(this.#socket, new TextEncoder().encode(lines.join("")));
  }
}

/** WATCHDOG_USEC, unless it is meant for another process (sd_watchdog_enabled(3)). */
function watchdogMs(variable: (name: string) => string | undefined): number {
  const pid = variable("WATCHDOG_PID");
  if (pid !== undefined && Number(pid) !== Deno.pid) return 0;
  const microseconds = Number(variable("WATCHDOG_USEC") ?? 0);
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : 0;
}
