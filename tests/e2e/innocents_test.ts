/**
 * Real programs whose traffic looks like encrypted BitTorrent, each used behind a router with the
 * blocker while a neighbour torrents with forced encryption: every transfer completes, nothing of
 * them is detected, nobody of them is banned; and who torrents is detected all the while.
 *
 *     deno test -A tests/e2e/innocents_test.ts                        what every test run does
 *     INNOCENTS_SECONDS=600 deno test -A tests/e2e/innocents_test.ts  all, each for so long
 *     INNOCENTS_CAPTURE=/tmp …                                        and the user's packets in files
 */

import { delay } from "../lab/client.ts";
import { labImpossible, programPresent } from "../lab/lab.ts";
import { until } from "../until.ts";
import { assertSessions, PROGRAMS as I2PD, startI2pd } from "./innocents/i2pd.ts";
import { PROGRAMS as SHADOWSOCKS, startShadowsocks } from "./innocents/shadowsocks.ts";
import { Stage, type Torrenter } from "./innocents/stage.ts";
import { PROGRAMS as TOR, startTor } from "./innocents/tor.ts";
import { OTHER_KINDS, PROGRAMS as V2RAY, startV2ray, tcpKinds } from "./innocents/v2ray.ts";
import { Visitor, type Way, Web } from "./innocents/visits.ts";

const SECONDS = Number(Deno.env.get("INNOCENTS_SECONDS") ?? 0);
/** Between rounds of the long form: a person's pace, which leaves the machine its cores. */
const PAUSE_MS = 1_000;
const COMMON = ["curl", "/usr/bin/python3"];

interface Case {
  readonly name: string;
  readonly programs: readonly string[];
  readonly torrenter: Torrenter;
  /** In every test run; else only with INNOCENTS_SECONDS. */
  readonly always: boolean;
  /** Of the file that is transferred. */
  readonly length: number;
  /** At least so many, whatever the time: with each, another way has the transfers. */
  readonly rounds: number;
  /** Rounds that may fail though nothing of the user is detected: I2P drops one in some twenty itself. */
  readonly ownFailures?: number;
  /** Starts the programs; gives the user's ways to the web. */
  start(stage: Stage): Promise<Way[]>;
  /** Whether the programs did what they are watched for. */
  check?(stage: Stage): Promise<void>;
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
  length: 3_000_000,
  rounds: 4,
  async start(stage) {
    return [
      ...await startShadowsocks(stage, shadowsocks),
      ...await startV2ray(stage, tcpKinds(vmess)),
    ];
  },
});

const CASES: readonly Case[] = [
  lists(1, 1, "beside", false),
  lists(4, 1, "beside", false),
  lists(10, 5, "beside"),
  lists(10, 5, "same host", false),
  lists(10, 5, "shared address"),
  {
    name: "v2ray's VMess over mKCP, and multiplexed",
    programs: V2RAY,
    torrenter: "shared address",
    always: false,
    length: 3_000_000,
    rounds: OTHER_KINDS.length,
    start: (stage) => startV2ray(stage, OTHER_KINDS),
  },
  {
    name: "i2pd, eight routers",
    programs: I2PD,
    torrenter: "beside",
    always: true,
    length: 200_000,
    rounds: 1,
    ownFailures: 2,
    start: startI2pd,
    check: assertSessions,
  },
  {
    name: "tor, by a guard and by an obfs4 bridge",
    programs: TOR,
    torrenter: "beside",
    always: false,
    length: 1_000_000,
    rounds: 2,
    start: startTor,
  },
];

const impossible = labImpossible();
for (const innocent of CASES) {
  const { name, programs, torrenter, always } = innocent;
  const missing = [...programs, ...COMMON].filter((program) => !programPresent(program));
  const why = impossible ?? (missing.length > 0 ? `needs ${missing.join(", ")}` : null) ??
    (always || SECONDS > 0 ? null : "long form, INNOCENTS_SECONDS");
  Deno.test({
    name: `innocents: ${name}, torrents ${torrenter}${why === null ? "" : ` (skipped: ${why})`}`,
    ignore: why !== null,
    async fn() {
      await using stage = await Stage.create(torrenter);
      const [host] = stage.outer;
      const directory = await stage.newDirectory("web");
      const web = await Web.start(host, host.ipv4, directory, innocent.length);
      const ways = await innocent.start(stage);
      const rounds = await use(stage, web, ways, innocent).catch(async (cause) => {
        const wronged = JSON.stringify(await stage.wronged());
        throw new Error(`of the user was detected: ${wronged}\n${cause}`, { cause });
      });
      await innocent.check?.(stage);
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
async function use(
  stage: Stage,
  web: Web,
  ways: readonly Way[],
  { rounds: atLeast, ownFailures = 0 }: Case,
): Promise<number> {
  const visitor = new Visitor(stage.user, web, await stage.newDirectory("visits"));
  const before = await stage.detectionsOfTorrenter();
  const end = performance.now() + SECONDS * 1000;
  let rounds = 0;
  let seen = before;
  const round = async () => {
    const detections = await stage.detectionsOfTorrenter();
    if (detections === seen) await stage.torrentAgain();
    seen = detections;
    for (const requests of [1, 2, 5]) await visitor.latencyTests(ways, requests);
    const way = ways[rounds++ % ways.length];
    await Promise.all([visitor.download(way), visitor.upload(way)]);
  };
  let failures = 0;
  while (rounds < atLeast || performance.now() < end) {
    const done = rounds;
    try {
      await round();
    } catch (error) {
      if (++failures > ownFailures) throw error;
      rounds = done;
    }
    if (SECONDS > 0) await delay(PAUSE_MS);
  }
  await until(
    async () => {
      if (await stage.detectionsOfTorrenter() > before) return true;
      // No further rounds for this: of many, one of I2P's fails without anybody's doing.
      await stage.torrentAgain();
      await delay(5_000);
      return false;
    },
    () => `no detection of who torrents beside the others\n${stage.blocker.log}`,
  );
  return rounds;
}
