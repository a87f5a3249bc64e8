/**
 * A Tor network of one's own (three authorities that are relays and exits, a bridge) with real tor
 * and obfs4proxy; the user has one client that enters by a guard and one that enters by the bridge.
 */

import type { Host } from "../../../src/demo/network.ts";
import { output, type Program } from "../../../src/demo/program.ts";
import { listening } from "../../lab/programs/conversation.ts";
import { until } from "../../until.ts";
import type { Stage } from "./stage.ts";
import { socks, type Way } from "./visits.ts";

export const PROGRAMS = ["tor", "tor-gencert", "obfs4proxy"];
const AUTHORITIES = 3;
const OR_PORT = 5_001;
const DIRECTORY_PORT = 7_001;
const OBFS4_PORT = 17_443;
const GUARD_SOCKS_PORT = 9_050;
const BRIDGE_SOCKS_PORT = 9_150;
const BOOTSTRAP_MS = 180_000;

/** What every member of the network is told; the short intervals are for the first consensus. */
const COMMON = `TestingTorNetwork 1
ShutdownWaitLength 0
AssumeReachable 1
EnforceDistinctSubnets 0
Log notice stdout
`;
const RELAY = `SocksPort 0
ExitRelay 1
ExitPolicy accept *:*
ExitPolicyRejectPrivate 0
`;
const AUTHORITY = `AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo nobody@lab.example
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
`;

interface Member {
  name: string;
  host: Host;
  address: string;
  directory: string;
}

/** Starts the network and waits until both clients have their circuits; the ways through them. */
export async function startTor(stage: Stage): Promise<Way[]> {
  const names = Array.from({ length: AUTHORITIES }, (_, index) => `authority${index}`);
  const authorities = await Promise.all(
    names.map((name, index) => member(stage, stage.outer[index], name)),
  );
  const lines = (await Promise.all(authorities.map(directoryLine))).join("");
  const network = COMMON + lines;
  await Promise.all(authorities.map((one) => start(one, network + relay(one) + AUTHORITY)));
  const bridge = await member(stage, stage.outer[AUTHORITIES], "bridge");
  await start(bridge, network + relay(bridge) + BRIDGE(bridge.address));
  const guardClient = await member(stage, stage.user, "client");
  const bridgeClient = await member(stage, stage.user, "bridgeclient");
  await Promise.all([
    connect(guardClient, network, GUARD_SOCKS_PORT),
    bridgeSettings(bridge).then((settings) =>
      connect(bridgeClient, network + settings, BRIDGE_SOCKS_PORT)
    ),
  ]);
  return [socks("Tor", GUARD_SOCKS_PORT), socks("Tor by obfs4", BRIDGE_SOCKS_PORT)];
}

async function member(stage: Stage, host: Host, name: string): Promise<Member> {
  const directory = await stage.newDirectory(name);
  await Deno.chmod(directory, 0o700);
  const address = host === stage.user ? host.ipv4 : await stage.serverAddress(host);
  await Deno.writeTextFile(`${directory}/torrc`, "");
  await Deno.writeTextFile(`${directory}/defaults`, ""); // not the machine's own
  return { name, host, address, directory };
}

function settingsFrom(directory: string): string[] {
  return ["-f", `${directory}/torrc`, "--defaults-torrc", `${directory}/defaults`];
}

function relay({ address }: Member): string {
  const own =
    `Address ${address}\nORPort ${address}:${OR_PORT}\nDirPort ${address}:${DIRECTORY_PORT}\n`;
  return RELAY + own;
}

const BRIDGE = (address: string) =>
  `BridgeRelay 1
PublishServerDescriptor 0
ExtORPort auto
ServerTransportPlugin obfs4 exec ${OBFS4PROXY}
ServerTransportListenAddr obfs4 ${address}:${OBFS4_PORT}
`;
const OBFS4PROXY = "/usr/bin/obfs4proxy";

/** Makes an authority's keys; the line by which all know it. */
async function directoryLine({ name, address, directory }: Member): Promise<string> {
  const keys = `${directory}/keys`;
  await Deno.mkdir(keys, { mode: 0o700 });
  const files = ["-i", "identity_key", "-s", "signing_key", "-c", "certificate"]
    .map((word) => word.startsWith("-") ? word : `${keys}/authority_${word}`);
  const endpoint = `${address}:${DIRECTORY_PORT}`;
  const generate = ["tor-gencert", "--create-identity-key", "-m", "12", "-a", endpoint, ...files];
  // Its passphrase, which is empty, comes from standard input.
  await output(["sh", "-c", 'echo | "$@" --passphrase-fd 0', "sh", ...generate]);
  const certificate = await Deno.readTextFile(`${keys}/authority_certificate`);
  const v3ident = /^fingerprint (\w+)/m.exec(certificate)![1];
  const fingerprint = await fingerprintOf(name, directory);
  const words = [name, `orport=${OR_PORT}`, `v3ident=${v3ident}`, endpoint, fingerprint];
  return `DirAuthority ${words.join(" ")}\n`;
}

/** The identity of a relay, which tor makes when it is asked for it. */
async function fingerprintOf(name: string, directory: string): Promise<string> {
  const printed = await output([
    ...["tor", "--list-fingerprint", "--quiet", ...settingsFrom(directory)],
    ...["--DataDirectory", directory, "--ORPort", String(OR_PORT), "--Nickname", name],
    ...["--DirAuthority", `none 127.0.0.1:1 ${"F".repeat(40)}`],
  ]);
  return /((?:[0-9A-F]{4} ?){10})\s*$/.exec(printed)![1].replaceAll(" ", "");
}

async function start(
  { name, host, directory }: Member,
  settings: string,
): Promise<Program> {
  const own = `Nickname ${name}\nDataDirectory ${directory}\n`;
  await Deno.writeTextFile(`${directory}/torrc`, own + settings);
  const command = ["tor", ...settingsFrom(directory)];
  return host.spawn(command, { log: `${directory}/log` });
}

async function connect(client: Member, settings: string, socksPort: number): Promise<void> {
  const program = await start(client, `${settings}SocksPort ${socksPort}\n`);
  await program.printedMatch(/Bootstrapped 100%/, BOOTSTRAP_MS);
}

/** How the bridge is entered: its line in a client's settings. */
async function bridgeSettings({ host, name, address, directory }: Member): Promise<string> {
  await listening(host, "tcp", OBFS4_PORT);
  const state = `${directory}/pt_state/obfs4_bridgeline.txt`;
  const text = () => Deno.readTextFile(state).catch(() => "");
  await until(async () => /cert=\S+ iat-mode/.test(await text()));
  const cert = /cert=\S+ iat-mode=\d/.exec(await text())![0];
  const fingerprint = (await Deno.readTextFile(`${directory}/fingerprint`)).trim()
    .slice(name.length).trim();
  return `UseBridges 1
ClientTransportPlugin obfs4 exec ${OBFS4PROXY}
Bridge obfs4 ${address}:${OBFS4_PORT} ${fingerprint} ${cert}
`;
}
