/**
 * Peer ID prefixes of BitTorrent clients, with the way each writes its version. Spec: BEP 20 and
 * the lists that followed it; conventions as the clients' own sources have them.
 */

/** How the version stands in the peer ID, after the prefix. */
export type Version =
  /** Nothing that could be read. */
  | "none"
  /** Three base-62 digits, and a fourth unless it is 0: `4520` is 4.5.2, `13F0` is 1.3.15. */
  | "abc"
  /** Three base-62 digits; the fourth character marks a build. */
  | "abc only"
  /** Four base-62 digits: `5760` is 5.7.6.0. */
  | "abcd"
  /** Two base-62 digits. */
  | "ab"
  /** Two decimal digits, point, two decimal digits: `0192` is 1.92. */
  | "aa.bb"
  /** The same, the minor part without its leading zero: `0107` is 1.7. */
  | "aa.b"
  /** Transmission's three conventions: `0072` is 0.72, `2940` is 2.94, `4050` is 4.0.5. */
  | "transmission"
  /** uTorrent's hexadecimal digits and build letter: `355W` is 3.5.5. */
  | "utorrent"
  /** KTorrent: `53R1` is 5.3 RC 1. */
  | "ktorrent"
  /** PicoTorrent: `0120` is 0.12.0. */
  | "a.bb.c"
  /** Decimal numbers between dashes: `-1-36-0-` is 1.36.0, `7-9-2--` is 7.9.2. */
  | "dashes"
  /** Dotted text up to a dash: `2.7.2-`. */
  | "text"
  /** The text's next four characters: Opera's build number. */
  | "build"
  /** Shadow's style: up to five characters of his base 64, then dashes. */
  | "shadow"
  /** Two binary bytes: BitComet's `00 38` is 0.56. */
  | "binary";

export interface ClientRow {
  /** First bytes of the peer ID (Latin-1), not counting dashes that only separate. */
  readonly prefix: string;
  readonly name: string;
  readonly version: Version;
}

function row(prefix: string, name: string, version: Version): ClientRow {
  return Object.freeze({ prefix, name, version });
}

