/** Holds a queue, so that nobody else can: hold_queue.ts NUMBER. Prints "ready". */
import { NetfilterQueue } from "../../../ffi/netfilter_queue.ts";

using _queue = NetfilterQueue.open({
  number: Number(Deno.args[0]),
  maxLength: 1,
  receiveBuffer: 1 << 16,
});
const stop = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", stop.resolve);
console.log("ready");
await stop.promise;
