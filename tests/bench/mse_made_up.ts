/**
 * Programs that nobody has recorded, made up to come as near to MSE as a protocol of another purpose
 * may: keys behind padding as MSE's, or any opening of that size, then small messages whose lengths a
 * cipher without authentication leaves as they are. For `mse_lists.ts`.
 */
import { inTheClear, list, type Messages, padded, type Program, times } from "./mse_program.ts";
import { between, oneOf, random } from "./mse_random.ts";

/** So many messages, `of` a conversation, behind padding. */
const behindPadding = (least: number, most: number, of: () => Messages) => () => () => [
  ...padded(),
  ...times(between(least, most), of),
];

const few = () => between(3, 10);

/** Tags shorter than any in use: what one sends is so much longer. */
function shell(tag: number): () => () => Messages {
  return behindPadding(5, 40, () =>
    oneOf([
      [1 + tag, -(1 + tag)],
      [1 + tag, -(1 + tag)],
      [1 + tag, -(between(2, 3000) + tag)],
      [between(2, 80) + tag, -(between(1, 80) + tag)],
    ]));
}

/** Lengths of every message are the program's, the same for each server, in one order. */
function script(): () => Messages {
  const turns = Array.from({ length: between(6, 16) }, (_, turn) => {
    const length = turn > 3 && random() < 0.2 ? between(1300, 20_000) : between(2, 130);
    return (turn & 1) === 0 ? length : -length;
  });
  return () => [...padded(), ...turns, ...turns];
}

/** The same of lengths up to 600, as what programs say of themselves has, and a message of each kind. */
function longScript(): () => Messages {
  const turns = Array.from({ length: between(4, 12) }, (_, turn) => {
    const length = turn > 1 && random() < 0.3 ? between(1300, 60_000) : between(2, 600);
    return (turn & 1) === 0 ? length : -length;
  });
  const isAnswer = random() < 0.5; // one more write behind the fourth message
  return () => [...padded(), ...(isAnswer ? [-turns[0]] : []), ...turns, ...turns];
}

/** Both sides say the same of themselves, then there are bodies: a relay leaves their sums. */
function alike(): () => Messages {
  const told = between(128, 600);
  return () => [
    ...padded(),
    -told,
    told - between(0, 10),
    ...times(between(2, 8), () => [
      -between(1500, 90_000),
      random() < 0.5 ? 17 * between(1, 16) : inTheClear(),
    ]),
  ];
}

/** Both sides say what is the program's, each its own, then there are bodies; to each server alike. */
function constantHellos(): () => Messages {
  const [told, back] = [between(128, 600), between(64, 600)];
  return () => [
    ...padded(),
    -told,
    back,
    ...times(between(2, 8), () => [
      -between(1500, 90_000),
      random() < 0.5 ? 17 * between(1, 16) : inTheClear(),
    ]),
  ];
}

const acknowledgement = () => between(4, 20);

/** Not both lengths of `request` and `have`: with blocks of 16 KiB that is a bound, a kind by itself. */
function otherThanPeers(request: number): number {
  const length = acknowledgement();
  const isLikePeers = request + length === 17 + 9 && (request === 17 || request === 9);
  return isLikePeers ? otherThanPeers(request) : length;
}

/** Files in blocks of 16 KiB behind a header, asked for one by one or some ahead. */
function synchronizer(
  requests: () => number,
  acknowledgements: (request: number) => number,
): () => () => Messages {
  return () => {
    const request = requests();
    const header = oneOf([4, 5, 6, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 20, 21, 24, 28, 32, 40]);
    const acknowledgement = acknowledgements(request);
    const ahead = between(1, 6);
    const block = () => [-(16_384 + header)];
    return () => [
      ...padded(),
      between(20, 120),
      -between(20, 120),
      ahead * request,
      ...times(between(5, 70), () => [
        ...block(),
        ...(random() < 0.3 ? [acknowledgement] : []),
        request,
      ]),
    ];
  };
}

/** Frames as BitTorrent's: a length of four bytes, a type, a heartbeat of nothing else; no turns. */
function framed(): Messages {
  const sign = random() < 0.5 ? 1 : -1;
  const length = random() < 0.25
    ? 5
    : oneOf([5 + between(1, 12), 5 + 4 * between(0, 30), between(200, 6000)]);
  return [sign * length];
}

/** Of any length, no turns. */
function anyMessage(): Messages {
  const length = random() < 0.1 ? between(1300, 20_000) : between(2, 600);
  return [random() < 0.5 ? length : -length];
}

/** Through authenticated encryption, no turns. */
function authenticated(): Messages {
  const length = random() < 0.15 ? between(1500, 20_000) : between(35, 140);
  return [random() < 0.5 ? length : -length];
}

