/**
 * Applications and tunnels with ciphers of their own that keep lengths, or nearly, as their named
 * specifications or sources write them; where an opening would show who speaks, older than the blocker.
 * For `mse_lists.ts`.
 */
import { list, type Messages, padded, type Program, times } from "./mse_program.ts";
import { between, oneOf, random } from "./mse_random.ts";

const few = () => between(3, 10);

/** Shadowsocks' old ciphers: an IV before what either says first, an address of a name before the request. */
const IV = 16;
const named = () => 4 + between(8, 30);

/** TLS 1.3 (RFC 8446), resumed: server's hello and finished in one; then HTTP/2 in records, full ones of 16 KiB. */
function tlsResumed(): () => Messages {
  const [hello, answer] = [oneOf([517, between(230, 560)]), between(200, 330)];
  const finished = 6 + oneOf([58, 74]);
  const preface = between(80, 160);
  return () => {
    const address = named();
    return [
      IV + address + hello,
      -(IV + answer),
      finished + oneOf([0, preface]) + between(60, 500),
      -oneOf([between(60, 90), between(200, 600)]),
      ...times(between(2, 20), () => [
        oneOf([between(35, 90), between(60, 600), 31, 39]),
        -oneOf([31, 39, between(60, 1500), 16_406 * between(1, 4) + between(0, 16_406)]),
      ]),
    ];
  };
}

/** TLS 1.2 (RFC 5246), short: keys, finished, and records 29 longer than what is in them. */
function tls12(): () => Messages {
  const [hello, answer] = [between(200, 517), between(130, 600)];
  const keys = oneOf([93, 126, 51]);
  return () => [
    IV + named() + hello,
    -(IV + answer),
    keys + between(0, 500),
    -oneOf([51, between(200, 300)]),
    ...times(between(2, 20), () => [
      29 + oneOf([between(2, 60), between(60, 600)]),
      -(29 + oneOf([between(2, 60), between(100, 3000), 16_413 * between(1, 4) - 29])),
    ]),
  ];
}

/** Small and large, as programs behind a proxy speak. */
const said = () => oneOf([between(1, 60), between(28, 120), between(60, 600)]);
const answered = () => oneOf([between(1, 60), between(28, 600), between(600, 30_000)]);

/** ShadowsocksR's auth_chain_a: a head of 40 with padding, then 2 of length, 2 of a hash, padding to none. */
function authChain(): () => Messages {
  const pad = (length: number) => length > 1300 ? 0 : between(0, oneOf([31, 127, 255, 521]));
  const frame = (length: number) => 4 + length + pad(length);
  return () => [
    IV + 40 + 12 + frame(named() + between(40, 517)),
    -(IV + frame(between(60, 560))),
    ...times(between(3, 25), () => [frame(said()), -frame(answered())]),
  ];
}

/** ShadowsocksR's auth_aes128: 4 of length and hash, 1 and more of padding, 4 of hash. */
function authAes128(): () => Messages {
  const frame = (length: number) => 9 + length + (length > 400 ? between(0, 128) : between(0, 32));
  return () => [
    IV + 31 + frame(named() + between(40, 517)),
    -(IV + frame(between(60, 560))),
    ...times(between(3, 25), () => [frame(said()), -frame(answered())]),
  ];
}

/** Psiphon's obfuscated SSH: a seed, lengths and padding, the version; SSH's key exchange within. */
function obfuscatedSsh(): () => Messages {
  const version = between(20, 42);
  const mac = oneOf([16, 20, 32]);
  const packet = () => 16 * between(1, 6) + 4 + mac;
  return () => [
    24 + between(72, 560) + version,
    -(version + between(0, 1) * between(300, 560) + 96),
    oneOf([between(400, 1400), 80, 48]),
    -oneOf([between(300, 900), between(14, 90)]),
    16,
    -packet(),
    ...times(between(4, 30), () => [packet(), -oneOf([packet(), 4 + mac + 16 * between(1, 2000)])]),
  ];
}

/** mieru: a nonce of 24 once, 48 of metadata, 16 around a payload, padding of up to 255 around that. */
function mieru(): () => Messages {
  const segment = (length: number) => 48 + between(0, 255) + (length > 0 ? 16 + length : 0);
  return () => [
    24 + segment(0) + between(0, 255),
    -(24 + segment(0) + between(0, 255)),
    ...times(between(3, 20), () => [segment(said()), -segment(answered())]),
  ];
}

