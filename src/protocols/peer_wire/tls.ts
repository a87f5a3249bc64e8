/**
 * SSL torrents: the peer wire inside TLS, of libtorrent and what is built on it. Who calls names the
 * torrent as the server (RFC 6066, section 3), 40 hexadecimal digits, by which who is called finds its
 * certificate; nothing else of it is to be seen.
 */
import { lesser, u16be } from "../../packet/bytes.ts";
import { latin1 } from "../client_name.ts";
import { isDigit } from "../characters.ts";
import { INFO_HASH_DIGITS } from "../info_hash.ts";
import { match, NEED_MORE, type StreamAnswer } from "../match.ts";

const SSL_TORRENT = match(
  "peer-wire",
  "ssl-torrent",
  "strong",
  "TLS to a torrent's info-hash (SSL torrent)",
);

const RECORD_HEADER = 5; // RFC 8446, section 5.1
/** Content type of a record that begins a handshake, and so the first byte of a TLS stream. */
export const RECORD_HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** Versions on the wire are 3.0 to 3.4. */
const MAX_MINOR = 4;
/** Behind record header 5, handshake header 4, version 2 and random 32: the length of the session id. */
const SESSION_ID = 43;
const MAX_SESSION_ID = 32;
/** OpenSSL's are 200 to 2,000 bytes. */
const MAX_RECORD = 4000;
/** An empty `renegotiation_info` (RFC 5746), which OpenSSL 3 puts before the name. */
const RENEGOTIATION = 0xff01;
const RENEGOTIATION_LENGTH = 5;
const PROTOCOLS = 16; // RFC 7301: every browser and most libraries have something to say there
const SERVER_NAME = [0, 0, 0, 45, 0, 43, 0, 0, 40] as const;
/** Bytes that tell of the name, wherever of its two places it stands. */
const LONGEST_BEFORE_NAME = RENEGOTIATION_LENGTH + SERVER_NAME.length;

/**
 * Looks for a ClientHello that names nothing but an info-hash, in OpenSSL's order of extensions, and
 * speaks of no protocols: 160 bits of a host's name that no host can be called by.
 */
export function detectSslTorrent(bytes: Uint8Array, start: number, end: number): StreamAnswer {
  if (!isHello(bytes, start, end)) return null;
  if (end - start <= SESSION_ID) return NEED_MORE;
  const name = nameStart(bytes, start, end);
  if (name < 0) return name === CUT ? NEED_MORE : null;
  if (!mayBeHash(bytes, name, end)) return null;
  const helloEnd = start + RECORD_HEADER + u16be(bytes, start + 3);
  const stop = lesser(end, helloEnd);
  let at = name + INFO_HASH_DIGITS;
  while (at + 4 <= stop) {
    if (u16be(bytes, at) === PROTOCOLS) return null;
    at += 4 + u16be(bytes, at + 2);
  }
  if (helloEnd > end) return NEED_MORE;
  return at === helloEnd ? SSL_TORRENT : null;
}

/** Lower-case hexadecimal digits, one a letter at least; cut ones may be a hash too. */
function mayBeHash(bytes: Uint8Array, name: number, end: number): boolean {
  let letters = 0;
  for (let at = name; at < name + INFO_HASH_DIGITS; at++) {
    if (at === end) return true;
    if (isDigit(bytes[at])) continue;
    if (bytes[at] < 0x61 || bytes[at] > 0x66) return false;
    letters++;
  }
  return letters > 0;
}

/** The torrent that a ClientHello names, 40 hexadecimal digits; null where it names none. */
export function sslTorrentHash(bytes: Uint8Array, start: number, end: number): string | null {
  const name = sslTorrentName(bytes, start, end);
  return name < 0 ? null : latin1(bytes, name, INFO_HASH_DIGITS);
}

/** Where that name begins, negative where there is none. */
export function sslTorrentName(bytes: Uint8Array, start: number, end: number): number {
  if (end - start <= SESSION_ID || !isHello(bytes, start, end)) return NONE;
  const name = nameStart(bytes, start, end);
  return name + INFO_HASH_DIGITS > end ? NONE : name;
}

/** Whether the bytes begin a ClientHello in a record of its own; cut ones may. */
function isHello(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length > 0 && bytes[start] !== RECORD_HANDSHAKE) return false;
  if (length > 1 && bytes[start + 1] !== 3) return false;
  if (length > 2 && bytes[start + 2] > MAX_MINOR) return false;
  if (length > 4 && !isRecordLength(u16be(bytes, start + 3))) return false;
  if (length > 5 && bytes[start + 5] !== CLIENT_HELLO) return false;
  if (
    length > 8 && (bytes[start + 6] << 16 | u16be(bytes, start + 7)) + 4 !== u16be(bytes, start + 3)
  ) {
    return false;
  }
  if (length > 10 && (bytes[start + 9] !== 3 || bytes[start + 10] > MAX_MINOR)) return false;
  return length <= SESSION_ID || bytes[start + SESSION_ID] <= MAX_SESSION_ID;
}

function isRecordLength(length: number): boolean {
  return length > SESSION_ID - RECORD_HEADER && length <= MAX_RECORD;
}

const NONE = -1;
const CUT = -2;

/**
 * Where the first extension's name begins, if that is a server's name of 40 bytes, else {@link NONE} or
 * {@link CUT}. As bpf/tls_name.h has it: what the kernel lets go must be nothing here.
 */
function nameStart(bytes: Uint8Array, start: number, end: number): number {
  const helloEnd = start + RECORD_HEADER + u16be(bytes, start + 3);
  let at = start + SESSION_ID + 1 + bytes[start + SESSION_ID];
  if (at + 2 > end) return CUT;
  at += 2 + u16be(bytes, at); // cipher suites
  if (at + 1 > end) return CUT;
  at += 1 + bytes[at] + 2; // compression methods, length of the extensions
  if (at + LONGEST_BEFORE_NAME > helloEnd) return NONE;
  if (at + LONGEST_BEFORE_NAME > end) return CUT;
  if (u16be(bytes, at) === RENEGOTIATION) at += RENEGOTIATION_LENGTH;
  for (let i = 0; i < SERVER_NAME.length; i++) if (bytes[at + i] !== SERVER_NAME[i]) return NONE;
  return at + SERVER_NAME.length;
}