/** 16 KiB behind a header of another length than a piece's. */
const otherBlock = () => 16_384 + oneOf([between(0, 12), between(14, 60)]);

/** A joined program that answers `data` with `answers`, of three kinds for each host. */
function threeKinds(data: () => number): () => () => Messages {
  return () => {
    const kinds = Array.from({ length: 3 }, () => [data(), between(9, 100)]);
    return () =>
      times(80, () => {
        const [length, answer] = oneOf(kinds);
        const count = oneOf([1, 1, 1, 2]);
        return [-length * count, answer * count];
      });
  };
}

/**
 * Peers that say the same of themselves, with constant small messages around that, then data: a bound, for
 * one such program in 14,000 has just the two constants that a seed of libtorrent's has.
 */
function hellos(): () => Messages {
  const [first, granted, request, hello] = [
    between(2, 120),
    between(2, 120),
    between(2, 120),
    between(64, 500),
  ];
  const said = () => hello + between(0, 24);
  return () => [
    ...padded(),
    first,
    -said(),
    said(),
    -granted,
    ...times(between(2, 12), () => [-between(1500, 20_000), request]),
  ];
}

/** What MSE's padded keys and third message take, written in pieces up to a size that is the program's. */
function cut(of: () => Messages): () => () => Messages {
  return () => {
    const [least, most] = [between(20, 60), between(100, 200)];
    const inPieces = (length: number) => {
      const pieces: Messages = [];
      for (let left = length; left > 0;) {
        const piece = Math.min(left, between(least, most));
        pieces.push(piece);
        left -= piece;
      }
      return pieces;
    };
    return () => {
      const [first, second, third, fourth] = padded();
      return [
        ...inPieces(first),
        second,
        ...inPieces(third),
        fourth,
        ...times(between(5, 40), of),
      ];
    };
  };
}

