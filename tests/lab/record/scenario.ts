/** One recording: what is started, and the truth about it. */

import type { Program } from "../../../src/demo/program.ts";
import { delay } from "../client.ts";
import type { Lab } from "../lab.ts";
import type { Truth } from "./labels.ts";

export interface Scenario {
  /** File name without `.pcap`. */
  name: string;
  /** For the labels: programs and mode. */
  source: string;
  /** Outer hosts; default 2. */
  outer?: number;
  truth: Truth;
  minimumUndecidable?: number;
  /** Runs the traffic; throws when a transfer fails, so that no broken capture is kept. */
  run(lab: Lab, recorder: Recorder): Promise<void>;
}

/** tcpdump on the router's interface to the inner host. */
export class Recorder {
  private program: Program | null = null;

  constructor(private readonly lab: Lab, readonly file: string) {}

  /** Begins to record; scenarios that begin in the middle call it themselves. */
  async start(): Promise<void> {
    const { router, inner } = this.lab;
    this.program = router.spawn([
      "tcpdump",
      "-i",
      inner.routerInterface,
      "-s",
      "0",
      "-U",
      "--immediate-mode",
      "-Z",
      "root",
      "-w",
      this.file,
      // Not DNS, nor ICMP that quotes it: the resolver is that of the machine that records.
      "(ip or ip6) and not icmp and not icmp6 and not port 53",
    ]);
    await this.program.printedMatch(/listening on/);
  }

  get running(): boolean {
    return this.program !== null;
  }

  async stop(): Promise<void> {
    if (this.program === null) return;
    await delay(200); // what is on the way
    await this.program.stop("SIGINT");
    this.program = null;
  }
}