/** The dash, two characters, four of a version, and a dash: `-qB4520-`. Two-character codes. */
export const AZUREUS_STYLE: readonly ClientRow[] = Object.freeze([
  row("7T", "aTorrent", "abcd"),
  row("AB", "AnyEvent::BitTorrent", "abcd"),
  row("AG", "Ares", "abcd"),
  row("A~", "Ares", "abc"),
  row("AN", "Ares", "abcd"),
  row("AR", "Arctic", "abcd"),
  row("AT", "Artemis", "abcd"),
  row("AV", "Avicora", "abcd"),
  row("AX", "BitPump", "aa.bb"),
  row("AZ", "Azureus", "abcd"),
  row("BB", "BitBuddy", "abcd"),
  row("BC", "BitComet", "aa.bb"),
  row("BE", "baretorrent", "abcd"),
  row("BF", "Bitflu", "none"),
  row("BG", "BTG", "abcd"),
  row("BH", "BitZilla", "abcd"),
  row("BI", "BiglyBT", "abcd"),
  row("BL", "BitLord", "abc"),
  row("BM", "BitMagnet", "abcd"),
  row("BN", "Baidu Netdisk", "none"),
  row("BP", "BitTorrent Pro", "abcd"),
  row("BR", "BitRocket", "ab"),
  row("BS", "BTSlave", "abcd"),
  row("BT", "BitTorrent", "utorrent"),
  row("BU", "BigUp", "abcd"),
  row("BW", "BitWombat", "abcd"),
  row("BX", "BittorrentX", "abcd"),
  row("CD", "Enhanced CTorrent", "aa.bb"),
  row("CT", "CTorrent", "abcd"),
  row("DE", "Deluge", "abc only"),
  row("DP", "Propagate Data Client", "abcd"),
  row("EB", "EBit", "abcd"),
  row("ES", "Electric Sheep", "abc"),
  row("FC", "FileCroc", "abcd"),
  row("FD", "Free Download Manager", "abc only"),
  row("FG", "FlashGet", "aa.bb"),
  row("FL", "Folx", "ab"),
  row("FT", "FoxTorrent", "abcd"),
  row("FW", "FrostWire", "abc"),
  row("FX", "Freebox BitTorrent", "abcd"),
  row("GR", "GetRight", "abcd"),
  row("GS", "GSTorrent", "abcd"),
  row("GT", "anacrolix/torrent", "abcd"),
  row("HK", "Hekate", "abcd"),
  row("HL", "Halite", "abc"),
  row("HM", "hMule", "abcd"),
  row("HN", "Hydranode", "abcd"),
  row("IL", "iLivid", "abcd"),
  row("JS", "Justseed.it", "abcd"),
  row("JT", "JavaTorrent", "abcd"),
  row("KC", "Koinonein", "abcd"),
  row("KG", "KGet", "abcd"),
  row("KT", "KTorrent", "ktorrent"),
  row("LC", "LeechCraft", "abcd"),
  row("LH", "LH-ABC", "abcd"),
  row("LK", "linkage", "abcd"),
  row("LP", "Lphant", "aa.bb"),
  row("LT", "libtorrent", "abc"),
  row("lt", "rTorrent (libTorrent)", "abc"),
  row("LW", "LimeWire", "none"),
  row("MG", "MediaGet", "ab"),
  row("MK", "Meerkat", "abcd"),
  row("MO", "MonoTorrent", "abcd"),
  row("MP", "MooPolice", "abc"),
  row("MR", "Miro", "abcd"),
  row("MT", "Moonlight Torrent", "abcd"),
  row("NB", "Net::BitTorrent", "abcd"),
  row("NE", "BT Next Evolution", "abcd"),
  row("NX", "Net Transport", "abcd"),
  row("OS", "OneSwarm", "abcd"),
  row("OT", "OmegaTorrent", "abcd"),
  row("PB", "Protocol::BitTorrent", "abcd"),
  row("PD", "Pando", "abcd"),
  row("PI", "PicoTorrent", "a.bb.c"),
  row("pb", "pbTorrent", "abc"),
  row("pX", "pHoeniX", "abcd"),
  row("qB", "qBittorrent", "abc"),
  row("QD", "QQDownload", "abcd"),
  row("QT", "Qt 4 Torrent example", "abcd"),
  row("RN", "Rain", "abcd"),
  row("rQ", "rqbit", "abc"),
  row("RS", "Rufus", "abcd"),
  row("RT", "Retriever", "abcd"),
  row("RZ", "RezTorrent", "abcd"),
  row("SB", "SwiftBit", "abcd"),
  row("SD", "Xunlei", "abcd"),
  row("SK", "Spark", "abcd"),
  row("SM", "SoMud", "abcd"),
  row("SN", "ShareNet", "abcd"),
  row("SP", "BitSpirit", "abc"),
  row("SS", "SwarmScope", "abcd"),
  row("ST", "SymTorrent", "abcd"),
  row("st", "SharkTorrent", "abcd"),
  row("SZ", "Shareaza", "abcd"),
  row("S~", "Shareaza (beta)", "abcd"),
  row("TB", "Torch", "abcd"),
  row("TL", "Tribler", "abcd"),
  row("TN", "Torrent.NET", "abcd"),
  row("TR", "Transmission", "transmission"),
  row("TS", "TorrentStorm", "abcd"),
  row("TT", "TuoTu", "abcd"),
  row("tT", "tTorrent", "abcd"),
  row("UE", "µTorrent Embedded", "utorrent"),
  row("UL", "uLeecher!", "abcd"),
  row("UM", "µTorrent for Mac", "utorrent"),
  row("UT", "µTorrent", "utorrent"),
  row("UW", "µTorrent Web", "utorrent"),
  row("VG", "Vagaa", "abcd"),
  row("WD", "WebTorrent Desktop", "aa.b"),
  row("WS", "HTTP seed", "none"),
  row("WT", "BitLet", "abcd"),
  row("WW", "WebTorrent", "aa.b"),
  row("WY", "FireTorrent", "abcd"),
  row("XC", "Xtorrent", "ab"),
  row("XF", "Xfplay", "abc"),
  row("XL", "Xunlei", "abcd"),
  row("XS", "XSwifter", "abcd"),
  row("XT", "XanTorrent", "abcd"),
  row("XX", "Xtorrent", "ab"),
  row("ZO", "Zona", "abcd"),
  row("ZT", "ZipTorrent", "abcd"),
  row("bk", "BitKitten", "abcd"),
]);