export const MADE_UP: readonly Program[] = [
  {
    name: "any small messages behind padded keys",
    servers: few,
    start: behindPadding(5, 40, () => [between(1, 120), -between(1, 120)]),
  },
  {
    name: "headers and bodies behind padded keys, list",
    servers: list,
    start: behindPadding(1, 12, () => [
      inTheClear(),
      -inTheClear(),
      ...(random() < 0.5 ? [] : [-between(1500, 6000)]),
    ]),
  },
  {
    name: "chat of 5, 9 and 17 bytes behind padded keys",
    isBound: true,
    servers: few,
    start: behindPadding(5, 40, () => {
      const length = () => oneOf([5, 9, 14, 17, 34]);
      return random() < 0.15 ? [length(), -between(1200, 20_000)] : [length(), -length()];
    }),
  },
  {
    name: "two that say the same of themselves, padded keys",
    isBound: true,
    servers: few,
    start: hellos,
  },
  { name: "a script of fixed lengths behind padded keys", servers: few, start: script },
  {
    name: "a script of lengths up to 600 behind padded keys, list",
    servers: list,
    start: longScript,
  },
  {
    name: "both say the same of themselves, then bodies and 17 n, padded keys, list",
    isBound: true,
    servers: list,
    start: alike,
  },
  { name: "shell with tags of 4 bytes behind padded keys", servers: few, start: shell(4) },
  { name: "shell with tags of 8 bytes behind padded keys", servers: few, start: shell(8) },
  {
    name: "Modbus over a stream cipher, padded keys",
    servers: few,
    start: behindPadding(5, 40, () => oneOf([[12, -(9 + 2 * between(1, 60))], [12, -12], [8, -9]])),
  },
  {
    name: "AMQP over a stream cipher, padded keys",
    servers: few,
    start: behindPadding(5, 40, () =>
      oneOf([
        [between(40, 90) + 22 + between(8, 4000), -21],
        [8, -8],
        [between(20, 60), -between(12, 40)],
      ])),
  },
  {
    name: "Redis over a stream cipher, padded keys",
    servers: few,
    start: behindPadding(
      5,
      40,
      () => [oneOf([14, between(22, 120)]), -oneOf([4, 5, 7, 11, 30, between(6, 6000)])],
    ),
  },
  {
    name: "SOCKS and TLS in a stream cipher, padded keys",
    servers: list,
    start: behindPadding(1, 1, () => [
      3,
      -2,
      oneOf([10, 22, between(12, 60)]),
      -10,
      517,
      -between(1200, 5000),
      oneOf([64, 80, 126]),
      -between(51, 300),
      ...times(between(1, 4), () => [between(60, 600), -between(200, 20_000)]),
    ]),
  },
  {
    name: "obfs3 (Tor inside)",
    servers: list,
    start: () => () => [
      192 + between(0, 416),
      -(192 + between(0, 416)),
      between(0, 400) + 32 + 517,
      -(between(0, 400) + 32 + between(900, 3000)),
      between(80, 200),
      -between(51, 300),
      ...times(between(1, 9), () => [22 + 514 * between(1, 2), -(22 + 514 * between(1, 8))]),
    ],
  },
  {
    name: "WebSocket chat through old Shadowsocks (stream cipher)",
    servers: list,
    start: () => () => [
      16 + between(7, 60) + between(180, 520),
      -(16 + between(129, 420)),
      ...times(between(5, 40), () => [
        6 + between(1, 120),
        -(2 + oneOf([between(1, 120), between(1, 5000)])),
      ]),
    ],
  },
  {
    name: "Minecraft (AES-CFB8), joined",
    servers: few,
    isJoined: true,
    start: () => () =>
      times(120, () => [
        oneOf([28, 28, 36, 12, 4, 4, 11, 17, between(5, 60)]),
        -oneOf([12, 15, 11, between(4, 200), between(4, 3000), between(2000, 40_000)]),
      ]),
  },
  {
    name: "frames with a length of four bytes, either side, padded keys, list",
    isBound: true,
    servers: list,
    start: behindPadding(5, 40, framed),
  },
  {
    name: "messages of up to 600, either side, padded keys, list",
    servers: list,
    start: behindPadding(5, 20, anyMessage),
  },
  {
    name: "authenticated, third message of 124, either side, list",
    isBound: true,
    servers: list,
    start: () => () => [
      between(96, 608),
      -between(96, 608),
      124,
      -between(35, 600),
      ...times(between(3, 20), authenticated),
    ],
  },
  {
    name: "any small messages behind up to three blocks, joined",
    servers: few,
    isJoined: true,
    start: () => () => times(80, () => [-between(1, 49_191), between(2, 120)]),
  },
  {
    name: "any small messages behind 16 KiB each, joined",
    servers: few,
    isJoined: true,
    start: () => {
      const size = otherBlock();
      return () => times(80, () => [-size, between(2, 120)]);
    },
  },
  {
    name: "updates of a window, some at once, joined",
    servers: few,
    isJoined: true,
    start: () => {
      const [size, update] = [otherBlock(), between(9, 100)];
      return () =>
        times(80, () => {
          const count = oneOf([1, 1, 1, 2, 3]);
          return [-size * count, update * count];
        });
    },
  },
  {
    name: "three sizes of messages behind 16 KiB each, joined",
    servers: few,
    isJoined: true,
    start: () => {
      const size = otherBlock();
      return threeKinds(() => size)();
    },
  },
  {
    name: "three sizes of messages, each behind its own data, joined",
    servers: few,
    isJoined: true,
    start: threeKinds(() => between(2000, 60_000)),
  },
  {
    name: "blocks of 16 KiB, any request, padded keys",
    servers: few,
    start: synchronizer(() => between(5, 60), otherThanPeers),
  },
  {
    name: "blocks of 16 KiB, requests of 17, padded keys",
    isBound: true, // BitTorrent's but for the blocks' header
    servers: few,
    start: synchronizer(() => 17, acknowledgement),
  },
  {
    name: "any small messages behind padded keys in pieces",
    isBound: true, // nobody but BiglyBT is known to write so, and these always do
    servers: few,
    start: cut(() => [between(1, 120), -between(1, 120)]),
  },
  {
    name: "messages of up to 600, either side, padded keys in pieces, list",
    isBound: true,
    servers: list,
    start: cut(anyMessage),
  },
  {
    name: "headers and bodies behind padded keys in pieces, list",
    isBound: true,
    servers: list,
    start: cut(() => [
      inTheClear(),
      -inTheClear(),
      ...(random() < 0.5 ? [] : [-between(1500, 6000)]),
    ]),
  },
  {
    name: "a script of lengths up to 130 behind padded keys in pieces",
    isBound: true,
    servers: few,
    start: () => {
      const turns = script()().slice(4);
      return cut(() => turns)();
    },
  },
  {
    name: "a script behind words of one length, padded keys in pieces, list",
    isBound: true,
    servers: list,
    start: () => {
      const told = between(128, 600);
      const turns = script()().slice(4);
      return cut(() => [-told, ...turns])();
    },
  },
  {
    name: "what each says of itself, then bodies and 17 n, padded keys, list",
    isBound: true, // one program in forty says what is nearly as long, and bodies end anywhere
    servers: list,
    start: constantHellos,
  },
];
