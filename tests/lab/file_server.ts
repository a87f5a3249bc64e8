/**
 * A web server with one file, run as a program inside a namespace:
 *
 *     deno run -A tests/lab/file_server.ts PORT FILE
 */

import { fileURLToPath } from "node:url";
import { listening } from "./programs/conversation.ts";
import type { Host } from "../../src/demo/network.ts";

/** Starts it on a host; every path gives the file. */
export async function startFileServer(
  { directory }: { directory: string },
  host: Host,
  port: number,
  file: string,
): Promise<void> {
  const script = fileURLToPath(new URL(import.meta.url));
  host.spawn([Deno.execPath(), "run", "--quiet", "-A", script, String(port), file], {
    log: `${directory}/file-server.log`,
  });
  await listening(host, "tcp", port);
}

if (import.meta.main) {
  const [port, path] = Deno.args;
  Deno.serve({ port: Number(port), hostname: "::" }, async () => {
    const file = await Deno.open(path);
    const { size } = await file.stat();
    return new Response(file.readable, { headers: { "content-length": String(size) } });
  });
}
