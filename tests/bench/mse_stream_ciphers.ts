/**
 * Programs whose own messages go through a cipher that adds nothing (Shadowsocks' old ones, RC4 or
 * AES-CTR relays): as long on the wire as the named specification or program makes them. For
 * `mse_lists.ts`.
 */
import { list, type Messages, padded, type Program, times } from "./mse_program.ts";
import { between, oneOf, random } from "./mse_random.ts";

const few = () => between(3, 10);

/** Shadowsocks' old ciphers: an IV of 16 bytes and an address before the first request, an IV back. */
const IV = 16;
const ADDRESS = 7;

/** Behind a first exchange as long as a key with padding and, now and then, MSE's own four messages. */
const opening = (): Messages =>
  random() < 0.5 ? padded() : [
    IV + between(100, 500),
    -(IV + between(90, 500)),
    between(56, 400),
    -between(20, 500),
  ];

/** Block devices: some reads at once, each `request` long, as many answers of 16 KiB behind a header. */
function blockDevice(request: number, header: number, status: number): () => () => Messages {
  return () => () => [
    ...opening(),
    ...times(between(1, 4), () => [between(20, 120), -between(20, 120)]),
    ...times(between(5, 60), () => {
      const count = oneOf([1, 1, 1, 2, 3, 4, 8]);
      if (random() < 0.1) return [count * (request + 16_384), -(count * status)];
      return random() < 0.5
        ? [count * request, -(count * (header + 16_384))]
        : [count * request, ...times(count, () => [-(header + 16_384)])];
    }),
  ];
}

/** A backup: blocks of 16 KiB behind a header, told of by one small message for one or some. */
function backup(): () => Messages {
  const [header, told] = [oneOf([4, 5, 8, 9, 12, 16, 20, 24, 28, 32, 48]), between(4, 40)];
  const isUpload = random() < 0.7;
  return () => [
    ...opening(),
    ...times(between(1, 4), () => [between(10, 120), -between(10, 120)]),
    ...times(between(10, 60), () => {
      const count = oneOf([1, 1, 2, 4]);
      const [blocks, answer] = [count * (header + 16_384), random() < 0.8 ? told : count * told];
      return isUpload ? [blocks, -answer] : [-blocks, answer];
    }),
  ];
}

/** The same request to each server, answered alike: latency tests of a list. */
function latencyTest(): () => Messages {
  const [request, reply] = [between(60, 200), between(90, 300)];
  const requests = between(1, 5);
  return () => [
    IV + ADDRESS + request,
    -(IV + reply),
    ...times(requests, () => [request, -reply]),
  ];
}

/** Parts of a file, 16 KiB each: a head by itself or before the part (RFC 9110, section 14). */
function ranges(): () => Messages {
  const [request, head] = [between(90, 400), between(180, 420)];
  return () => [
    IV + ADDRESS + request,
    -(IV + head + 16_384),
    ...times(between(4, 60), () => [
      request + between(0, 2),
      ...(random() < 0.5 ? [-(head + 16_384)] : [-head, -16_384]),
    ]),
  ];
}

/** SSH's packets: 4 of length, 8 n or 16 n, 16 of a tag; keystrokes and their echoes are of one length. */
function shell(): () => Messages {
  const key = oneOf([28, 36, 44, 52]);
  return () => [
    IV + ADDRESS + oneOf([21, 32, 40]) + between(60, 400),
    -(IV + between(90, 500)),
    oneOf([56, 64, 80, 96, 128]),
    -oneOf([28, 44, 52, 68, 84, 500]),
    ...times(between(10, 60), () =>
      oneOf([
        [key, -key],
        [key, -key],
        [key, -(20 + 16 * between(1, 200))],
        [20 + 8 * between(1, 20), -(20 + 8 * between(1, 20))],
      ])),
  ];
}

/** A game: input of a few lengths each tick, the world's state of any, a map now and then. */
function game(): () => Messages {
  const inputs = Array.from({ length: between(2, 6) }, () => between(3, 60));
  return () => [
    ...opening(),
    ...times(between(20, 90), () => [
      oneOf(inputs) * oneOf([1, 1, 1, 2]),
      -oneOf([between(4, 90), between(30, 900), between(800, 16_384)]),
    ]),
  ];
}

/** Screens in tiles of one buffer's size, answered by input of few lengths, several at once. */
function screens(): () => Messages {
  // 16 KiB behind just 13 bytes are BitTorrent's block.
  const tile = oneOf([4096, 8192, 16_384]) + oneOf([4, 5, 8, 9, 12, 14, 16, 20, 24, 32, 40]);
  const inputs = [between(4, 20), between(4, 20), between(8, 40)];
  return () => [
    ...opening(),
    ...times(between(20, 80), () => [
      -(tile * oneOf([1, 1, 2, 3]) + (random() < 0.3 ? between(20, 3000) : 0)),
      oneOf(inputs) * oneOf([1, 1, 1, 2, 3]),
    ]),
  ];
}

/** Frames of 2 or 4 bytes and a mask (RFC 6455) within `more` bytes of authenticated encryption. */
function webSocket(more: number): () => Messages {
  return () => [
    between(180, 520),
    -between(129, 420),
    ...times(between(5, 40), () => [
      more + 6 + between(1, 120),
      -(more + oneOf([2 + between(1, 120), 4 + between(126, 5000)])),
    ]),
  ];
}

export const STREAM_CIPHERS: readonly Program[] = [
  {
    name: "old Shadowsocks, latency test, equal answers",
    servers: list,
    start: latencyTest,
  },
  { name: "old Shadowsocks, HTTP ranges of 16 KiB", servers: few, start: ranges },
  { name: "old Shadowsocks, SSH inside", servers: few, start: shell },
  { name: "Shadowsocks AEAD, WebSocket inside", servers: list, start: () => webSocket(34) },
  { name: "NBD over a stream cipher", servers: few, start: blockDevice(28, 16, 16) },
  { name: "iSCSI over a stream cipher", servers: few, start: blockDevice(48, 48, 48) },
  { name: "9P over a stream cipher", servers: few, start: blockDevice(23, 11, 11) },
  { name: "backup in blocks of 16 KiB over a stream cipher", servers: few, start: backup },
  { name: "game over a stream cipher", servers: few, start: game },
  { name: "screens in tiles over a stream cipher", servers: few, start: screens },
];
