/** What a Linux machine sends a service: stop, or read the settings again. */
export class Signals implements Disposable {
  #waiting: ((event: "stop" | "reload") => void) | null = null;
  #stop = false;
  #reload = false;
  readonly #stopping: () => void;
  readonly #onStop = () => this.stop();
  readonly #onReload = () => this.#deliver("reload");

  /** @param stopping called as soon as a stop is asked for, whatever is going on then */
  constructor(stopping: () => void) {
    this.#stopping = stopping;
    Deno.addSignalListener("SIGINT", this.#onStop);
    Deno.addSignalListener("SIGTERM", this.#onStop);
    Deno.addSignalListener("SIGHUP", this.#onReload);
  }

  #deliver(event: "stop" | "reload"): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) waiting(event);
    else if (event === "stop") this.#stop = true;
    else this.#reload = true; // several in a row are one
  }

  /** As a signal would: whoever started us is gone. */
  stop(): void {
    this.#stopping();
    this.#deliver("stop");
  }

  next(): Promise<"stop" | "reload"> {
    if (this.#stop) return Promise.resolve("stop");
    if (this.#reload) {
      this.#reload = false;
      return Promise.resolve("reload");
    }
    return new Promise((resolve) => this.#waiting = resolve);
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#onStop);
    Deno.removeSignalListener("SIGTERM", this.#onStop);
    Deno.removeSignalListener("SIGHUP", this.#onReload);
  }
}
