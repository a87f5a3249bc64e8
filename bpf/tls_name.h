/* SPDX-License-Identifier: MIT */
/*
 * Whom a ClientHello calls: an SSL torrent's names a server of 40 bytes, in OpenSSL's order of extensions.
 * User space is to read it then (detectSslTorrent() of src/protocols/peer_wire/tls.ts, whose places these
 * are). Asked once a connection, of its first segment.
 */
#ifndef BTBLOCKER_TLS_NAME_H
#define BTBLOCKER_TLS_NAME_H

#define TLS_RECORD_HEADER 5
#define TLS_SESSION_ID 43 /* its length */
#define TLS_MAX_SESSION_ID 32
#define TLS_RENEGOTIATION_LENGTH 5
#define TLS_NAME_GATE 9 /* extension server_name, its lengths, and that of the name */

static __always_inline bool is_name_of_40(const __u8 *b)
{
	return !b[0] && !b[1] && !b[2] && b[3] == 45 && !b[4] && b[5] == 43 && !b[6] && !b[7] && b[8] == 40;
}

/* Whether it may name a torrent: it does, or is cut before it says. `b` are its first bytes, of `length`. */
static __always_inline bool may_name_torrent(struct __sk_buff *skb, __u32 payload, __u32 length, const __u8 *b)
{
	__u8 name[TLS_RENEGOTIATION_LENGTH + TLS_NAME_GATE], count[2];
	__u32 at = TLS_SESSION_ID + 1 + b[TLS_SESSION_ID];
	__u32 end = TLS_RECORD_HEADER + (b[3] << 8 | b[4]);

	if (end <= TLS_SESSION_ID)
		return false;
	if (length <= TLS_SESSION_ID)
		return true;
	if (b[TLS_SESSION_ID] > TLS_MAX_SESSION_ID)
		return false;
	if (at + sizeof(count) > length || bpf_skb_load_bytes(skb, payload + at, count, sizeof(count)))
		return true;
	at += sizeof(count) + (count[0] << 8 | count[1]); /* cipher suites */
	if (at + 1 > length || bpf_skb_load_bytes(skb, payload + at, count, 1))
		return true;
	at += 1 + count[0] + 2; /* compression methods, length of the extensions */
	if (at + sizeof(name) > end)
		return false;
	if (at + sizeof(name) > length || bpf_skb_load_bytes(skb, payload + at, name, sizeof(name)))
		return true;
	if (name[0] == 0xff && name[1] == 1)
		return is_name_of_40(name + TLS_RENEGOTIATION_LENGTH);
	return is_name_of_40(name);
}

#endif
