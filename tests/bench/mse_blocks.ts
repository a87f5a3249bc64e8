/**
 * Programs that come near to blocks and what asks for them: multiplexers whose frames are 9, 13 and 17
 * bytes, replication, remote block devices, programs that exchange blocks with others of their own, as
 * long on the wire as the named specification or program makes them. For `mse_lists.ts`.
 */
import { list, type Messages, padded, type Program, times } from "./mse_program.ts";
import { between, oneOf, random } from "./mse_random.ts";

const few = () => between(3, 10);

/** Shadowsocks' old ciphers: an IV before what either says first, an address before the request. */
const IV = 16;
const ADDRESS = 7;
/** Shadowsocks AEAD: a salt, then 2 of length and a tag for each, of chunks of 16 383 at most. */
const SALT = 32;
const sealed = (length: number) => length + 34 * Math.ceil(length / 16_383);

/** HTTP/2's frames (RFC 9113): a header of 9; `SETTINGS` acknowledged, an end of a stream. */
const FRAME = 9;
const EMPTY = FRAME;
/** `WINDOW_UPDATE` and `RST_STREAM`; `PING`. */
const WINDOW = FRAME + 4;
const PING = FRAME + 8;
const DATA = FRAME + 16_384;

/** HTTP/2's connection preface, settings, a window and a first request; the answers. */
const http2Opening = (): Messages => [
  IV + ADDRESS + 24 + FRAME + 6 * between(1, 6) + WINDOW + FRAME + between(20, 200),
  -(IV + FRAME + 6 * between(1, 6) + oneOf([0, WINDOW]) + EMPTY + FRAME + between(30, 400)),
  EMPTY + FRAME + between(40, 300),
  -(FRAME + between(10, 120) + oneOf([0, FRAME + between(5, 300)])),
];

/** gRPC: messages behind 5 bytes, a `PING` when data comes (how it measures a path), empty ends of streams. */
function grpc(isTransfer: boolean): () => () => Messages {
  return () => {
    const [request, trailers] = [between(20, 120), FRAME + between(12, 40)];
    const message = isTransfer ? oneOf([16_384, 16_379, 32_768, 65_536]) : between(5, 3000);
    const frames = (length: number) => Math.floor(length / 16_384) * DATA + FRAME + length % 16_384;
    const pings = random();
    return () => [
      ...(random() < 0.5 ? http2Opening() : padded()),
      ...times(between(5, 40), () => [
        oneOf([
          FRAME + request + FRAME + 5 + between(0, 100),
          FRAME + request,
          FRAME + 5 + between(0, 60),
          EMPTY,
        ]),
        ...(random() < 0.2 ? [-WINDOW] : []),
        ...times(isTransfer ? between(1, 6) : 1, () => [
          -frames(5 + message),
          ...(random() < pings ? [oneOf([PING, PING, WINDOW + PING, WINDOW]), -PING] : []),
        ]),
        ...(random() < 0.5 ? [-trailers] : []),
      ]),
    ];
  };
}

/** HTTP/2 downloads: full frames, some at once, windows in pairs, now and then a `PING` or an end. */
function http2(): () => Messages {
  const atOnce = between(1, 4);
  return () => [
    ...(random() < 0.5 ? http2Opening() : padded()),
    ...times(between(5, 40), () => [
      oneOf([WINDOW, WINDOW * 2, WINDOW, FRAME + between(20, 200), PING, EMPTY]),
      -oneOf([DATA * between(1, atOnce), DATA + FRAME + between(1, 16_384), PING, EMPTY]),
    ]),
  ];
}

/** Multiplexers of proxies: yamux (12 before all), smux (8), Mux.Cool and others (7 to 20). */
function multiplexer(isSealed: boolean): () => () => Messages {
  return () => {
    const header = oneOf([7, 8, 8, 12, 12, 12, 14, 16, 20]);
    const size = oneOf([4096, 8192, 16_384, 16_384, 32_768]);
    const wrapped = isSealed ? sealed : (length: number) => length;
    const [first, answer] = isSealed ? [SALT, SALT] : [IV, IV];
    const say = () => wrapped(oneOf([header, header * 2, header + between(1, 600)]));
    return () => [
      ...(random() < 0.3 ? padded() : [
        first + wrapped(ADDRESS + header + between(60, 500)),
        -(answer + wrapped(header + between(60, 500))),
        wrapped(header * between(1, 3) + between(40, 400)),
        -wrapped(header * between(1, 3) + between(0, 400)),
      ]),
      ...times(between(6, 50), () => [
        say(),
        ...times(between(1, 4), () => [
          -wrapped(oneOf([header, header + size, header + size, header + between(1, size)])),
        ]),
      ]),
    ];
  };
}

