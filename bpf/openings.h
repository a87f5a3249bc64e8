/* SPDX-License-Identifier: MIT */
/* Written by `deno task bpf` from src/gateway/first_look/openings.ts: change that. */
#ifndef BTBLOCKER_OPENINGS_H
#define BTBLOCKER_OPENINGS_H

#define HEAD_LENGTH 48
#define OPENING_KINDS 10
/* A UDP flow is clean after so much of both sides, as src/engine/release.ts has it. */
#define UDP_PACKETS 8
#define UDP_BYTES 8192
/* So many of one side that nobody answers are shown to user space, which lets the flow go. */
#define UDP_PACKETS_UNANSWERED 64
#define TLS_CLIENT_HELLO 1
#define TLS_SERVER_HELLO 2
#define TLS_ALERT 3
#define SSH_BANNER 4
#define QUIC_V1_INITIAL 5
#define QUIC_V1_ANSWER 6
#define QUIC_V2_INITIAL 7
#define QUIC_V2_ANSWER 8
#define QUIC_DRAFT29_INITIAL 9
#define QUIC_DRAFT29_ANSWER 10
#define DNS_QUERY 11
#define DNS_RESPONSE 12
#define NTP_CLIENT 13
#define NTP_SERVER 14
#define NTP3_SERVER 15
#define DTLS_CLIENT_HELLO 16
#define DTLS_SERVER_HELLO 17
#define DTLS_ALERT 18
#define STUN_REQUEST 19
#define STUN_RESPONSE 20
#define WIREGUARD_INITIATION 21
#define WIREGUARD_RESPONSE 22
#define UNKNOWN_STREAM 23
#define UNKNOWN_DATAGRAM 24
#define KIND_TLS 0
#define KIND_SSH 1
#define KIND_QUIC 2
#define KIND_DNS 3
#define KIND_NTP 4
#define KIND_DTLS 5
#define KIND_STUN 6
#define KIND_WIREGUARD 7
#define KIND_UNKNOWN 8
#define KIND_HTTP 9

#include "unknown.h"

/* Ports that src/packet/udp_tunnels.ts asks for. */
static __always_inline bool is_tunnel_port(__u16 port)
{
	return port == 2152 ||
	       port == 1701 ||
	       port == 4789 ||
	       port == 4790 ||
	       port == 8472 ||
	       port == 6081 ||
	       port == 6635 ||
	       port == 37008;
}

/* Which opening a payload of `length` bytes begins with, 0 for none; `b` are its first bytes. */
static __always_inline __u8 tcp_opening(const __u8 *b, __u32 length, bool is_initiator)
{
	if (is_initiator &&
	    length >= 11 &&
	    b[0] == 22 &&
	    b[1] == 3 &&
	    b[2] <= 4 &&
	    b[3] <= 64 &&
	    b[5] == 1 &&
	    b[6] == 0 &&
	    b[9] == 3 &&
	    b[10] <= 4)
		return TLS_CLIENT_HELLO;
	if (!is_initiator &&
	    length >= 11 &&
	    b[0] == 22 &&
	    b[1] == 3 &&
	    b[2] <= 4 &&
	    b[3] <= 64 &&
	    b[5] == 2 &&
	    b[6] == 0 &&
	    b[9] == 3 &&
	    b[10] <= 4)
		return TLS_SERVER_HELLO;
	if (!is_initiator &&
	    length >= 7 &&
	    b[0] == 21 &&
	    b[1] == 3 &&
	    b[2] <= 4 &&
	    b[3] == 0 &&
	    b[4] == 2 &&
	    (b[5] == 1 || b[5] == 2))
		return TLS_ALERT;
	if (length >= 16 &&
	    b[0] == 83 &&
	    b[1] == 83 &&
	    b[2] == 72 &&
	    b[3] == 45 &&
	    (b[4] == 49 || b[4] == 50) &&
	    b[5] == 46 &&
	    b[6] >= 32 && b[6] <= 126 &&
	    b[7] >= 32 && b[7] <= 126 &&
	    b[8] >= 32 && b[8] <= 126 &&
	    b[9] >= 32 && b[9] <= 126 &&
	    b[10] >= 32 && b[10] <= 126 &&
	    b[11] >= 32 && b[11] <= 126 &&
	    b[12] >= 32 && b[12] <= 126 &&
	    b[13] >= 32 && b[13] <= 126 &&
	    b[14] >= 32 && b[14] <= 126 &&
	    b[15] >= 32 && b[15] <= 126)
		return SSH_BANNER;
	if (length >= 8 &&
	    is_unknown_stream(b, length, is_initiator))
		return UNKNOWN_STREAM;
	return 0;
}

