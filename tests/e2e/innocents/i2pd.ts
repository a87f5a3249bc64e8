/**
 * Real i2pd: a closed I2P network of routers that know each other, the user's among them, with a
 * tunnel through it from the user to the web server. NTCP2 and SSU2 are random from the first byte.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Host } from "../../../src/demo/network.ts";
import type { Program } from "../../../src/demo/program.ts";
import { listening } from "../../lab/programs/conversation.ts";
import { until } from "../../until.ts";
import type { Stage } from "./stage.ts";
import { type Way, WEB_PORT } from "./visits.ts";

export const PROGRAMS = ["i2pd", "curl"];
/** Not 2, which is the public network's. */
const NETWORK_ID = 77;
const TUNNEL_PORT = 9_090;
const CONSOLE_PORT = 7_070;
const BOTH = ["ntcp2", "ssu2"];
/** Of the routers outside: what each speaks. */
const OUTSIDE = [BOTH, ["ntcp2"], ["ssu2"], ["ntcp2"], ["ssu2"], BOTH];
/** The user's two: one that nobody can open a connection to, as at home, and one as on a server. */
const INSIDE = [{ published: false }, { published: true }];

interface Router {
  host: Host;
  address: string;
  port: number;
  console: number;
  transports: readonly string[];
  /** Whether others are told where it is. */
  published: boolean;
  directory: string;
}

/** Starts the network and waits for the tunnel; the way through it. */
export async function startI2pd(stage: Stage): Promise<Way[]> {
  const outside = await Promise.all(OUTSIDE.map(async (transports, index) => {
    const host = stage.outer[index % stage.outer.length];
    const address = await stage.serverAddress(host);
    return await prepare(stage, { host, address, transports, published: true }, index);
  }));
  const inside = await Promise.all(INSIDE.map(({ published }, index) => {
    const router = { host: stage.user, address: stage.user.ipv4, transports: BOTH, published };
    return prepare(stage, router, OUTSIDE.length + index);
  }));
  const all = [...outside, ...inside];
  const [own] = inside;
  const [server] = outside;
  await Deno.writeTextFile(`${server.directory}/tunnels.conf`, serverTunnel());
  // Twice: the first time for their keys and what they publish, of which the others must be told.
  const first = all.map(start);
  await Promise.all(all.map(({ directory }) => until(() => isWhole(`${directory}/router.info`))));
  await until(() => isWhole(`${server.directory}/web.dat`));
  await Promise.all(first.map((program) => program.stop()));
  for (const router of all) await introduce(router, all);
  await Deno.writeTextFile(`${own.directory}/tunnels.conf`, await clientTunnel(server));
  all.forEach(start);
  await listening(stage.user, "tcp", TUNNEL_PORT);
  const way = { name: "I2P", curl: ["--connect-to", `::127.0.0.1:${TUNNEL_PORT}`] };
  const answers = async () => {
    const url = ["-o", "/dev/null", "-m", "15", "http://127.0.0.1/page"];
    return await stage.user.run(["curl", "-sf", ...way.curl, ...url]).then(() => true, () => false);
  };
  await until(answers, () => `no answer through I2P\n${logOf(own)}`, 120_000);
  return [way];
}

/** Throws unless the user's router has sessions with others outside over both transports. */
export async function assertSessions(stage: Stage): Promise<void> {
  const page = `http://127.0.0.1:${CONSOLE_PORT + OUTSIDE.length}/?page=transports`;
  const html = await stage.user.run(["curl", "-sf", page]);
  const [, ntcp2 = "", ssu2 = ""] = html.split(/label for='slide_(?:ntcp2|ssu2)'/);
  for (const [name, list] of Object.entries({ ntcp2, ssu2 })) {
    const peers = stage.servers.filter((address) => list.includes(` ${address}:`));
    assert(peers.length > 0, `no session over ${name}: ${html.slice(html.indexOf("Transports:"))}`);
  }
}

async function prepare(
  stage: Stage,
  router: Pick<Router, "host" | "address" | "transports" | "published">,
  index: number,
): Promise<Router> {
  const directory = await stage.newDirectory("i2pd");
  const ports = { port: 21_000 + index * 1_307, console: CONSOLE_PORT + index };
  const whole = { ...router, ...ports, directory };
  await Deno.writeTextFile(`${directory}/i2pd.conf`, settings(whole));
  return whole;
}

function settings({ address, port, console, transports, published }: Router): string {
  const sections = ["ntcp2", "ssu2"].map((transport) => {
    const speaks = transports.includes(transport);
    return `[${transport}]\nenabled = ${speaks}\npublished = ${speaks && published}\n`;
  });
  return `netid = ${NETWORK_ID}
host = ${address}
address4 = ${address}
port = ${port}
reservedrange = false
nat = false
floodfill = ${published}
bandwidth = P
log = stdout
loglevel = warn
${sections.join("")}
[reseed]
threshold = 0
urls =
yggurls =
[http]
port = ${console}
[httpproxy]
enabled = false
[socksproxy]
enabled = false
[sam]
enabled = false
[addressbook]
enabled = false
`;
}

function start({ host, directory }: Router): Program {
  const command = ["i2pd", `--datadir=${directory}`, `--conf=${directory}/i2pd.conf`];
  return host.spawn(command, { log: `${directory}/log` });
}

const TUNNEL_LENGTHS = ["inbound", "outbound"].map((way) => `${way}.length = 1\n`).join("");

function serverTunnel(): string {
  return `[web]
type = server
host = 127.0.0.1
port = ${WEB_PORT}
keys = web.dat
${TUNNEL_LENGTHS}`;
}

async function clientTunnel(server: Router): Promise<string> {
  const name = base32(await identityHash(`${server.directory}/web.dat`));
  return `[web]
type = client
address = 127.0.0.1
port = ${TUNNEL_PORT}
destination = ${name}.b32.i2p
keys = transient
${TUNNEL_LENGTHS}`;
}

/** Puts what the others publish into a router's database, as a reseed would. */
async function introduce(to: Router, all: readonly Router[]): Promise<void> {
  for (const { directory } of all) {
    if (directory === to.directory) continue;
    const name = base64(await identityHash(`${directory}/router.info`));
    const folder = `${to.directory}/netDb/r${name[0]}`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.copyFile(`${directory}/router.info`, `${folder}/routerInfo-${name}.dat`);
  }
}

/** SHA-256 of the identity that a file begins with: 387 bytes and its certificate's rest. */
async function identityHash(path: string): Promise<Uint8Array> {
  const bytes = await Deno.readFile(path);
  const length = 387 + bytes[385] * 256 + bytes[386];
  return createHash("sha256").update(bytes.subarray(0, length)).digest();
}

/** I2P's alphabet has `-` and `~` where others have `+` and `/`. */
function base64(bytes: Uint8Array): string {
  return bytes.toBase64().replaceAll("+", "-").replaceAll("/", "~");
}

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g)!;
  return groups.map((group) =>
    "abcdefghijklmnopqrstuvwxyz234567"[parseInt(group.padEnd(5, "0"), 2)]
  )
    .join("");
}

function isWhole(path: string): boolean {
  try {
    return Deno.statSync(path).size > 387;
  } catch {
    return false;
  }
}

function logOf({ directory }: Router): string {
  return Deno.readTextFileSync(`${directory}/log`).split("\n").slice(-40).join("\n");
}
