/** Torrents of random bytes, and how much of one a client has on its disk. */

import { createHash } from "node:crypto";
import { bencode } from "./bencode.ts";

export interface Torrent {
  /** Name of the file. */
  name: string;
  content: Uint8Array;
  pieceLength: number;
  /** 20-byte SHA-1 of every piece. */
  pieces: Uint8Array[];
  /** Bytes of the .torrent file. */
  file: Uint8Array;
  /** Hexadecimal. */
  infoHash: string;
  magnet: string;
}

export interface TorrentOptions {
  length: number;
  pieceLength?: number;
  /** Announce URLs, each its own tier. */
  trackers?: readonly string[];
  /** Web seeds (BEP 19). */
  urlList?: readonly string[];
  name?: string;
  /** Root certificate (PEM) of an SSL torrent, whose peers speak TLS (libtorrent). */
  sslCert?: string;
}

/** A single-file version 1 torrent (BEP 3) of random bytes. */
export function createTorrent(options: TorrentOptions): Torrent {
  const { length, pieceLength = 32_768, trackers = [], urlList } = options;
  const name = options.name ?? "sample.bin";
  const content = randomBytes(length);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < length; at += pieceLength) {
    pieces.push(sha1(content.subarray(at, at + pieceLength)));
  }
  const joined = new Uint8Array(pieces.length * 20);
  pieces.forEach((hash, index) => joined.set(hash, index * 20));
  const info = {
    ...{ length, name, "piece length": pieceLength, pieces: joined },
    "ssl-cert": options.sslCert,
  };
  const infoHash = sha1(bencode(info)).toHex();
  const file = bencode({
    announce: trackers[0],
    "announce-list": trackers.length > 1 ? trackers.map((url) => [url]) : undefined,
    info,
    "url-list": urlList,
  });
  const magnet = `magnet:?xt=urn:btih:${infoHash}&dn=${name}` +
    trackers.map((url) => `&tr=${encodeURIComponent(url)}`).join("");
  return { name, content, pieceLength, pieces, file, infoHash, magnet };
}

/**
 * Bytes of the pieces that are on the disk and right. Independent of what the client says; clients
 * are started so that they write at once and under the final name.
 */
export async function verifiedBytes(torrent: Torrent, path: string): Promise<number> {
  let data: Uint8Array;
  try {
    data = await Deno.readFile(path);
  } catch {
    return 0;
  }
  let verified = 0;
  torrent.pieces.forEach((hash, index) => {
    const piece = data.subarray(index * torrent.pieceLength, (index + 1) * torrent.pieceLength);
    if (equal(sha1(piece), hash)) verified += piece.length;
  });
  return verified;
}

/** Random bytes of any length (`getRandomValues` stops at 64 KiB). */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, length)));
  }
  return bytes;
}

function sha1(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha1").update(bytes).digest());
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
