/**
 * Tunnels, messengers' and peer-to-peer transports, databases and file protocols whose lengths follow
 * from their specifications, which are named; those without encryption of their own through a cipher
 * that adds nothing. For `mse_lists.ts`.
 */
import { list, type Messages, padded, type Program, times } from "./mse_program.ts";
import { between, oneOf, random } from "./mse_random.ts";

const few = () => between(3, 10);

/** Lengths of what is sent through a tunnel: a question and an answer, a page, a keystroke. */
const question = () => oneOf([between(1, 60), between(60, 560)]);
const answer = () => oneOf([between(1, 200), between(200, 4000), between(4000, 60_000)]);

/** So many exchanges, each of `of`, behind MSE's own padding or `opening`. */
function behind(of: () => Messages, opening: () => Messages = padded): () => () => Messages {
  return () => () => [...opening(), ...times(between(5, 40), of)];
}

/**
 * Shadowsocks 2022 (SIP022): a salt, a header of 11 bytes, one with address and padding where nothing is
 * said at once; the answer's header repeats the salt. Tags of 16, chunks of up to 64 KiB - 1.
 */
function shadowsocks2022(salt: number): () => () => Messages {
  return () => {
    const address = oneOf([7, 19, between(8, 40)]);
    return () => {
      const first = random() < 0.8 ? question() : 0;
      const padding = first === 0 ? between(1, 900) : 0;
      return [
        salt + 27 + address + 2 + padding + first + 16,
        -(salt + 11 + salt + 16 + between(1, 1400) + 16),
        ...times(between(2, 20), () => [34 + question(), -(34 + answer())]),
      ];
    };
  };
}

/** ScrambleSuit: a key of 192, padding, mark and code of 16 each; then 21 bytes around each packet. */
function scrambleSuit(): () => Messages {
  return () => [
    224 + between(0, 384),
    -(224 + between(0, 384)),
    ...times(between(4, 20), () => [21 + between(60, 1427), -(21 + between(60, 2800))]),
  ];
}

/** obfs2: a seed of 16, 8 bytes, padding; then as it is, Tor's TLS here. */
function obfs2(): () => Messages {
  return () => [
    24 + between(72, 584),
    -(24 + between(72, 584)),
    517,
    -between(900, 3000),
    between(80, 200),
    -between(51, 300),
    ...times(between(1, 12), () => [22 + 514 * between(1, 2), -(22 + 514 * between(1, 8))]),
  ];
}

/** MTProxy, secrets with dd: 64 bytes, then 4 of length, 24 and 16 n, up to 15 of padding each. */
function mtproxyPadded(): () => Messages {
  const message = () => 28 + 16 * between(1, 20) + between(0, 15);
  return () => [
    64 + message(),
    -message(),
    ...times(between(3, 20), () => [
      message(),
      -(random() < 0.2 ? 28 + 16 * between(60, 4000) + between(0, 15) : message()),
    ]),
  ];
}

/** Lightning (BOLT 8): 18 of length and tag, a message, 16; those of BOLT 1, 2 and 7. */
const lightning = () =>
  34 + oneOf([6 + between(0, 30), 6, 98, 99, 98 + 64 * between(1, 6), 1450, 136, 428, 140, 36]);

/** libp2p's Noise and yamux: 2 of length, 12 of a header, 16; window updates and pings are bare headers. */
const libp2p = () => oneOf([30, 30, 30 + between(2, 120), 30 + between(120, 4000)]);

/** WireGuard's messages behind two bytes of length: data padded to 16 (32 more), nothing but 32. */
const wireguard = () => 34 + 16 * oneOf([0, 4, 4, between(2, 12), between(12, 87)]);

/** MySQL: 3 of length, a number, a command; what is done is answered by 11. */
const mysql = (): Messages =>
  oneOf([
    [5, -11],
    [between(15, 200), -11],
    [between(15, 200), -(between(60, 400) + 9)],
    [between(15, 200), -between(500, 30_000)],
    [between(15, 60), -oneOf([12, 16, 21])],
    [9],
  ]);

/** PostgreSQL: `Sync` and the like are 5 bytes, `ReadyForQuery` 6, `ParseComplete` and `BindComplete` 5. */
const postgres = (): Messages =>
  oneOf([
    [5, -6],
    [between(14, 40) + 12 + 7 + 10 + 5, -(5 + 5 + between(10, 300) + 14 + 6)],
    [5 + between(20, 200), -(5 + 5)],
    [between(20, 60) + 10 + 5, -(5 + between(10, 30_000) + 14 + 6)],
    [5 + between(6, 200), -(13 + 6)],
  ]);

/** git's lines of packets: `want` and `have` are 50 bytes, the ends of lists 4, `NAK` 8, `ACK` 49 or more. */
function git(): () => Messages {
  return () => [
    ...padded(),
    ...times(between(1, 6), () => [
      4 + between(1, 3) * oneOf([50, between(20, 60)]),
      -oneOf([between(60, 90) * between(1, 40), 8]),
    ]),
    ...times(
      between(1, 8),
      () => [50 * oneOf([1, 1, 2, 4, 16]) + oneOf([0, 4, 9]), -oneOf([8, 49, 56, 57])],
    ),
    ...times(between(2, 20), () => [-(5 + oneOf([8192, 65_515, between(10, 8192)]))]),
  ];
}

