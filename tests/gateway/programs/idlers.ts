/**
 * Opens connections and says nothing. Arguments: host and port of a status page, and how many; half
 * as many go to the control socket of this network namespace.
 */
import { CONTROL_DIRECTORY } from "../../../src/blocker/control.ts";
import { networkNamespaceInode } from "../../../src/gateway/network/network_namespace.ts";

const [hostname, port, count] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
const path = `${CONTROL_DIRECTORY}/control-${networkNamespaceInode()}.sock`;
const held: unknown[] = [];

async function open(what: string, tries: number, connect: () => Promise<Deno.Conn>): Promise<void> {
  for (let i = 0; i < tries; i++) {
    try {
      held.push(await connect());
    } catch {
      // refused for now
    }
  }
  console.log(`${what}: ${tries} tried`);
}

await open("page", count, () => Deno.connect({ hostname, port }));
await open("socket", count / 2, () => Deno.connect({ transport: "unix", path }));
setInterval(() => held, 60_000);
