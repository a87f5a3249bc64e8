/**
 * Real programs whose traffic looks like encrypted BitTorrent, each used behind a router with the
 * blocker while a neighbour torrents with forced encryption: every transfer completes, nothing of
 * them is detected, nobody of them is banned; and who torrents is detected all the while.
 *
 *     deno test -A tests/e2e/innocents_test.ts                        what every test run does
 *     INNOCENTS_SECONDS=600 deno test -A tests/e2e/innocents_test.ts  all, each for so long
 *     INNOCENTS_CAPTURE=/tmp …                                        and the user's packets in files
 */

import assert from "node:assert/strict";
import { labImpossible, programPresent } from "../lab/lab.ts";
import { PATIENCE_MS } from "../until.ts";
import { PROGRAMS as SHADOWSOCKS, startShadowsocks } from "./innocents/shadowsocks.ts";
import { Stage, type Torrenter } from "./innocents/stage.ts";
import { PROGRAMS as V2RAY, startV2ray } from "./innocents/v2ray.ts";
import { Visitor, Web } from "./innocents/visits.ts";

const SECONDS = Number(Deno.env.get("INNOCENTS_SECONDS") ?? 0);
/** At least so many, whatever the time: with each, another proxy has a transfer. */
const ROUNDS = 4;
const FILE_LENGTH = 3_000_000;
const COMMON = ["curl", "/usr/bin/python3"];

interface Case {
  readonly name: string;
  readonly programs: readonly string[];
  readonly torrenter: Torrenter;
  /** In every test run; else only with INNOCENTS_SECONDS. */
  readonly always: boolean;
  /** Starts the programs; gives the user's SOCKS ports. */
  start(stage: Stage): Promise<number[]>;
}

const plural = (count: number) => `${count} ${count === 1 ? "server" : "servers"}`;

/** A list of Shadowsocks servers beside one of VMess servers. */
const lists = (
  shadowsocks: number,
  vmess: number,
  torrenter: Torrenter,
  always = true,
): Case => ({
  name: `shadowsocks-libev (${plural(shadowsocks)}) and v2ray's VMess (${plural(vmess)})`,
  programs: [...SHADOWSOCKS, ...V2RAY],
  torrenter,
  always,
  async start(stage) {
    return [...await startShadowsocks(stage, shadowsocks), ...await startV2ray(stage, vmess)];
  },
});

const CASES: readonly Case[] = [
  lists(1, 1, "beside", false),
  lists(4, 1, "beside", false),
  lists(10, 5, "beside"),
  lists(10, 5, "same host"),
  lists(10, 5, "shared address"),
];

const impossible = labImpossible();
for (const { name, programs, torrenter, always, start } of CASES) {
  const missing = [...programs, ...COMMON].filter((program) => !programPresent(program));
  const why = impossible ?? (missing.length > 0 ? `needs ${missing.join(", ")}` : null) ??
    (always || SECONDS > 0 ? null : "long form, INNOCENTS_SECONDS");
  Deno.test({
    name: `innocents: ${name}, torrents ${torrenter}${why === null ? "" : ` (skipped: ${why})`}`,
    ignore: why !== null,
    async fn() {
      await using stage = await Stage.create(torrenter);
      const ports = await start(stage);
      const rounds = await use(stage, ports);
      await stage.assertUntouched();
      console.log(
        `${rounds} rounds, who torrents ${await stage.detectionsOfTorrenter()} detections`,
      );
    },
  });
}

/**
 * Rounds of latency tests, then a transfer each way, until the time is up and who torrents has been
 * detected beside them too.
 */
async function use(stage: Stage, ports: readonly number[]): Promise<number> {
  const directory = await stage.newDirectory("visits");
  const [host] = stage.outer;
  const web = await Web.start(host, host.ipv4, directory, FILE_LENGTH);
  const visitor = new Visitor(stage.user, web, directory);
  const before = await stage.detectionsOfTorrenter();
  const end = performance.now() + SECONDS * 1000;
  const patience = end + PATIENCE_MS;
  let rounds = 0;
  while (
    rounds < ROUNDS || performance.now() < end || await stage.detectionsOfTorrenter() === before
  ) {
    assert(performance.now() < patience, "who torrents was not detected any more");
    for (const requests of [1, 2, 5]) await visitor.latencyTests(ports, requests);
    const port = ports[rounds % ports.length];
    await Promise.all([visitor.download(port), visitor.upload(port)]);
    rounds++;
  }
  return rounds;
}
