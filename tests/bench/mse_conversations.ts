/**
 * Conversations of programs whose bytes look as MSE's, message by message, for `mse_lists.ts`: each
 * modelled on the recorded program or specification that is named.
 */
import { inTheClear, list, type Messages, padded, type Program, times } from "./mse_program.ts";
import { between, oneOf, random } from "./mse_random.ts";

/** A list of proxies is tried: the same request to each, one to five times. */
function latencyTest(first: () => number, more: () => number, pad: () => number) {
  return () => {
    const [hello, answer, request, reply] = [first(), between(90, 600), more(), more()];
    const requests = between(1, 5);
    return () => [
      hello + pad(),
      -(answer + pad()),
      ...times(requests, () => [request + pad(), -(reply + pad())]),
    ];
  };
}

const none = () => 0;

/** Through authenticated encryption: most are small. */
const ofAnySize = () => random() < 0.7 ? between(35, 140) : between(35, 600);

/** Small messages as they are, behind an opening as long as MSE's. */
function throughStreamCipher(of: () => Messages): () => () => Messages {
  return () => {
    const opening = [between(96, 400), -between(96, 400), between(56, 300), -between(20, 300)];
    return () => [...opening, ...times(between(5, 40), of)];
  };
}

export const PROGRAMS: readonly Program[] = [
  {
    name: "NTCP2 (i2pd 2.45)",
    servers: () => between(5, 40),
    start: () => () => [
      64 + between(0, 223),
      -(64 + between(0, 223)),
      oneOf([709, between(400, 900)]),
      ...times(between(1, 8), () => [-between(21, 900), between(21, 900)]),
    ],
  },
  {
    name: "Shadowsocks, latency test",
    servers: list,
    start: latencyTest(() => between(100, 600), () => between(35, 300), none),
  },
  {
    name: "Shadowsocks, small messages",
    servers: list,
    start: () => () => [
      between(100, 600),
      -between(96, 600),
      ...times(between(3, 12), () => [between(35, 140), -between(35, 140)]),
      -between(2000, 60_000),
    ],
  },
  {
    name: "Shadowsocks, messages of any size before data",
    servers: list,
    start: () => () => [
      between(96, 608),
      -between(96, 608),
      ...times(between(1, 4), () => [ofAnySize(), -ofAnySize()]),
      -between(2000, 60_000),
    ],
  },
  {
    name: "VMess, latency test",
    servers: list,
    start: latencyTest(() => between(150, 540), () => between(35, 300), () => between(0, 63)),
  },
  {
    name: "plain HTTP through Shadowsocks, load balanced",
    servers: () => between(3, 10),
    start: () => () => [
      between(150, 600),
      ...times(between(2, 10), () => [-between(200, 60_000), between(80, 700)]),
    ],
  },
  {
    name: "plain HTTP through VMess, load balanced",
    servers: () => between(3, 10),
    start: () => () => [
      150 + between(0, 390),
      ...times(between(2, 10), () => [-(18 + between(200, 60_000)), 18 + between(80, 763)]),
    ],
  },
  {
    name: "eMule, obfuscated",
    servers: () => 30,
    start: () => () => [
      12 + between(0, 128),
      -(6 + between(0, 128)),
      between(90, 200),
      -between(90, 200),
      ...times(between(2, 12), () => [oneOf([6, 22, 46, 24, 39, 63]), -oneOf([6, 10, 18, 22, 47])]),
      ...times(between(0, 6), () => [-10_240]),
    ],
  },
  {
    name: "eMule, obfuscated, server's handshake",
    servers: () => 8,
    start: () => () => [
      98 + between(0, 254),
      -(103 + between(0, 254)),
      between(60, 200),
      ...times(between(2, 12), () => [-between(6, 90), between(6, 90)]),
    ],
  },
  {
    name: "obfs4, list",
    servers: list,
    start: () => () => [
      between(149, 608),
      -between(96, 608),
      ...times(between(2, 8), () => [543 * between(1, 2), -543 * between(1, 4)]),
    ],
  },
  {
    name: "MTProxy, list",
    servers: list,
    start: () => () => [
      105 + 4 * between(0, 40),
      -(85 + 4 * between(3, 60)),
      ...times(between(2, 9), () => [41 + 16 * between(0, 12), -(41 + 16 * between(0, 60))]),
    ],
  },
  {
    name: "RLPx before EIP-8",
    servers: () => 30,
    start: () => () => [
      307,
      -210,
      ...times(between(2, 9), () => [48 + 16 * between(0, 12), -(48 + 16 * between(0, 12))]),
    ],
  },
  {
    name: "BIP 324",
    servers: () => 10,
    start: () => () => [
      64 + between(32, 544),
      -(64 + between(32, 544)),
      between(56, 600),
      ...times(between(2, 9), () => [-oneOf([20, 28, 57, 21 + between(0, 200)]), oneOf([28, 57])]),
    ],
  },
  {
    name: "Tox relays",
    servers: () => 8,
    start: () => () => [
      128,
      -96,
      ...times(between(2, 9), () => [50 + between(0, 70), -between(20, 120)]),
    ],
  },
  {
    name: "RDP standard security, joined",
    servers: () => 1,
    isJoined: true,
    start: () => () => times(60, () => [-between(100, 9000), oneOf([17, 17, 17, 17, 12, 24, 31])]),
  },
  {
    name: "RDP standard security, mouse alone, joined",
    servers: () => 1,
    isJoined: true,
    start: () => () => times(80, () => [-between(100, 40_000), 17]),
  },
  {
    name: "one message of 17 a screen of constant size, joined",
    servers: () => 1,
    isJoined: true,
    start: () => {
      // One of a block's own size is what is looked for.
      const size = oneOf([between(1000, 16_396), between(16_398, 30_000)]);
      return () => times(80, () => [-size, 17]);
    },
  },
  {
    name: "VNC over a stream cipher",
    servers: () => 5,
    start: throughStreamCipher(() => [oneOf([6, 6, 8, 10]), -(4 + between(12, 9000))]),
  },
  {
    name: "telnet over a stream cipher",
    servers: () => 5,
    start: throughStreamCipher(() =>
      oneOf([[1, -1], [1, -1], [2, -between(5, 80)], [1, -between(1, 2000)], [5, -5], [17, -17]])
    ),
  },
  {
    name: "MQTT over a stream cipher",
    servers: () => 5,
    start: throughStreamCipher(() =>
      oneOf([[between(20, 90), -4], [2, -2], [between(9, 40), -5], [-between(10, 200), 4]])
    ),
  },
  {
    // Through a SOCKS proxy, say, which joins and cuts what it reads: only sums of lengths are left.
    name: "some messages of 17 n, bodies of any size over a stream cipher, list",
    servers: list,
    start: () => () => [
      ...padded(),
      ...times(between(0, 3), () => [inTheClear(), -inTheClear()]),
      inTheClear(),
      ...times(
        between(2, 6),
        () => [-between(1500, 90_000), random() < 0.5 ? 17 * between(1, 16) : inTheClear()],
      ),
    ],
  },
  {
    name: "headers and bodies over a stream cipher, list",
    servers: list,
    start: () => () => [
      ...padded(),
      ...times(
        between(1, 12),
        () => [inTheClear(), -inTheClear(), ...oneOf([[], [-between(1500, 6000)]])],
      ),
    ],
  },
  {
    name: "any small messages over a stream cipher",
    servers: () => 5,
    start: throughStreamCipher(
      () => [between(2, 120), -oneOf([between(2, 120), between(20, 6000)])],
    ),
  },
];