/** What a tunnel adds to each packet, and a bare acknowledgement in it: with timestamps 52 bytes, else 40. */
const anyOverhead = (): [number, number] => [
  oneOf([2, 4, 8, 12, 16, 16, 20, 24, 28, 28, 34, between(2, 60)]),
  oneOf([40, 52]),
];
/** Some packet of it is 68 bytes long: a SYN of 60, or an acknowledgement. */
const toSixtyEight = (): [number, number] => oneOf([[8, 40], [8, 52], [16, 52], [28, 40]]);

/** Packets of a network through a cipher that adds the same to each, of one connection or of some. */
function packets(overhead: () => [number, number]): () => () => Messages {
  return () => {
    const [more, acknowledgement] = overhead();
    const [syn, bare] = [60 + more, acknowledgement + more];
    const full = oneOf([1280, 1400, 1420, 1500]) + more;
    const asks =
      (): Messages => [bare + between(20, 600), -oneOf([bare, bare + between(20, 1000)])];
    const connects = (): Messages => [syn, -syn, ...(random() < 0.5 ? [bare] : [])];
    const data = (): Messages => {
      const count = between(1, 12);
      const rest = random() < 0.5 ? 0 : between(60, full);
      return [-(count * full + rest), Math.ceil(count / 2) * bare];
    };
    return () => [
      ...(random() < 0.5 ? padded() : [between(96, 400), -between(96, 400)]),
      ...connects(),
      ...times(between(3, 30), () => [
        ...oneOf([asks, asks, connects, () => [bare, -bare]])(),
        ...times(between(0, 3), data),
      ]),
    ];
  };
}

/** Winny: a key of 6, then RC4: 4 of length and a command; what one is told, searches, blocks of 64 KiB. */
function winny(): () => Messages {
  const command = (body: number) => 5 + body;
  const told = () => 23 + 9 + 9 + command(between(20, 60)) + command(between(10, 200));
  return () => [
    6 + told(),
    -(6 + told()),
    command(between(51, 400)) * between(1, 2),
    ...times(between(2, 20), () =>
      oneOf([
        [-command(between(20, 4000)), command(0)],
        [-command(0), command(between(20, 4000))],
        [-command(between(60, 300)), command(between(60, 300))],
        [command(28), -command(20 + 65_536)],
      ])),
  ];
}

/** MTProto 2.0 behind 4 of length: 24, then 32 of a head, what is said, 12 and more of padding to 16 n. */
const mtproto = (said: number) => 28 + 16 * Math.ceil((32 + said + 12) / 16);

/** Telegram's files through MTProxy: parts of 32 KiB and more behind 28 bytes, some asked for at once. */
function telegramFiles(): () => Messages {
  const part = mtproto(28 + 32_768 * oneOf([1, 2, 4, 16]));
  const request = mtproto(between(60, 160));
  return () => [
    64 + mtproto(between(20, 300)),
    -mtproto(between(20, 400)),
    ...times(between(1, 4), () => [mtproto(between(4, 300)), -mtproto(between(4, 400))]),
    ...times(between(2, 10), () => {
      const count = between(1, 4);
      return [request * count, ...times(count, () => [-part])];
    }),
  ];
}

/** Spotify (librespot): 3 of command and length, a code of 4; 128 KiB in packets of 4 KiB; pings. */
const spotify = (): Messages =>
  oneOf([
    [7 + 26, -(7 + 24), -(32 * (7 + 2 + 4096) + 9)],
    [7 + 26, -(8 * (7 + 2 + 4096) + 9)],
    [-(7 + 4), 7 + 4],
    [7 + between(30, 300), -(7 + between(30, 9000))],
  ]);

/** A file by DCC SEND: blocks of a client's size, and the sum of what came in 4 bytes for some of them. */
function dcc(): () => Messages {
  const block = oneOf([1024, 2048, 4096, 8192, 16_384, 32_768]);
  return () =>
    times(80, () => {
      const count = oneOf([1, 1, 2, 4]);
      return [-block * count, 4 * between(1, count)];
    });
}