/* Which opening a payload of `length` bytes begins with, 0 for none; `b` are its first bytes. */
static __always_inline __u8 udp_opening(const __u8 *b, __u32 length, bool is_initiator)
{
	if (is_initiator &&
	    length >= 1200 &&
	    (b[0] & 240) == 192 &&
	    b[1] == 0 &&
	    b[2] == 0 &&
	    b[3] == 0 &&
	    b[4] == 1 &&
	    b[5] >= 8 && b[5] <= 20)
		return QUIC_V1_INITIAL;
	if (!is_initiator &&
	    length >= 21 &&
	    (b[0] & 192) == 192 &&
	    b[1] == 0 &&
	    b[2] == 0 &&
	    b[3] == 0 &&
	    b[4] == 1 &&
	    b[5] <= 20)
		return QUIC_V1_ANSWER;
	if (is_initiator &&
	    length >= 1200 &&
	    (b[0] & 240) == 208 &&
	    b[1] == 107 &&
	    b[2] == 51 &&
	    b[3] == 67 &&
	    b[4] == 207 &&
	    b[5] >= 8 && b[5] <= 20)
		return QUIC_V2_INITIAL;
	if (!is_initiator &&
	    length >= 21 &&
	    (b[0] & 192) == 192 &&
	    b[1] == 107 &&
	    b[2] == 51 &&
	    b[3] == 67 &&
	    b[4] == 207 &&
	    b[5] <= 20)
		return QUIC_V2_ANSWER;
	if (is_initiator &&
	    length >= 1200 &&
	    (b[0] & 240) == 192 &&
	    b[1] == 255 &&
	    b[2] == 0 &&
	    b[3] == 0 &&
	    b[4] == 29 &&
	    b[5] >= 8 && b[5] <= 20)
		return QUIC_DRAFT29_INITIAL;
	if (!is_initiator &&
	    length >= 21 &&
	    (b[0] & 192) == 192 &&
	    b[1] == 255 &&
	    b[2] == 0 &&
	    b[3] == 0 &&
	    b[4] == 29 &&
	    b[5] <= 20)
		return QUIC_DRAFT29_ANSWER;
	if (is_initiator &&
	    length >= 17 &&
	    (b[2] & 248) == 0 &&
	    (b[3] & 79) == 0 &&
	    b[4] == 0 &&
	    b[5] == 1 &&
	    b[6] == 0 &&
	    b[7] == 0 &&
	    b[8] == 0 &&
	    b[9] == 0 &&
	    b[10] == 0 &&
	    b[11] <= 2)
		return DNS_QUERY;
	if (!is_initiator &&
	    length >= 17 &&
	    (b[2] & 248) == 128 &&
	    (b[3] & 64) == 0 &&
	    b[4] == 0 &&
	    b[5] == 1 &&
	    b[6] == 0 &&
	    b[8] == 0 &&
	    b[10] == 0)
		return DNS_RESPONSE;
	if (is_initiator &&
	    length >= 48 &&
	    (b[0] == 27 || b[0] == 35 || b[0] == 219 || b[0] == 227) &&
	    (length == 48 || length == 68 || length == 72))
		return NTP_CLIENT;
	if (!is_initiator &&
	    length >= 48 &&
	    (b[0] & 63) == 36 &&
	    (length == 48 || length == 68 || length == 72))
		return NTP_SERVER;
	if (!is_initiator &&
	    length >= 48 &&
	    (b[0] & 63) == 28 &&
	    (length == 48 || length == 68 || length == 72))
		return NTP3_SERVER;
	if (is_initiator &&
	    length >= 25 &&
	    b[0] == 22 &&
	    b[1] == 254 &&
	    (b[2] == 255 || b[2] == 253) &&
	    b[3] == 0 &&
	    b[4] == 0 &&
	    b[5] == 0 &&
	    b[6] == 0 &&
	    b[7] == 0 &&
	    b[8] == 0 &&
	    b[13] == 1 &&
	    b[14] == 0)
		return DTLS_CLIENT_HELLO;
	if (!is_initiator &&
	    length >= 25 &&
	    b[0] == 22 &&
	    b[1] == 254 &&
	    (b[2] == 255 || b[2] == 253) &&
	    b[3] == 0 &&
	    b[4] == 0 &&
	    b[5] == 0 &&
	    b[6] == 0 &&
	    b[7] == 0 &&
	    b[8] == 0 &&
	    (b[13] == 2 || b[13] == 3) &&
	    b[14] == 0)
		return DTLS_SERVER_HELLO;
	if (!is_initiator &&
	    length >= 15 &&
	    b[0] == 21 &&
	    b[1] == 254 &&
	    (b[2] == 255 || b[2] == 253) &&
	    b[3] == 0 &&
	    b[4] == 0 &&
	    b[5] == 0 &&
	    b[6] == 0 &&
	    b[7] == 0 &&
	    b[8] == 0 &&
	    b[11] == 0 &&
	    b[12] == 2 &&
	    (b[13] == 1 || b[13] == 2) &&
	    length == 15)
		return DTLS_ALERT;
	if (is_initiator &&
	    length >= 20 &&
	    b[0] == 0 &&
	    (b[1] == 1 || b[1] == 3) &&
	    b[4] == 33 &&
	    b[5] == 18 &&
	    b[6] == 164 &&
	    b[7] == 66 &&
	    ((__u32)b[2] << 8 | b[3]) + 20 == length)
		return STUN_REQUEST;
	if (!is_initiator &&
	    length >= 20 &&
	    b[0] == 1 &&
	    (b[1] == 1 || b[1] == 3 || b[1] == 17 || b[1] == 19) &&
	    b[4] == 33 &&
	    b[5] == 18 &&
	    b[6] == 164 &&
	    b[7] == 66 &&
	    ((__u32)b[2] << 8 | b[3]) + 20 == length)
		return STUN_RESPONSE;
	if (is_initiator &&
	    length >= 148 &&
	    b[0] == 1 &&
	    b[1] == 0 &&
	    b[2] == 0 &&
	    b[3] == 0 &&
	    length == 148)
		return WIREGUARD_INITIATION;
	if (!is_initiator &&
	    length >= 92 &&
	    b[0] == 2 &&
	    b[1] == 0 &&
	    b[2] == 0 &&
	    b[3] == 0 &&
	    length == 92)
		return WIREGUARD_RESPONSE;
	if (length >= 12 &&
	    is_unknown_datagram(b))
		return UNKNOWN_DATAGRAM;
	return 0;
}

