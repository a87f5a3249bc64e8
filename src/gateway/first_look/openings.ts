/**
 * What no BitTorrent stream or datagram opens with, one row an opening: the only place that says it.
 * `deno task bpf` writes bpf/openings.h from it, by which the kernel's first look recognises openings;
 * a row is good only if the engine calls every flow clean that opens so in both directions
 * (tests/gateway/first_look). HTTP has none: a request may be an announce, and user space says of
 * which the answer may settle the flow (bpf/http_answer.h).
 */

/** What one byte must be: a value, one of several, a value under a mask, or at most one. */
export type ByteTest =
  | number
  | readonly number[]
  | { readonly mask: number; readonly is: number }
  | { readonly least?: number; readonly most: number };

export interface Opening {
  /** `tls-client-hello`; in C `TLS_CLIENT_HELLO`. */
  readonly name: string;
  /** As status and metrics name it; of both directions the same, or they are no pair. */
  readonly kind: OpeningKind;
  readonly transport: "tcp" | "udp";
  /** Who opens so: the end that began the flow, the other, or either. */
  readonly from: "initiator" | "responder" | "either";
  /** Fewest bytes in the first segment or datagram. */
  readonly least: number;
  /** The only lengths of the datagram, where there are such. */
  readonly lengths?: readonly number[];
  /** Tests of bytes by their places. */
  readonly bytes: Readonly<Record<number, ByteTest>>;
  /** Besides, a test of bpf/unknown.h, by its name. */
  readonly test?: string;
  /** The datagram's length, as 16 bits at this place count it without `less` bytes. */
  readonly lengthField?: { readonly at: number; readonly less: number };
  /**
   * Up to 8 bytes that an answer repeats: without them anybody's answer would do. For QUIC the
   * connection id, whose place bpf/btblocker_look.bpf.c finds.
   */
  readonly token?: { readonly at: number; readonly length: number };
  /** The specification. */
  readonly source: string;
}

export const OPENING_KINDS = [
  ...["tls", "ssh", "quic", "dns", "ntp", "dtls", "stun", "wireguard", "unknown", "http"],
] as const;
export type OpeningKind = typeof OPENING_KINDS[number];

const SSH_TEXT = 16;

function printableFrom(from: number, to: number): Record<number, ByteTest> {
  const places = Array.from({ length: to - from }, (_, index) => from + index);
  return Object.fromEntries(places.map((at) => [at, { least: 0x20, most: 0x7e }]));
}

/** Versions of TLS records and hellos on the wire, 3.0 to 3.4. */
const TLS_MINOR = { most: 4 };
/** A record is 2^14 bytes and its header at most. */
const RECORD_LENGTH = { most: 0x40 };

const tlsHello = { 0: 0x16, 1: 3, 2: TLS_MINOR, 3: RECORD_LENGTH, 6: 0, 9: 3, 10: TLS_MINOR };
/** DTLS 1.0 and 1.2, epoch 0, a sequence number below 2^16, a record that fits a datagram. */
const dtlsRecord = {
  ...{ 1: 0xfe, 2: [0xff, 0xfd], 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0 },
};
const MAGIC_COOKIE = { 4: 0x21, 5: 0x12, 6: 0xa4, 7: 0x42 };

/** QUIC by version: number, and type bits of an Initial packet (RFC 9000 17.2.2, RFC 9369 3.2). */
const QUIC_VERSIONS = [
  ["v1", [0x00, 0x00, 0x00, 0x01], 0xc0],
  ["v2", [0x6b, 0x33, 0x43, 0xcf], 0xd0],
  ["draft29", [0xff, 0x00, 0x00, 0x1d], 0xc0],
] as const;

function quicRows(): Opening[] {
  return QUIC_VERSIONS.flatMap(([name, [a, b, c, d], initial]): Opening[] => {
    const version = { 1: a, 2: b, 3: c, 4: d };
    const common = { kind: "quic", transport: "udp", source: "RFC 9000 17.2, RFC 9369" } as const;
    const connectionId = { 5: { most: 20 } };
    return [
      {
        ...common,
        name: `quic-${name}-initial`,
        from: "initiator",
        least: 1200, // RFC 9000 14.1
        bytes: { 0: { mask: 0xf0, is: initial }, ...version, 5: { least: 8, most: 20 } },
      },
      {
        ...common,
        name: `quic-${name}-answer`,
        from: "responder",
        least: 21,
        bytes: { 0: { mask: 0xc0, is: 0xc0 }, ...version, ...connectionId },
      },
    ];
  });
}

