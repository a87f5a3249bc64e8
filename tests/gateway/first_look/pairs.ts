/** Openings of both sides, typed from the specifications, that the first look must settle. */
type Bytes = Uint8Array<ArrayBuffer>;

const bytes = (hex: string): Bytes => Uint8Array.fromHex(hex.replaceAll(" ", "")) as Bytes;

export interface Pair {
  readonly kind: string;
  readonly transport: "tcp" | "udp";
  readonly initiator: string;
  readonly responder: string;
}

// RFC 8446, 4.1.2: a record, a handshake message, legacy_version, random
const CLIENT_HELLO = "16 0301 00c8 01 0000c4 0303" + "5a".repeat(194);
// RFC 9000, 17.2: long header, version, DCID of 8 bytes, SCID of 8, and padding to 1200
const quicInitial = (first: string, version: string) =>
  `${first} ${version} 08 0102030405060708 08 1112131415161718` + "00".repeat(1177);
const quicAnswer = (first: string, version: string) =>
  `${first} ${version} 08 1112131415161718 08 2122232425262728` + "77".repeat(80);
// RFC 1035, 4.1: id, flags, counts, example.org, type A, class IN
const QUESTION = "07 6578616d706c65 03 6f7267 00 0001 0001";
// RFC 8489, 5: type, length, magic cookie, transaction
const STUN = "2112a442 0a0b0c0d0e0f101112131415";

export const PAIRS: readonly Pair[] = [
  {
    ...{ kind: "tls", transport: "tcp", initiator: CLIENT_HELLO },
    responder: "16 0303 007a 02 000076 0303" + "a5".repeat(116),
  },
  { kind: "tls", transport: "tcp", initiator: CLIENT_HELLO, responder: "15 0303 0002 02 28" },
  {
    ...{ kind: "ssh", transport: "tcp" }, // "SSH-2.0-OpenSSH_9.2"
    initiator: "5353482d322e302d4f70656e5353485f392e320d0a",
    responder: "5353482d322e302d64726f70626561725f323032322e38330d0a",
  },
  {
    ...{ kind: "quic", transport: "udp", initiator: quicInitial("c3", "00000001") },
    responder: quicAnswer("c1", "00000001"),
  },
  {
    ...{ kind: "quic", transport: "udp", initiator: quicInitial("d0", "6b3343cf") },
    responder: quicAnswer("d3", "6b3343cf"),
  },
  {
    ...{ kind: "dns", transport: "udp" },
    initiator: "beef 0100 0001 0000 0000 0000" + QUESTION,
    responder: "beef 8180 0001 0001 0000 0000" + QUESTION + "c00c 0001 0001 00000e10 0004 5db8d822",
  },
  {
    ...{ kind: "ntp", transport: "udp" },
    initiator: "23 00 06 20" + "00".repeat(36) + "e8f1a2b3c4d5e6f7",
    responder: "24 02 06 e9" + "00".repeat(20) + "e8f1a2b3c4d5e6f7" + "e8f1a2b400000000".repeat(2),
  },
  {
    ...{ kind: "dtls", transport: "udp" },
    initiator: "16 fefd 0000 000000000000 0033 01 000027 0000 000000 000027 fefd" + "3c".repeat(37),
    responder: "16 feff 0000 000000000000 0023 03 000017 0000 000000 000017 feff 14" +
      "4d".repeat(20),
  },
  {
    ...{ kind: "stun", transport: "udp", initiator: "0001 0000" + STUN },
    responder: "0101 000c" + STUN + "0020 0008 0001 a147 e112a643",
  },
  {
    ...{ kind: "wireguard", transport: "udp" },
    initiator: "01000000 a1b2c3d4" + "6e".repeat(140),
    responder: "02000000 0badcafe a1b2c3d4" + "7f".repeat(80),
  },
  {
    // Nothing that anybody knows, with a field of zeros each
    ...{ kind: "unknown", transport: "tcp" },
    initiator: "80 0b 01 00 1234 00000000 5a61",
    responder: "90 0b 02 00 1234 00000000 6b72 0102030405060708",
  },
  {
    ...{ kind: "unknown", transport: "tcp" }, // {"id":1,"method":"ping"} and +PONG 0123456789
    initiator: "7b226964223a312c226d6574686f64223a2270696e67227d0a",
    responder: "2b504f4e4720303132333435363738390d0a",
  },
  {
    ...{ kind: "unknown", transport: "tcp" }, // REGISTER sip:a SIP/2.0 and SIP/2.0 401 Unauthorized
    initiator: "5245474953544552207369703a61205349502f322e300d0a0d0a",
    responder: "5349502f322e302034303120556e617574686f72697a65640d0a0d0a",
  },
  {
    ...{ kind: "unknown", transport: "tcp" }, // after zeros of one side the other's few bytes do
    initiator: "90 0b 02 00 1234 00000000 6b72",
    responder: "90 01",
  },
  {
    ...{ kind: "unknown", transport: "udp" }, // RFC 3550, 5.1: RTP
    initiator: "80 60 1a2b 00012345 deadbeef" + "d5".repeat(160),
    responder: "80 e0 3c4d 00067890 cafebabe" + "d5".repeat(160),
  },
];

/** As bytes: initiator's, responder's. */
export function openingPairs(transport: "tcp" | "udp"): (readonly [Bytes, Bytes])[] {
  return PAIRS.filter((pair) => pair.transport === transport)
    .map(({ initiator, responder }) => [bytes(initiator), bytes(responder)] as const);
}