/** Tor's cells of 514 bytes, some at once; through obfs4 21 bytes more for each 1427. */
function cells(isWrapped: boolean): () => () => Messages {
  const wrapped = (length: number) => isWrapped ? length + 21 * Math.ceil(length / 1427) : length;
  return () => () => [
    ...padded(),
    ...times(between(8, 50), () => [
      wrapped(514 * oneOf([1, 1, 1, 2, 3])),
      -wrapped(514 * oneOf([1, 1, 2, between(3, 60)])),
    ]),
  ];
}

/** A block device of 4 to 128 KiB a read through Shadowsocks AEAD: NBD, iSCSI, 9P. */
function sealedDevice(): () => Messages {
  const [request, header] = oneOf([[28, 16], [48, 48], [23, 11]]);
  const size = oneOf([4096, 16_384, 16_384, 65_536, 131_072]);
  return () => [
    SALT + sealed(ADDRESS + between(20, 400)),
    -(SALT + sealed(between(20, 400))),
    sealed(between(20, 300)),
    -sealed(between(16, 300)),
    ...times(between(5, 50), () => {
      const count = oneOf([1, 1, 2, 4, 8]);
      return [
        random() < 0.5 ? sealed(request * count) : sealed(request) * count,
        ...times(count, () => [-sealed(header + size)]),
      ];
    }),
  ];
}

/** NFS (RFC 8881, RFC 5531) over a stream cipher: a mark of 4, calls of a client's length, reads of one size. */
function nfs(): () => Messages {
  const call = 4 + 4 * between(25, 50);
  // Versions 3, 4 and 4.1 with attributes or without; 13 a block are BitTorrent's.
  const [head, size] = [oneOf([64, 76, 108, 120, 132]), oneOf([8192, 16_384, 32_768, 131_072])];
  return () => [
    ...padded(),
    ...times(between(1, 4), () => [call - 4 * between(0, 6), -(head + 4 * between(0, 30))]),
    ...times(between(6, 50), () => {
      const count = oneOf([1, 1, 2, 4]);
      return [call * count, ...times(count, () => [-(head + size)])];
    }),
  ];
}

/** PostgreSQL's replication: 5 and 25 before the log's pages, 39 of status in return, signs of life of 23. */
const postgresReplica = (): Messages =>
  oneOf([
    [-(30 + oneOf([8192, 16_384, between(50, 8192), 131_072])), 39],
    [-(30 + between(50, 3000))],
    [-23, 39],
    [39],
  ]);

/** MySQL's: 4, 1 and 19 before each event; a semi-synchronous replica acknowledges with 4, 9 and a name. */
function mysqlReplica(): () => Messages {
  const told = 4 + 9 + between(10, 20);
  return () => [
    ...padded(),
    ...times(between(1, 5), () => [between(20, 90), -oneOf([11, between(60, 200)])]),
    ...times(between(8, 60), () => [
      -(24 + oneOf([between(8, 80), between(80, 4000), 16_384, 8192])),
      ...(random() < 0.7 ? [told] : []),
    ]),
  ];
}

/** Bitcoin's messages without BIP 324 in a stream cipher: a header of 24, `inv` and `getdata` of 1 and 36 n. */
const bitcoin = (): Messages =>
  oneOf([
    [24 + 1 + 36 * between(1, 20), -(24 + between(150, 900))],
    [24 + 1 + 36, -(24 + between(200_000, 400_000))],
    [24 + 8, -(24 + 8)],
    [24, -24],
    [-(24 + 1 + 36 * between(1, 5)), 24 + 1 + 36],
    [-(24 + 1 + 30 * between(1, 30))],
  ]);

