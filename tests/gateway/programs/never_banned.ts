/** Says of each address on standard input whether it is never banned here; `refresh` looks anew. */
import { LocalAddresses } from "../../../src/gateway/network/local_addresses.ts";
import { parseAddress } from "../../../src/packet/address.ts";
import { TextLineStream } from "../../../src/blocker/text_lines.ts";

using local = new LocalAddresses();
console.log(`ready ${local.defaultInterfaces.join()}`);
for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
  if (line === "refresh") console.log(`refreshed ${local.refresh()}`);
  else console.log(`${line} ${local.never.contains(parseAddress(line)!, 0) ? "never" : "may"}`);
}
