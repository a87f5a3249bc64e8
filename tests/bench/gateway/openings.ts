/** What the load programs open flows with, and what the far end answers: all are clean. */
const bytes = (hex: string) =>
  Uint8Array.fromHex(hex.replaceAll(" ", "")) as Uint8Array<ArrayBuffer>;

export interface Exchange {
  readonly transport: "tcp" | "udp";
  readonly opening: Uint8Array<ArrayBuffer>;
  readonly answer: Uint8Array<ArrayBuffer>;
}

/** By name, as the programs are told on their command line. */
export const EXCHANGES: Readonly<Record<string, Exchange>> = {
  // RFC 8446: records with the beginnings of a ClientHello and a ServerHello
  tls: {
    transport: "tcp",
    opening: bytes("16 0301 0200 01 0001fc 0303" + "5a".repeat(506)),
    answer: bytes("16 0303 007a 02 000076 0303" + "a5".repeat(1200)),
  },
  // Nothing that anybody knows, with fields of equal bytes
  unknown: {
    transport: "tcp",
    opening: bytes("80 0b 01 00" + "c3".repeat(60)),
    answer: bytes("90 0b 02 00" + "3c".repeat(200)),
  },
  // Nothing that anybody knows, and no byte like its neighbours: user space judges both
  judged: {
    transport: "tcp",
    opening: Uint8Array.from({ length: 64 }, (_, i) => 0x80 | (i * 37)),
    answer: Uint8Array.from({ length: 204 }, (_, i) => 0x80 | (i * 53)),
  },
  // RFC 9000: an Initial packet of 1200 bytes, and one in answer to its connection id
  quic: {
    transport: "udp",
    opening: bytes("c3 00000001 08 0102030405060708 08 1112131415161718" + "e7".repeat(1177)),
    answer: bytes("c1 00000001 08 1112131415161718 08 2122232425262728" + "77".repeat(1177)),
  },
  // RFC 1035: example.org, type A
  dns: {
    transport: "udp",
    opening: bytes(
      "beef 0100 0001 0000 0000 0000 07 6578616d706c65 03 6f7267 00 0001 0001",
    ),
    answer: bytes(
      "beef 8180 0001 0001 0000 0000 07 6578616d706c65 03 6f7267 00 0001 0001" +
        "c00c 0001 0001 00000e10 0004 5db8d822",
    ),
  },
};