/**
 * Programs that exchange blocks with others of their own (Syncthing and the like) behind keys with padding:
 * what each says of itself is as long but for some digits, then what it has, then blocks of one size behind
 * a header of few bytes, some asked for at once.
 */
function exchange(tag: number): () => () => Messages {
  return () => {
    const [hello, request, header] = [
      between(60, 420),
      oneOf([between(12, 16), between(18, 160)]), // with blocks of 16 KiB 17 is a bound, a kind by itself
      oneOf([2, 4, 5, 8, 9, 11, 12, 14, 15, 16, 18, 20, 24, 32]), // 13 a block are BitTorrent's
    ];
    const size = 16_384 * oneOf([1, 1, 1, 2, 8]) + header + tag;
    const ahead = oneOf([1, 2, 4, 4, 8]);
    const says = () => hello + between(0, 12) + tag;
    const isApart = random() < 0.5;
    return () => [
      ...padded(),
      ...(isApart ? [-says(), says()] : [says(), -says()]),
      ...times(between(1, 3), () => [between(5, 60) + tag, -(between(5, 60) + tag)]),
      ...(random() < 0.5 ? [(request + tag) * ahead] : times(ahead, () => [request + tag])),
      ...times(between(6, 40), () => [-size, ...(random() < 0.8 ? [request + tag] : [])]),
    ];
  };
}

/** A backup or an updater: chunks of any size in records of 16 KiB, told of by one small message. */
function records(): () => Messages {
  const header = oneOf([2, 4, 5, 8, 9, 12, 16, 18, 20, 21, 22, 29, 34]);
  const [request, told] = [between(30, 300), between(4, 40)];
  const isUpload = random() < 0.5;
  const chunk = () => {
    const length = between(4000, 400_000);
    return length + header * Math.ceil(length / 16_384);
  };
  return () => [
    ...padded(),
    ...times(between(1, 4), () => [between(10, 200), -between(10, 200)]),
    ...times(between(4, 20), () => isUpload ? [chunk(), -told] : [request, -chunk()]),
  ];
}

/** I2P's NTCP2 with streams in it: 2 of length and 16, a block of 3; tunnels' messages of 1028 and 9. */
const ntcp2Streams = (): Messages => [
  64 + between(0, 223),
  -(64 + between(0, 223)),
  between(500, 900),
  -(18 + between(3, 60)),
  ...times(between(8, 50), () => [
    18 + (3 + 1037) * oneOf([1, 1, 2]) + between(0, 66),
    -(18 + (3 + 1037) * oneOf([1, 2, between(3, 15)]) + between(0, 66)),
  ]),
];

const behindPadding = (of: () => Messages) => () => () => [
  ...padded(),
  ...times(between(6, 50), of),
];

export const BLOCKS: readonly Program[] = [
  { name: "gRPC over a stream cipher, calls", servers: few, start: grpc(false) },
  { name: "gRPC over a stream cipher, transfers", servers: few, start: grpc(true) },
  { name: "HTTP/2 over a stream cipher, downloads", servers: few, start: http2 },
  { name: "multiplexers over a stream cipher", servers: few, start: multiplexer(false) },
  { name: "multiplexers over Shadowsocks AEAD", servers: list, start: multiplexer(true) },
  { name: "Tor's cells over a stream cipher", servers: few, start: cells(false) },
  { name: "Tor's cells in frames of obfs4's", servers: few, start: cells(true) },
  { name: "block devices over Shadowsocks AEAD", servers: few, start: sealedDevice },
  { name: "NFS over a stream cipher", servers: few, start: nfs },
  {
    name: "PostgreSQL's replication over a stream cipher",
    servers: few,
    start: behindPadding(postgresReplica),
  },
  { name: "MySQL's replication over a stream cipher", servers: few, start: mysqlReplica },
  { name: "Bitcoin over a stream cipher", servers: few, start: behindPadding(bitcoin) },
  { name: "block exchange of one program, padded keys", servers: few, start: exchange(0) },
  { name: "block exchange of one program, tags of 16", servers: few, start: exchange(16) },
  { name: "records of 16 KiB over a stream cipher", servers: few, start: records },
  { name: "NTCP2, streams inside", servers: list, start: () => ntcp2Streams },
];