/** Everything else, by its first bytes; longer prefixes first where one begins another. */
export const OTHER_STYLES: readonly ClientRow[] = Object.freeze([
  row("-TS0008-", "torrent-stream", "none"), // peerflix; TorrentStorm has these letters too
  row("-ML", "MLDonkey", "text"),
  row("-BOW", "Bits on Wheels", "none"),
  row("-G3", "G3 Torrent", "none"),
  row("-Qt-", "Qt", "none"),
  row("-aria2-", "aria2", "none"),
  row("-WT-", "BitLet", "none"),
  row("A2-", "aria2", "dashes"),
  row("AZ2500BT", "BitTyrant", "none"),
  row("TIX", "Tixati", "aa.bb"),
  row("OP", "Opera", "build"),
  row("exbc", "BitComet", "binary"),
  row("FUTB", "BitComet (Solidox mod)", "binary"),
  row("xUTB", "BitComet (mod)", "binary"),
  row("XBT", "XBT Client", "abc only"),
  row("btpd/", "btpd", "text"),
  row("turbobt", "TurboBT", "text"),
  row("Plus---", "BitTorrent Plus!", "none"),
  row("S587Plus", "BitTorrent Plus!", "none"),
  row("P87.P---", "BitTorrent Plus!", "none"),
  row("PRC.P---", "BitTorrent Plus! II", "none"),
  row("Plus", "Plus!", "text"),
  row("QVOD", "QVOD", "abcd"),
  row("DNA", "BitTorrent DNA", "aa.bb"),
  row("Mbrst", "burst!", "dashes"),
  row("LIME", "LimeWire", "none"),
  row("Pando-", "Pando", "none"),
  row("martini", "Martini Man", "none"),
  row("BTDWV-", "Deadman Walking", "none"),
  row("Deadman Walking-", "Deadman Walking", "none"),
  row("DansClient", "XanTorrent", "none"),
  row("a00---0", "Swarmy", "none"),
  row("a02---0", "Swarmy", "none"),
  row("T00---0", "Teeweety", "none"),
  row("10-------", "JVtorrent", "none"),
  row("346-", "TorrentTopia", "none"),
  row("BLZ", "Blizzard Downloader", "none"),
  row("PEERAPP", "PeerApp", "none"),
  row("btuga", "BTugaXP", "none"),
  row("oernu", "BTugaXP", "none"),
  row("eX", "eXeem", "none"),
  row("S3-", "Amazon S3", "dashes"),
  row("TNT", "TNT", "none"),
]);

/** Mainline's style: letter, numbers between dashes (`M7-9-2--`). */
export const MAINLINE_STYLE: readonly ClientRow[] = Object.freeze([
  row("M", "BitTorrent", "dashes"),
  row("Q", "Queen Bee", "dashes"),
]);

/** Shadow's style: letter, up to five digits of base 64, three dashes at 6. */
export const SHADOW_STYLE: readonly ClientRow[] = Object.freeze([
  row("A", "ABC", "shadow"),
  row("O", "Osprey Permaseed", "shadow"),
  row("Q", "BTQueue", "shadow"),
  row("R", "Tribler", "shadow"),
  row("S", "Shad0w", "shadow"),
  row("T", "BitTornado", "shadow"),
  row("U", "UPnP NAT Bit Torrent", "shadow"),
]);

/** Every row, for the signature table's count and for tests. */
export const CLIENTS: readonly ClientRow[] = Object.freeze([
  ...AZUREUS_STYLE,
  ...OTHER_STYLES,
  ...MAINLINE_STYLE,
  ...SHADOW_STYLE,
]);
