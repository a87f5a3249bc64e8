/** Real programs that are not BitTorrent, talking through the router: what must never be touched. */

import type { Host } from "../../../src/demo/network.ts";
import type { Lab } from "../lab.ts";
import { randomBytes } from "../../../src/demo/torrent.ts";
import { until } from "../../until.ts";

export interface Conversation {
  /** Also the capture's name. */
  readonly name: string;
  /** Programs that must be there. */
  readonly programs: readonly string[];
  /**
   * A whole exchange between `lab.inner` (client) and `lab.outer[0]` (server). Throws when it does
   * not complete, or when what arrives is not what was sent.
   */
  run(lab: Lab): Promise<void>;
}

/** Waits until a program listens on the port in the host's namespace. */
export async function listening(host: Host, proto: "tcp" | "udp", port: number): Promise<void> {
  const ss = ["ss", "-Hln", proto === "tcp" ? "-t" : "-u", `sport = :${port}`];
  await until(
    async () => (await host.run(ss)).trim() !== "",
    () => `nothing listens on ${proto} port ${port}`,
  );
}

/** A file of random bytes in `directory`. */
export async function randomFile(directory: string, length: number): Promise<string> {
  const path = `${directory}/random.bin`;
  await Deno.writeFile(path, randomBytes(length));
  return path;
}

/** Throws unless the two files hold the same bytes. */
export async function sameContent(a: string, b: string): Promise<void> {
  const [left, right] = await Promise.all([Deno.readFile(a), Deno.readFile(b)]);
  const same = left.length === right.length && left.every((byte, index) => byte === right[index]);
  if (!same) throw new Error(`${b} (${right.length} bytes) differs from ${a} (${left.length})`);
}

/** A self-signed certificate: `[key, certificate]`, PEM files. */
export async function certificate(host: Host, directory: string): Promise<[string, string]> {
  const key = `${directory}/key.pem`;
  const cert = `${directory}/cert.pem`;
  await host.run([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    key,
    "-out",
    cert,
    "-days",
    "30",
    "-subj",
    "/CN=lab.example",
  ]);
  return [key, cert];
}
