/* SPDX-License-Identifier: MIT */
/*
 * The answer to a request of HTTP that user space has judged: whether it says in its first segment that
 * the connection ends with it, and is no tracker's and no proxy's. Then the engine would let the flow go
 * with it (endsConnection() of http_stream.ts, detectResponse() of http_tracker/detect.ts,
 * connectResponse() of negotiation.ts); every other answer is left to it.
 */
#ifndef BTBLOCKER_HTTP_ANSWER_H
#define BTBLOCKER_HTTP_ANSWER_H

#define HTTP_HEAD 512 /* bytes in which the head must end, and the body begin */
#define HTTP_LINES 100 /* fewer than the engine reads */
#define CHUNK 16 /* of them, that are read at once; the rest of a payload is not */

/*
 * Comparisons without a jump, of which the kernel's verifier would follow both ways, byte for byte; the
 * compiler would make jumps of them if it knew.
 */

/* 1 where x is 0, else 0. */
static __always_inline __u64 is_zero(__u64 x)
{
	__u64 either = -x;

	barrier_var(either);
	either |= x;
	barrier_var(either);
	return 1 ^ either >> 63;
}

static __always_inline __u64 lower_case(__u64 byte)
{
	__u64 above = 0x40 - byte, below = byte - 0x5b;

	barrier_var(above);
	barrier_var(below);
	return byte | (above & below) >> 63 << 5;
}

/* "HTTP/1.x 200 ", status 200 and more, but for a proxy's question for a password. */
static __always_inline bool is_final_status(const __u8 *b)
{
	if (b[0] != 'H' || b[1] != 'T' || b[2] != 'T' || b[3] != 'P' || b[4] != '/' || b[5] != '1' || b[6] != '.')
		return false;
	if (b[7] < '0' || b[7] > '9' || b[8] != ' ' || b[9] < '2' || b[9] > '5')
		return false;
	if (b[10] < '0' || b[10] > '9' || b[11] < '0' || b[11] > '9')
		return false;
	return b[9] != '4' || b[10] != '0' || b[11] != '7';
}

/* Neither bencode nor the size of a chunk, which bencode may follow. */
static __always_inline bool is_harmless_body(__u64 first)
{
	return !(first >= '0' && first <= '9') && !(lower_case(first) >= 'a' && lower_case(first) <= 'f');
}

/* What has been read of a head: the last bytes in lower case, and what stood in it. */
struct head_scan {
	__u64 low, high;
	__u64 named; /* whether "connection:" ended so many bytes before, in bits */
	__u64 names, closes, types, lines;
	__u64 has_ended, has_body; /* the empty line, and a byte behind it */
	__u64 body;		   /* that byte */
};

static __always_inline void scan_byte(struct head_scan *scan, __u64 byte)
{
	__u64 in_head = 1 ^ scan->has_ended;
	__u64 is_body = scan->has_ended & (1 ^ scan->has_body);

	scan->body |= byte & -is_body;
	scan->has_body |= is_body;
	byte = lower_case(byte);
	scan->high = scan->high << 8 | scan->low >> 56;
	scan->low = scan->low << 8 | byte;
	scan->lines += is_zero(byte ^ '\n');
	scan->has_ended |= is_zero((scan->low & 0xffff) ^ 0x0a0a) | is_zero((scan->low & 0xffffff) ^ 0x0a0d0a);
	/* "\ncon" "nection:" */
	scan->named = scan->named << 1 | (is_zero(scan->low ^ 0x6e656374696f6e3a) &
					  is_zero((scan->high & 0xffffffff) ^ 0x0a636f6e));
	scan->names += scan->named & in_head;
	/* " close", six bytes behind it */
	scan->closes += is_zero((scan->low & 0xffffffffffff) ^ 0x20636c6f7365) & scan->named >> 6 & in_head;
	/* "\nconte" "nt-type:" */
	scan->types |= is_zero(scan->low ^ 0x6e742d747970653a) &
		       is_zero((scan->high & 0xffffffffffff) ^ 0x0a636f6e7465) & in_head;
}

/*
 * A function of its own to the verifier, which looks through it once: `skb` has a payload of `length`
 * bytes at `payload`. 1 if it is such an answer.
 */
__noinline int is_last_answer(struct __sk_buff *skb, __u32 payload, __u32 length)
{
	struct head_scan scan = { 0 };
	__u8 bytes[CHUNK] __attribute__((aligned(8)));
	__u32 chunk, i;

	if (length < CHUNK || bpf_skb_load_bytes(skb, payload, bytes, CHUNK) != 0 || !is_final_status(bytes))
		return 0;
	for (chunk = 0; chunk < HTTP_HEAD; chunk += CHUNK) {
		if (chunk + CHUNK > length || bpf_skb_load_bytes(skb, payload + chunk, bytes, CHUNK) != 0)
			return 0;
		for (i = 0; i < CHUNK; i++)
			scan_byte(&scan, bytes[i]);
		if (scan.has_body)
			break;
	}
	return scan.has_body && scan.names == 1 && scan.closes == 1 && scan.types &&
	       scan.lines <= HTTP_LINES && is_harmless_body(scan.body);
}

#endif