/** rsync: 4 bytes before what is multiplexed, sums of 4 and 16 for each block, data of up to 32 KiB. */
function rsync(): () => Messages {
  return () => [
    ...padded(),
    ...times(between(1, 5), () => [4 + between(1, 100), -(4 + between(4, 80))]),
    ...times(between(4, 40), () => [
      oneOf([4 + 4 + 2, 4 + 16 + 20 * between(0, 20)]),
      -(4 * between(1, 3) + oneOf([between(1, 3000), 32_768, 32_768 + between(1, 3000)])),
    ]),
  ];
}

/** SMB 2 (MS-SMB2): 4 and 64, then 49 to read; the answer is 16 and the data behind it. */
const smb = (): Messages =>
  oneOf([
    [4 + 64 + 49, -(4 + 64 + 16 + oneOf([4096, 16_384, 32_768, 65_536]))],
    [4 + 64 + 56 + between(2, 120), -(4 + 64 + 88)],
    [4 + 64 + 24, -(4 + 64 + 60)],
    [4 + 64 + 41, -(4 + 64 + 8 + between(8, 2000))],
  ]);

/** X11: requests of 4 n, replies and events of 32. */
const x11 = (): Messages =>
  oneOf([
    [4 * between(1, 12), -32 * between(1, 4)],
    [-32 * between(1, 3)],
    [8 + 4 * between(1, 5000)],
    [4, -32],
  ]);

/** LDAP (RFC 4511): a bind that succeeds and a search that ends are 14 bytes. */
const ldap = (): Messages =>
  oneOf([
    [between(30, 90), -14],
    [between(40, 120), -(between(40, 2000) + 14)],
    [between(40, 120), -between(100, 500), -14],
    [7],
  ]);

/** SMTP and IMAP in lines: of a few bytes, and a message now and then. */
const mail = (): Messages =>
  oneOf([
    [6, -between(8, 40)],
    [between(10, 60), -oneOf([8, 14, between(14, 60)])],
    [between(8, 40), -between(500, 30_000)],
    [between(400, 20_000), -between(14, 50)],
  ]);

/** Chunks of 32, 64 or 128 KiB behind a header, asked for by a message that is as long each time. */
function largeChunks(): () => Messages {
  const blocks = oneOf([2, 4, 8]);
  const header = () =>
    oneOf([0, 1, 2, 4, 5, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 84, 96, 128]);
  const size = blocks * 16_384 + header();
  const [request, told] = [between(4, 80), between(4, 30)];
  return () => [
    ...padded(),
    ...times(between(1, 3), () => [between(10, 120), -between(10, 120)]),
    ...times(between(8, 40), () => [request, -size, ...(random() < 0.3 ? [told] : [])]),
  ];
}

/** A messenger or game: 1 to 8 bytes of frame, texts and states, acknowledgements of one length. */
function messenger(): () => Messages {
  const [frame, acknowledgement, ping] = [between(1, 8), between(2, 20), between(2, 12)];
  return () => [
    ...padded(),
    ...times(between(6, 50), () =>
      oneOf([
        [frame + ping, -(frame + ping)],
        [frame + between(4, 200), -(frame + acknowledgement)],
        [-(frame + between(4, 400)), frame + acknowledgement],
        [-(frame + between(1000, 40_000)), frame + acknowledgement],
      ])),
  ];
}

/** Keys and answers of TeamViewer's kind: input of few lengths, screens of any, told of by 8 n. */
function remoteControl(): () => Messages {
  const inputs = Array.from({ length: 4 }, () => 4 + between(1, 40));
  return () => [
    ...padded(),
    ...times(between(20, 80), () => [
      oneOf(inputs) * oneOf([1, 1, 2]),
      -oneOf([between(8, 200), between(200, 16_000), between(16_000, 50_000)]),
      ...(random() < 0.4 ? [8 * between(1, 4)] : []),
    ]),
  ];
}

const opening = (): Messages => [between(96, 400), -between(96, 400)];
const turns = (of: () => number) => (): Messages => [of(), -of()];

export const TUNNELS: readonly Program[] = [
  { name: "Shadowsocks 2022, salts of 16", servers: list, start: shadowsocks2022(16) },
  { name: "Shadowsocks 2022, salts of 32", servers: list, start: shadowsocks2022(32) },
  { name: "ScrambleSuit", servers: list, start: scrambleSuit },
  { name: "obfs2 (Tor inside)", servers: list, start: obfs2 },
  { name: "MTProxy, padded (dd), list", servers: list, start: mtproxyPadded },
  { name: "Lightning (BOLT 8)", servers: few, start: behind(turns(lightning), opening) },
  {
    name: "libp2p, Noise and yamux",
    servers: () => between(5, 40),
    start: behind(turns(libp2p), opening),
  },
  { name: "WireGuard over TCP", servers: few, start: behind(turns(wireguard), opening) },
  { name: "MySQL over a stream cipher", servers: few, start: behind(mysql) },
  { name: "PostgreSQL over a stream cipher", servers: few, start: behind(postgres) },
  { name: "git over a stream cipher", servers: few, start: git },
  { name: "rsync over a stream cipher", servers: few, start: rsync },
  { name: "SMB 2 over a stream cipher", servers: few, start: behind(smb) },
  { name: "X11 over a stream cipher", servers: few, start: behind(x11) },
  { name: "LDAP over a stream cipher", servers: few, start: behind(ldap) },
  { name: "mail over a stream cipher", servers: few, start: behind(mail) },
  { name: "chunks of 32 to 128 KiB over a stream cipher", servers: few, start: largeChunks },
  { name: "messenger over a stream cipher", servers: few, start: messenger },
  { name: "remote control over a stream cipher", servers: few, start: remoteControl },
];
