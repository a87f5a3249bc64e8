import assert from "node:assert/strict";
import {
  CONSISTENT,
  FRAMED,
  GRID,
  IMPOSSIBLE,
  INDEXED,
  judgeMessage,
  MESSAGE_FORMS,
  messageForm,
} from "../../src/protocols/peer_wire/message.ts";
import { hex, readsOnlyItsRange } from "./datagrams.ts";

const NAMES = new Map([
  [IMPOSSIBLE, "impossible"],
  [FRAMED, "framed"],
  [INDEXED, "indexed"],
  [CONSISTENT, "consistent"],
  [GRID, "grid"],
]);
const ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; // SHA-256 of nothing

// Length prefixes and bodies as BEP 3, 5, 6, 10 and 52 have them.
const rows: readonly (readonly [string, string, string])[] = [
  ["choke", "00000001 00", "framed"],
  ["choke of 2 bytes", "00000002 00", "impossible"],
  ["have", "00000005 04 0000008a", "indexed"],
  ["have of a piece no torrent has", "00000005 04 ff00008a", "impossible"],
  ["have, cut", "00000005 04 0000", "framed"],
  ["bitfield", "00000036 05 ffff", "framed"],
  [
    "request (mercury-bittorrent.pcap, frame 5)",
    "0000000d 06 00000048 00004000 00004000",
    "grid",
  ],
  ["request of a torrent's last block", "0000000d 06 00000048 00004000 00000123", "consistent"],
  ["request of nothing", "0000000d 06 00000048 00004000 00000000", "impossible"],
  ["request of 256 KiB", "0000000d 06 00000048 00004000 00040000", "impossible"],
  ["request off the block grid", "0000000d 06 00000048 00004001 00004000", "framed"],
  ["request of 12 bytes", "0000000c 06 00000048 00004000 000040", "impossible"],
  [
    "piece (bittorrent_tcp_miss.pcapng, frame 13)",
    "00004009 07 00000084 00000000 0db5",
    "grid",
  ],
  ["piece of 256 KiB", "00040009 07 00000084 00000000", "impossible"],
  ["cancel", "0000000d 08 00000048 00004000 00004000", "grid"],
  ["port", "00000003 09 1ae1", "framed"],
  ["port 0", "00000003 09 0000", "impossible"],
  ["suggest piece", "00000005 0d 00000001", "indexed"],
  ["have all", "00000001 0e", "framed"],
  ["reject request", "0000000d 10 00000048 00004000 00004000", "grid"],
  ["allowed fast (bittorrent_tcp_miss.pcapng, frame 12)", "00000005 11 00000274", "indexed"],
  ["extended", "000000ce 14 00 64", "framed"],
  ["hash request", `00000031 15 ${ROOT} 00000000 00000200 00000200 00000003`, "consistent"],
  [
    "hash request off its grid",
    `00000031 15 ${ROOT} 00000000 00000001 00000200 00000003`,
    "impossible",
  ],
  ["hashes", `00000071 16 ${ROOT} 00000000 00000000 00000002 00000000`, "consistent"],
  [
    "a record with a name",
    `00000031 15 ${"61".repeat(8)}${"00".repeat(24)} 00000000 00000200 00000200 00000003`,
    "framed",
  ],
  ["hash reject", `00000031 17 ${ROOT} 00000001 00000000 00000002 00000000`, "consistent"],
  [
    "hash reject of 3 hashes",
    `00000031 17 ${ROOT} 00000001 00000000 00000003 00000000`,
    "impossible",
  ],
  ["an id without meaning", "00000005 0a 00000001", "impossible"],
  ["a Kafka request", "00000024 0012 0003 00000001", "impossible"],
  ["an SSH packet", "0000011c 06 1e 0000", "impossible"],
  ["a MySQL greeting", "4a000000 0a 382e", "impossible"],
  ["a PostgreSQL startup", "00000029 00 03 0000", "impossible"],
  ["an HTTP/2 WINDOW_UPDATE", "00000408 00 00000000", "impossible"],
];
for (const [name, bytes, expected] of rows) {
  Deno.test(`judgeMessage() calls ${name} ${expected}`, () => {
    const judged = readsOnlyItsRange(judgeMessage, hex(bytes));
    assert.equal(NAMES.get(judged), expected);
  });
}

Deno.test("every message form is found under its id", () => {
  for (const row of MESSAGE_FORMS) assert.equal(messageForm(row.id), row);
  assert.equal(messageForm(10), null);
});
