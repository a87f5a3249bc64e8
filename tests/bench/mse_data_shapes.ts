/**
 * How other encrypted protocols cut what they send, for `mse_data_phases.ts`: sizes of their writes
 * on the wire, framing included, and of their small messages. From real programs where there were
 * any (tests/captures), else from the specifications.
 */

import { between, oneOf, random } from "./mse_random.ts";

/** How much an application gives away at once: file buffers, web objects, whatever comes. */
function payload(): number {
  switch (between(0, 3)) {
    case 0:
      return oneOf([4096, 8192, 16_384, 32_768, 65_536]);
    case 1:
      return between(200, 4000);
    case 2:
      return between(4000, 40_000);
    default:
      return between(40_000, 200_000);
  }
}

/** `length` in frames of at most `most` bytes, each with `more` bytes around it. */
const framed = (length: number, most: number, more: number) =>
  length + Math.ceil(length / most) * more;

const padded = (length: number, to: number) => Math.ceil(length / to) * to;

/** Lines, keystrokes, acknowledgements and requests of the application inside. */
const inner = () => (random() < 0.5 ? between(1, 60) : between(60, 560));

export interface Shape {
  readonly name: string;
  /** Lengths of the first messages, in turns; without, the flow is ruled out when seen from there. */
  readonly opening?: () => number[];
  /** Wire length of a write of the side that sends much. */
  readonly write: () => number;
  /** Wire length of a small message. */
  readonly small: () => number;
}

/** One size for all of a flow's writes, as programs with one buffer have. */
function constantWrites(sizes: readonly number[]): () => Shape {
  return () => {
    const size = oneOf(sizes);
    return {
      name: "",
      opening: () => [between(100, 600), between(100, 600), between(60, 600)],
      write: () => size,
      small: () => between(1, 400),
    };
  };
}

function shape(
  name: string,
  opening: (() => number[]) | undefined,
  write: () => number,
  small: () => number,
): readonly [string, () => Shape] {
  return [name, () => ({ name, opening, write, small })];
}

/** Shapes by name; each flow asks for its own. */
export const SHAPES: readonly (readonly [string, () => Shape])[] = [
  shape(
    "Shadowsocks AEAD",
    () => [between(120, 700), between(80, 1400), between(60, 700)],
    () => framed(payload(), 16_383, 34),
    () => inner() + 34,
  ),
  // a write a chunk, as go-shadowsocks2 does
  shape(
    "Shadowsocks AEAD, chunk by chunk",
    () => [between(120, 700), between(80, 1400), between(60, 700)],
    () => (random() < 0.7 ? 16_383 : between(1, 16_383)) + 34,
    () => inner() + 34,
  ),
  shape(
    "Shadowsocks, stream cipher, TLS inside",
    () => [between(120, 600), between(96, 600), between(60, 600)],
    () => framed(payload(), 16_384, 22),
    () => inner() + 22,
  ),
  shape(
    "VMess AEAD",
    () => [between(150, 750), between(60, 1400), between(60, 600)],
    () => framed(payload(), oneOf([2048, 8192, 16_366]), oneOf([18, 34])),
    () => inner() + 18,
  ),
  shape(
    "obfs4",
    () => [between(149, 8192), between(96, 8192), between(60, 1448)],
    () => framed(payload(), 1427, 21) + (random() < 0.3 ? between(0, 1448) : 0),
    () => 21 + padded(inner(), 514),
  ),
  shape(
    "MTProto, obfuscated",
    () => [between(105, 400), between(80, 700), between(60, 400)],
    () => 4 + 24 + padded(oneOf([payload(), 32_768, 131_072, 524_288]) + 32, 16),
    () => 1 + 24 + padded(inner() + 32, 16),
  ),
  shape(
    "Ethereum RLPx",
    () => [307, 210, between(64, 300)],
    () => 48 + padded(payload(), 16),
    () => 48 + padded(inner(), 16),
  ),
  shape(
    "Bitcoin v2 transport (BIP 324)",
    () => [between(64, 4159), between(64, 4159), between(60, 300)],
    () => 21 + (random() < 0.3 ? between(300_000, 2_000_000) : payload()),
    () => oneOf([20, 28, 57, 21 + inner()]),
  ),
  shape(
    "OpenVPN over TCP, XOR",
    () => [between(42, 120), between(54, 140), between(60, 600)],
    () => framed(payload(), 1360, 66),
    () => 42 + inner(),
  ),
  // channel data of 32 KiB, several in a write; chacha20-poly1305, aes-gcm, umac
  shape(
    "SSH",
    undefined,
    () => {
      const [block, more] = oneOf([0, 1]) === 0 ? [8, 4 + 16] : [16, 4 + 16];
      return oneOf([1, 1, 2, 4]) *
        (padded(oneOf([32_768, 16_384, payload() % 32_769]) + 14, block) + more);
    },
    () => 20 + padded(inner() + 14, oneOf([8, 16])),
  ),
  shape(
    "SSH, interactive",
    undefined,
    () => 20 + padded(between(20, 8000), 8),
    () => oneOf([28, 36, 36, 36, 44, 52, 76]),
  ),
  // harsher than real: no record header ever stands at the beginning of a segment
  shape("TLS 1.3", undefined, () => framed(payload(), 16_384, 22), () => 22 + inner()),
  shape("TLS 1.2, GCM", undefined, () => framed(payload(), 16_384, 29), () => 29 + inner()),
  shape(
    "TLS 1.2, CBC",
    undefined,
    () => padded(framed(payload(), 16_384, 41), 16) + 5,
    () => 5 + padded(40 + inner(), 16),
  ),
  shape(
    "TLS, Tor cells",
    undefined,
    () => framed(514 * between(1, 62), 16_384, 22),
    () => 22 + 514 * between(1, 2),
  ),
  shape(
    "random transfer, any sizes",
    () => [between(100, 600), between(100, 600), between(100, 600)],
    payload,
    () => between(1, 1400),
  ),
  [
    "random transfer, buffers",
    constantWrites([4096, 8192, 16_384, 32_768, 65_536, 131_072]),
  ],
  [
    "random transfer, constant messages",
    constantWrites([500, 750, 1000, 1024, 1200, 1500, 2000, 2048, 4000, 5000, 10_000]),
  ],
  // screens, samples, records of one size whose multiples a block's length is, 19 times 863
  [
    "random transfer, constant messages of 863 n",
    constantWrites(
      Array.from({ length: 57 }, (_, at) => at + 1).filter((n) => n % 19 !== 0).map((n) => 863 * n),
    ),
  ],
  // lengths of messages as they are, as with a cipher that adds nothing: games, remote control
  shape(
    "stream cipher, small messages",
    () => [between(96, 300), between(96, 300), between(60, 200)],
    () => between(20, 6000),
    () => between(2, 120),
  ),
];
