/**
 * A process with a network in each of two threads, one of which is slow to end. Argument: the label.
 * Standard output: `ready` once both stand.
 */
import { Network } from "../../src/demo/network.ts";

const [label] = Deno.args;
const isThread = "postMessage" in self;
const network = await Network.create(label);
if (isThread) {
  const stubborn = network.router.spawn(["sh", "-c", "trap '' TERM; echo on; sleep 1000"]);
  await stubborn.printedMatch(/on/);
  (self as unknown as { postMessage(message: string): void }).postMessage("ready");
} else {
  await network.addHost("host");
  const other = new Worker(import.meta.url, { type: "module" });
  other.onmessage = () => console.log("ready");
}
