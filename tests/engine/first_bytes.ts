/**
 * Conversations by their first bytes, of kinds that can never become BitTorrent: what each side writes,
 * turn by turn, and after how many packets with payload the flow is let go (docs/PERFORMANCE.md has the
 * table).
 */

/** Who calls, and who is called. */
export type Side = 0 | 1;

export interface FirstBytes {
  readonly name: string;
  /** Packets with payload that are judged, of both sides. */
  readonly packets: number;
  /** Those of them that come to user space: the kernel's first look settles others. */
  readonly trips: number;
  readonly says: readonly (readonly [Side, string])[];
}

/** The first `count` writes of a conversation, whose last exchange goes on and on. */
export function* writesOf({ says }: FirstBytes, count: number): Generator<readonly [Side, string]> {
  for (let i = 0; i < count; i++) {
    yield says[i < says.length ? i : says.length - 2 + (i - says.length) % 2];
  }
}

const bytes = (...values: number[]) => String.fromCharCode(...values);

/** What the kernel's first look takes part in, with the packets that are left to user space. */
const LEFT: Readonly<Record<string, number>> = {
  SSH: 0,
  SIP: 0,
  IMAP: 0,
  XMPP: 0,
  SMTP: 1,
  FTP: 1,
  "HTTP/1.1, a page for one request": 1,
};

/** Lines begin with `>` for who calls, `<` for who is called. */
const kind = (name: string, packets: number, ...lines: string[]): FirstBytes => ({
  name,
  packets,
  trips: LEFT[name] ?? packets,
  says: lines.map((line) => [line[0] === ">" ? 0 : 1, line.slice(1)]),
});

export const FIRST_BYTES: readonly FirstBytes[] = [
  kind(
    "HTTP/1.1",
    15,
    ">GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    "<HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  ),
  kind(
    "HTTP/1.1, a connection for one request",
    2,
    ">GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    "<HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
  ),
  kind(
    "HTTP/1.1, a page for one request",
    2,
    ">GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    "<HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n<p>hello, hello",
  ),
  kind("lines without a line end", 3, ">hello 1", "<hello 1"),
  kind("lines with a line end", 2, ">hello 1\n", "<hello 1\n"),
  kind("text without a blank", 3, ">hello", "<hello"),
  kind(
    "IRC",
    2,
    ">NICK foo\r\nUSER foo 0 * :Foo\r\n",
    "<:irc.example 001 foo :Welcome\r\n",
    ">PRIVMSG #a :hello\r\n",
    "<:b!b@host PRIVMSG #a :hello\r\n",
  ),
  kind(
    "IRC, a line a packet",
    3,
    ">NICK foo\r\n",
    ">USER foo 0 * :Foo\r\n",
    "<PING :1\r\n",
    ">PONG :1\r\n",
    "<:irc.example 001 foo :Welcome\r\n",
  ),
  kind(
    "SMTP",
    2,
    "<220 mail.example ESMTP ready\r\n",
    ">EHLO client.example\r\n",
    "<250-mail.example\r\n250 SIZE 1000\r\n",
    ">MAIL FROM:<a@example>\r\n",
    "<250 ok\r\n",
  ),
  kind(
    "FTP",
    2,
    "<220 (vsFTPd 3.0.3)\r\n",
    ">USER anonymous\r\n",
    "<331 Password\r\n",
    ">PASS a@b\r\n",
    "<230 ok\r\n",
  ),
  kind(
    "POP3",
    2,
    "<+OK ready\r\n",
    ">USER me\r\n",
    "<+OK\r\n",
    ">PASS me\r\n",
    "<+OK 3 messages\r\n",
  ),
  kind(
    "IMAP",
    2,
    "<* OK [CAPABILITY IMAP4rev1] ready\r\n",
    ">a1 LOGIN me secret\r\n",
    "<a1 OK done\r\n",
    ">a2 NOOP\r\n",
    "<a2 OK done\r\n",
  ),
  kind("Redis", 2, ">*1\r\n$4\r\nPING\r\n", "<+PONG\r\n"),
  kind("Redis, inline", 2, ">PING\r\n", "<+PONG\r\n"),
  kind("memcached", 2, ">get foo\r\n", "<END\r\n"),
  kind(
    "MySQL",
    2,
    "<" + bytes(0x2d, 0, 0, 0, 10) + "8.0.36\0" + bytes(9, 0, 0, 0) + "abcdefgh\0" +
      bytes(0xff, 0xf7, 8, 2, 0, 0xff, 0x81, 0x15),
    ">" + bytes(0x20, 0, 0, 1, 0x85, 0xa6, 3, 0, 0, 0, 0, 1, 33) + "\0".repeat(23),
    "<" + bytes(7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0),
    ">" + bytes(9, 0, 0, 0, 3) + "SELECT 1",
    "<" + bytes(1, 0, 0, 1, 1),
  ),
  kind(
    "PostgreSQL",
    2,
    ">" + bytes(0, 0, 0, 20, 0, 3, 0, 0) + "user\0foo\0\0\0",
    "<R" + bytes(0, 0, 0, 8, 0, 0, 0, 0),
    ">Q" + bytes(0, 0, 0, 13) + "SELECT 1\0",
    "<C" + bytes(0, 0, 0, 13) + "SELECT 1\0",
  ),
  kind(
    "telnet",
    2,
    "<" + bytes(255, 253, 24, 255, 253, 32),
    ">" + bytes(255, 251, 24, 255, 252, 32),
    "<login: ",
    ">m",
    "<m",
  ),
  kind("typing, a letter a packet", 6, ">l", "<l", ">s", "<s", ">\r", "<\r\na b c\r\n$ "),
  kind(
    "binary with a length",
    2,
    ">" + bytes(0, 0, 0, 6, 1, 2, 3, 4, 5, 6),
    "<" + bytes(0, 0, 0, 2, 1, 2),
  ),
  kind("binary of a byte", 2, ">" + bytes(1), "<" + bytes(2)),
  kind(
    "RTSP",
    2,
    ">OPTIONS rtsp://cam/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    "<RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
  ),
  kind(
    "SIP",
    2,
    ">REGISTER sip:example SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nContent-Length: 0\r\n\r\n",
    "<SIP/2.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
  ),
  kind(
    "MQTT",
    2,
    ">" + bytes(16, 16, 0, 4) + "MQTT" + bytes(4, 2, 0, 60, 0, 4) + "abcd",
    "<" + bytes(32, 2, 0, 0),
    ">" + bytes(192, 0),
    "<" + bytes(208, 0),
  ),
  kind("SSH", 2, "<SSH-2.0-OpenSSH_9.2\r\n", ">SSH-2.0-OpenSSH_9.2\r\n"),
  kind(
    "XMPP",
    2,
    "><?xml version='1.0'?><stream:stream>",
    "<<?xml version='1.0'?><stream:features/>",
  ),
  kind("JSON lines", 2, '>{"id":1}\n', '<{"ok":true}\n'),
  kind(
    "NATS",
    2,
    '<INFO {"server_id":"a"}\r\n',
    ">CONNECT {}\r\nPING\r\n",
    "<PONG\r\n",
    ">PING\r\n",
    "<PONG\r\n",
  ),
  kind("a word without a line end", 3, ">QUIT", "<bye now"),
];
