/* SPDX-License-Identifier: MIT */
/*
 * Openings of protocols that have no row in openings.ts, and that the engine has no question about: it
 * would let a flow go that opens so in both directions, by the same tests (isNoKey() and isText() of the
 * engine, mayBeTunnel() of the packet parser). Whatever may be more is left to it.
 */
#ifndef BTBLOCKER_UNKNOWN_H
#define BTBLOCKER_UNKNOWN_H

#define TEXT_LENGTH 16

static __always_inline bool is_letter(__u8 byte)
{
	__u8 lower = byte | 0x20;

	return lower >= 'a' && lower <= 'z';
}

#define METHOD_LENGTH 7
#define SHORTEST_METHOD 3

/* Whether letters may begin a line of HTTP, or not have ended yet (http.ts). */
static __always_inline bool concerns_http(const __u8 *b, __u32 length)
{
	__u32 i;

	if ((b[0] | 0x20) == 'h' || length <= METHOD_LENGTH)
		return true;
#pragma unroll
	for (i = 1; i <= METHOD_LENGTH; i++)
		if (!is_letter(b[i]))
			return i >= SHORTEST_METHOD && (b[i] == ' ' || b[i] == '\t');
	return false;
}

/* Whether a header of VLESS may be whole: version 0, 16 bytes of id, additions (negotiation.ts). */
static __always_inline bool concerns_vless(const __u8 *b, __u32 length)
{
	return length >= 26 && b[17] <= 64;
}

/* Whether a record of TLS may begin so that is no opening of openings.h: cut, or an SSL torrent's (tls.ts). */
static __always_inline bool concerns_tls(const __u8 *b, __u32 length)
{
	return b[0] == 22 && (length < 2 || b[1] == 3);
}

/* Whether a proxy's negotiation, BitTorrent or HTTP may begin so (tcp_opening.ts). */
static __always_inline bool concerns_stream(const __u8 *b, __u32 length, bool is_initiator)
{
	if (b[0] == 19 || b[0] == 4 || b[0] == 5 || b[0] == '\r' || b[0] == '\n')
		return true;
	if (concerns_tls(b, length))
		return true;
	if (is_letter(b[0]))
		return concerns_http(b, length);
	if (b[0] == 0)
		return is_initiator ? concerns_vless(b, length) : length < 2 || (b[1] >= 0x5a && b[1] <= 0x5d);
	return false;
}

/* Whether a byte of the lower four is 0. */
static __always_inline bool has_zero_byte(__u64 word)
{
	return (word - 0x01010101) & ~word & 0x80808080;
}

/* Four equal bytes in a row, which no key has. `b` is aligned to four bytes. */
static __always_inline bool has_run(const __u8 *b, __u32 length)
{
	const __u32 *words = (const __u32 *)b;
	__u32 i;

#pragma unroll
	for (i = 0; i + 1 < HEAD_LENGTH / 4; i++) {
		__u64 eight = (__u64)words[i + 1] << 32 | words[i];
		__u64 differs = eight ^ eight >> 8; /* from the next byte: of the lower seven */

		if (i * 4 + 8 > length)
			return false;
		if (has_zero_byte(differs | differs >> 8 | differs >> 16))
			return true;
	}
	return false;
}

/* Text, as the engine takes a stream for it. */
static __always_inline bool is_text(const __u8 *b, __u32 length)
{
	__u32 i;

	if (length < TEXT_LENGTH)
		return false;
#pragma unroll
	for (i = 0; i < TEXT_LENGTH; i++)
		if ((b[i] < 0x20 || b[i] > 0x7e) && b[i] != '\r' && b[i] != '\n' && b[i] != '\t')
			return false;
	return true;
}

static __always_inline bool is_unknown_stream(const __u8 *b, __u32 length, bool is_initiator)
{
	return !concerns_stream(b, length, is_initiator) && (has_run(b, length) || is_text(b, length));
}

/* Whether the packet parser would look for a tunnel's packet in a datagram (udp_tunnels.ts). */
static __always_inline bool may_be_tunnel(const __u8 *b)
{
	if (b[0] >> 4 == 4 || b[0] >> 4 == 6)
		return true;
	if ((b[0] & 0x48) == 0x08 && b[7] == 0)
		return true;
	if (b[0] >= 0x40)
		return false;
	return (b[1] & 0x3f) == 0 || b[1] <= 4 || b[1] == 0xff || b[1] == 41 || b[1] == 47;
}

/*
 * Whether a detector of the engine's would look at a datagram: DHT and LSD, uTP, what trackers are asked
 * and answer, SOCKS around any of them.
 */
static __always_inline bool concerns_engine(const __u8 *b)
{
	if (b[0] == 'd' && b[1] >= '0' && b[1] <= '9')
		return true;
	if (b[0] == 'B' && b[1] == 'T')
		return true;
	if ((b[0] & 0x0f) == 1 && b[0] >> 4 <= 4)
		return true;
	if (b[0] == 0 && b[1] == 0 && b[2] == 0)
		return true;
	return b[8] == 0 && b[9] == 0 && b[10] == 0 && b[11] <= 2;
}

static __always_inline bool is_unknown_datagram(const __u8 *b)
{
	return !may_be_tunnel(b) && !concerns_engine(b);
}

#endif