/* Index of the kind that an opening is of. */
static __always_inline __u32 kind_of(__u8 opening)
{
	switch (opening) {
	case TLS_CLIENT_HELLO:
	case TLS_SERVER_HELLO:
	case TLS_ALERT:
		return KIND_TLS;
	case SSH_BANNER:
		return KIND_SSH;
	case QUIC_V1_INITIAL:
	case QUIC_V1_ANSWER:
	case QUIC_V2_INITIAL:
	case QUIC_V2_ANSWER:
	case QUIC_DRAFT29_INITIAL:
	case QUIC_DRAFT29_ANSWER:
		return KIND_QUIC;
	case DNS_QUERY:
	case DNS_RESPONSE:
		return KIND_DNS;
	case NTP_CLIENT:
	case NTP_SERVER:
	case NTP3_SERVER:
		return KIND_NTP;
	case DTLS_CLIENT_HELLO:
	case DTLS_SERVER_HELLO:
	case DTLS_ALERT:
		return KIND_DTLS;
	case STUN_REQUEST:
	case STUN_RESPONSE:
		return KIND_STUN;
	case WIREGUARD_INITIATION:
	case WIREGUARD_RESPONSE:
		return KIND_WIREGUARD;
	case UNKNOWN_STREAM:
	case UNKNOWN_DATAGRAM:
		return KIND_UNKNOWN;
	default:
		return OPENING_KINDS;
	}
}

static __always_inline __u64 read_token(const __u8 *b, __u32 length)
{
	__u64 token = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < length; i++)
		token = token << 8 | b[i];
	return token;
}

/* What an answer must repeat, 0 where it is nothing. */
static __always_inline __u64 token_of(__u8 opening, const __u8 *b)
{
	switch (opening) {
	case DNS_QUERY:
	case DNS_RESPONSE:
		return read_token(b + 0, 2);
	case NTP_CLIENT:
		return read_token(b + 40, 8);
	case NTP_SERVER:
	case NTP3_SERVER:
		return read_token(b + 24, 8);
	case STUN_REQUEST:
	case STUN_RESPONSE:
		return read_token(b + 8, 8);
	case WIREGUARD_INITIATION:
		return read_token(b + 4, 4);
	case WIREGUARD_RESPONSE:
		return read_token(b + 8, 4);
	default:
		return 0;
	}
}

#endif