/** SFTP: reads of 16, 32 or 64 KiB, some on their way at once, in SSH's packets of up to 32 KiB. */
function sftp(): () => Messages {
  const tag = oneOf([16, 20, 32]);
  const wrapped = (length: number) => 4 + 16 * Math.ceil((length + 10 + 5) / 16) + tag;
  const read = wrapped(25 + oneOf([4, 8, 20]));
  const size = oneOf([16_384, 16_384, 32_768, 32_755, 30_000]);
  return () =>
    times(80, () => {
      const count = oneOf([1, 1, 1, 2, 4]);
      return [read * count, ...times(count, () => [-wrapped(13 + size)])];
    });
}

/** Oracle's native encryption: packets of 8 KiB or another unit, asked for by one small message. */
function units(): () => Messages {
  const unit = oneOf([2048, 4096, 8192, 16_384, 32_767]);
  const fetch = between(17, 60);
  return () =>
    times(
      80,
      () =>
        random() < 0.8
          ? [fetch, -(unit * between(0, 4) + between(20, unit))]
          : [between(60, 900), -between(20, 300)],
    );
}

/** The same from the beginning, through a cipher that adds nothing. */
function unitsFromStart(): () => Messages {
  const of = units();
  return () => [...padded(), between(60, 300), -between(60, 300), ...of()];
}

/** A camera: pictures of any size, a large one now and then, a sign of life of one length. */
function camera(): () => Messages {
  const [alive, head] = [between(4, 40), between(8, 40)];
  return () =>
    times(80, () => [
      ...times(between(1, 8), () => [-(head + between(600, 9000))]),
      ...(random() < 0.3 ? [-(head + between(20_000, 90_000))] : []),
      alive,
    ]);
}

/** Hypercore: 3 of length and 17 around each message; blocks of one size, a request and news of blocks. */
function hypercore(): () => Messages {
  const block = oneOf([16_384, 65_536, between(2000, 65_536)]) + between(6, 200);
  return () =>
    times(80, () => [
      20 + between(4, 12),
      ...times(between(0, 2), () => [20 + between(3, 8)]),
      -(20 + block),
    ]);
}

/** HDFS with AES-CTR: packets of 64 KiB with sums of 512 bytes each, acknowledged by one of few lengths. */
function hdfs(): () => Messages {
  const packet = 65_016 + between(300, 540);
  const done = between(5, 16);
  const isUpload = random() < 0.5;
  return () => [
    ...padded(),
    between(100, 300),
    -between(5, 60),
    ...times(40, () => isUpload ? [packet, -done] : [-packet, ...(random() < 0.1 ? [done] : [])]),
  ];
}

export const APPLICATIONS: readonly Program[] = [
  { name: "old Shadowsocks, TLS 1.3 resumed inside", servers: list, start: tlsResumed },
  { name: "old Shadowsocks, TLS 1.2 inside", servers: list, start: tls12 },
  { name: "ShadowsocksR, auth_chain_a", servers: list, start: authChain },
  { name: "ShadowsocksR, auth_aes128", servers: list, start: authAes128 },
  { name: "Psiphon, obfuscated SSH", servers: few, start: obfuscatedSsh },
  { name: "mieru", servers: list, start: mieru },
  {
    name: "packets of a network through a cipher",
    servers: few,
    start: packets(anyOverhead),
  },
  {
    name: "packets of a network, some of them 68",
    servers: few,
    start: packets(toSixtyEight),
  },
  { name: "Winny", servers: list, start: winny },
  { name: "Telegram's files through MTProxy", servers: few, start: telegramFiles },
  { name: "Spotify, joined", servers: few, isJoined: true, start: () => () => times(80, spotify) },
  { name: "DCC SEND, joined", servers: few, isJoined: true, start: dcc },
  { name: "SFTP, joined", servers: few, isJoined: true, start: sftp },
  { name: "Oracle, native encryption, joined", servers: few, isJoined: true, start: units },
  { name: "a database's units over a stream cipher", servers: few, start: unitsFromStart },
  { name: "camera, joined", servers: few, isJoined: true, start: camera },
  { name: "Hypercore, joined", servers: few, isJoined: true, start: hypercore },
  { name: "HDFS over AES-CTR", servers: few, start: hdfs },
];