/** Rows are numbered from 1 in this order; 0 is none. */
export const OPENINGS: readonly Opening[] = [
  {
    name: "tls-client-hello",
    kind: "tls",
    transport: "tcp",
    from: "initiator",
    least: 11,
    bytes: { ...tlsHello, 5: 1 },
    source: "RFC 8446 5.1, 4.1.2",
  },
  {
    name: "tls-server-hello",
    kind: "tls",
    transport: "tcp",
    from: "responder",
    least: 11,
    bytes: { ...tlsHello, 5: 2 },
    source: "RFC 8446 4.1.3",
  },
  {
    name: "tls-alert",
    kind: "tls",
    transport: "tcp",
    from: "responder",
    least: 7,
    bytes: { 0: 0x15, 1: 3, 2: TLS_MINOR, 3: 0, 4: 2, 5: [1, 2] },
    source: "RFC 8446 6",
  },
  {
    name: "ssh-banner",
    kind: "ssh",
    transport: "tcp",
    from: "either",
    least: SSH_TEXT,
    // "SSH-2.", and text as far as the engine wants it before it takes a stream for text
    bytes: {
      0: 0x53,
      1: 0x53,
      2: 0x48,
      3: 0x2d,
      4: [0x31, 0x32],
      5: 0x2e,
      ...printableFrom(6, SSH_TEXT),
    },
    source: "RFC 4253 4.2",
  },
  ...quicRows(),
  {
    name: "dns-query",
    kind: "dns",
    transport: "udp",
    from: "initiator",
    least: 17,
    // QR and opcode 0, no response code; one question, no answer, no authority, few additions
    bytes: {
      ...{ 2: { mask: 0xf8, is: 0 }, 3: { mask: 0x4f, is: 0 }, 4: 0, 5: 1, 6: 0, 7: 0 },
      ...{ 8: 0, 9: 0, 10: 0, 11: { most: 2 } },
    },
    token: { at: 0, length: 2 },
    source: "RFC 1035 4.1.1",
  },
  {
    name: "dns-response",
    kind: "dns",
    transport: "udp",
    from: "responder",
    least: 17,
    bytes: { 2: { mask: 0xf8, is: 0x80 }, 3: { mask: 0x40, is: 0 }, 4: 0, 5: 1, 6: 0, 8: 0, 10: 0 },
    token: { at: 0, length: 2 },
    source: "RFC 1035 4.1.1",
  },
  {
    name: "ntp-client",
    kind: "ntp",
    transport: "udp",
    from: "initiator",
    least: 48,
    lengths: [48, 68, 72], // with a digest of MD5, SHA-1
    bytes: { 0: [0x1b, 0x23, 0xdb, 0xe3] }, // version 3 or 4, mode 3; clock set or not
    token: { at: 40, length: 8 }, // transmit timestamp
    source: "RFC 5905 7.3",
  },
  {
    name: "ntp-server",
    kind: "ntp",
    transport: "udp",
    from: "responder",
    least: 48,
    lengths: [48, 68, 72],
    bytes: { 0: { mask: 0x3f, is: 0x24 } },
    token: { at: 24, length: 8 }, // origin timestamp
    source: "RFC 5905 7.3",
  },
  {
    name: "ntp3-server",
    kind: "ntp",
    transport: "udp",
    from: "responder",
    least: 48,
    lengths: [48, 68, 72],
    bytes: { 0: { mask: 0x3f, is: 0x1c } },
    token: { at: 24, length: 8 },
    source: "RFC 1305 3.2.1",
  },
  {
    name: "dtls-client-hello",
    kind: "dtls",
    transport: "udp",
    from: "initiator",
    least: 25,
    bytes: { 0: 0x16, ...dtlsRecord, 13: 1, 14: 0 },
    source: "RFC 6347 4.1, 4.2.2",
  },
  {
    name: "dtls-server-hello",
    kind: "dtls",
    transport: "udp",
    from: "responder",
    least: 25,
    bytes: { 0: 0x16, ...dtlsRecord, 13: [2, 3], 14: 0 }, // or HelloVerifyRequest
    source: "RFC 6347 4.2.1",
  },
  {
    name: "dtls-alert",
    kind: "dtls",
    transport: "udp",
    from: "responder",
    least: 15,
    lengths: [15],
    bytes: { 0: 0x15, ...dtlsRecord, 11: 0, 12: 2, 13: [1, 2] },
    source: "RFC 6347 4.1, RFC 5246 7.2",
  },
  {
    name: "stun-request",
    kind: "stun",
    transport: "udp",
    from: "initiator",
    least: 20,
    bytes: { 0: 0, 1: [1, 3], ...MAGIC_COOKIE }, // Binding, Allocate
    lengthField: { at: 2, less: 20 },
    token: { at: 8, length: 8 },
    source: "RFC 8489 5, RFC 8656",
  },
  {
    name: "stun-response",
    kind: "stun",
    transport: "udp",
    from: "responder",
    least: 20,
    bytes: { 0: 1, 1: [0x01, 0x03, 0x11, 0x13], ...MAGIC_COOKIE },
    lengthField: { at: 2, less: 20 },
    token: { at: 8, length: 8 },
    source: "RFC 8489 5",
  },
  {
    name: "wireguard-initiation",
    kind: "wireguard",
    transport: "udp",
    from: "initiator",
    least: 148,
    lengths: [148],
    bytes: { 0: 1, 1: 0, 2: 0, 3: 0 },
    token: { at: 4, length: 4 }, // sender index
    source: "WireGuard, 5.4.2",
  },
  {
    name: "wireguard-response",
    kind: "wireguard",
    transport: "udp",
    from: "responder",
    least: 92,
    lengths: [92],
    bytes: { 0: 2, 1: 0, 2: 0, 3: 0 },
    token: { at: 8, length: 4 }, // receiver index
    source: "WireGuard, 5.4.3",
  },
  {
    name: "unknown-stream",
    kind: "unknown",
    transport: "tcp",
    from: "either",
    least: 8,
    bytes: {},
    test: "is_unknown_stream(b, length, is_initiator)",
    source: "the engine: no detector's first byte, and no key or text",
  },
  {
    name: "unknown-datagram",
    kind: "unknown",
    transport: "udp",
    from: "either",
    least: 12, // bytes that the test looks at
    bytes: {},
    test: "is_unknown_datagram(b)",
    source: "the engine: no detector's first bytes, and no tunnel's",
  },
];
