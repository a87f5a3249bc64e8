// SPDX-License-Identifier: MIT
/*
 * The kernel's first look at a flow: two socket filters that iptables' match bpf runs in our chain. What
 * opens, in both directions, with what no BitTorrent opens with (openings.h) needs no trip to user space:
 *
 *   btblocker_look      1: the packet is noted and may pass. 0: it may not yet
 *   btblocker_settled   asked of those. 1: the flow is clean, for good. 0: user space is to judge it
 *
 * In this order most packets of a flow that opens run one program: of TLS five of six.
 *
 * A flow is taken only from its first packet on. Whatever is not expected is handed over, then and for
 * all that follows: user space takes what was noted from the map, and knows the flow as if it had seen it
 * from the beginning. Nothing is released on one side's word.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "layout.h"
#include "openings.h"
#include "http_answer.h"
#include "tls_name.h"

struct cursor {
	struct __sk_buff *skb;
	__u32 pos; /* from the network header on, where a packet begins here */
};

#define read(cursor, to) (bpf_skb_load_bytes((cursor)->skb, (cursor)->pos, to, sizeof(*(to))) == 0)
#define READS_AHEAD true

#include "bans.h"

#ifndef NULL
#define NULL ((void *)0)
#endif

#define JUDGE 0
#define SETTLED 0 /* which btblocker_settled tells from JUDGE by what is noted */
#define PASS 1

#define MORE_FRAGMENTS 0x2000
#define HEAD_ROOM 64 /* of HEAD_LENGTH bytes, a power of two */
/* Bytes of a stream behind which nothing of a handshake can stand; and of a window, so far. */
#define BEHIND_OPENING 64
#define WINDOW 65536

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOWS_NOTED);
	__type(key, struct flow_key);
	__type(value, struct noted_flow);
} noted_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct look_counters);
} look_counters SEC(".maps");

/* A packet as far as its headers tell. */
struct head {
	struct flow_key flow;
	struct endpoint ends[2]; /* source, destination */
	__u32 side;		 /* of the source in the key */
	__u32 sequence;
	__u32 acknowledgement;
	__u32 payload;		 /* where it begins */
	__u32 length;		 /* its bytes */
	__u8 is_syn, is_ack, is_end; /* SYN, ACK; FIN or RST */
};

static __always_inline bool is_lower(const struct endpoint *a, const struct endpoint *b)
{
	int i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		__u32 x = bpf_ntohl(a->address.in6_u.u6_addr32[i]);
		__u32 y = bpf_ntohl(b->address.in6_u.u6_addr32[i]);

		if (x != y)
			return x < y;
	}
	return bpf_ntohs(a->port) <= bpf_ntohs(b->port);
}

static __always_inline void set_mapped(struct in6_addr *address, __be32 ipv4)
{
	address->in6_u.u6_addr32[0] = 0;
	address->in6_u.u6_addr32[1] = 0;
	address->in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	address->in6_u.u6_addr32[3] = ipv4;
}

/* Both addresses and the transport header's place. False for fragments and extension headers. */
static __always_inline bool parse_network(struct cursor *cursor, struct head *head, __u8 *protocol)
{
	struct ipv6hdr ip6;
	struct iphdr ip;

	if (!read(cursor, &ip))
		return false;
	if (ip.version == 4) {
		if (ip.ihl < 5 || ip.frag_off & bpf_htons(FRAGMENT_OFFSET | MORE_FRAGMENTS))
			return false;
		set_mapped(&head->ends[0].address, ip.saddr);
		set_mapped(&head->ends[1].address, ip.daddr);
		*protocol = ip.protocol;
		cursor->pos += ip.ihl * 4;
		return true;
	}
	if (ip.version != 6 || !read(cursor, &ip6))
		return false;
	head->ends[0].address = ip6.saddr;
	head->ends[1].address = ip6.daddr;
	*protocol = ip6.nexthdr;
	cursor->pos += sizeof(ip6);
	return true;
}

static __always_inline bool parse_transport(struct cursor *cursor, struct head *head, __u8 protocol)
{
	__be16 source, destination;
	struct tcphdr tcp;
	struct udphdr udp;

	if (protocol == IPPROTO_TCP) {
		if (!read(cursor, &tcp) || tcp.doff < 5)
			return false;
		source = tcp.source;
		destination = tcp.dest;
		head->sequence = bpf_ntohl(tcp.seq);
		head->acknowledgement = bpf_ntohl(tcp.ack_seq);
		head->is_syn = tcp.syn;
		head->is_ack = tcp.ack;
		head->is_end = tcp.fin || tcp.rst;
		head->payload = cursor->pos + tcp.doff * 4;
	} else if (protocol == IPPROTO_UDP) {
		if (!read(cursor, &udp))
			return false;
		source = udp.source;
		destination = udp.dest;
		head->payload = cursor->pos + sizeof(udp);
	} else {
		return false;
	}
	if (head->payload > cursor->skb->len)
		return false;
	head->length = cursor->skb->len - head->payload;
	if (protocol == IPPROTO_UDP && bpf_ntohs(udp.len) != head->length + sizeof(udp))
		return false; /* several datagrams that were joined, or a length that lies */
	head->ends[0].port = source;
	head->ends[1].port = destination;
	head->ends[0].protocol = head->ends[1].protocol = protocol;
	return true;
}

static __always_inline bool parse(struct __sk_buff *skb, struct head *head)
{
	struct cursor cursor = { .skb = skb, .pos = 0 };
	__u8 protocol;

	__builtin_memset(head, 0, sizeof(*head));
	if (!parse_network(&cursor, head, &protocol) || !parse_transport(&cursor, head, protocol))
		return false;
	head->side = is_lower(&head->ends[0], &head->ends[1]) ? 0 : 1;
	if (head->side == 0) {
		head->flow.address[0] = head->ends[0].address;
		head->flow.address[1] = head->ends[1].address;
		head->flow.port[0] = head->ends[0].port;
		head->flow.port[1] = head->ends[1].port;
	} else {
		head->flow.address[0] = head->ends[1].address;
		head->flow.address[1] = head->ends[0].address;
		head->flow.port[0] = head->ends[1].port;
		head->flow.port[1] = head->ends[0].port;
	}
	head->flow.protocol = protocol;
	return true;
}

/* The first bytes of the payload, zeros behind them. */
static __always_inline void read_payload(struct __sk_buff *skb, const struct head *head, __u8 *bytes)
{
	__u32 length = head->length;

	__builtin_memset(bytes, 0, HEAD_ROOM);
	if (length >= HEAD_LENGTH)
		bpf_skb_load_bytes(skb, head->payload, bytes, HEAD_LENGTH);
	else if (length > 0)
		bpf_skb_load_bytes(skb, head->payload, bytes, length);
}

static __always_inline struct look_counters *counters(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&look_counters, &key);
}

static __always_inline int counted(int answer)
{
	struct look_counters *count = counters();

	if (count)
		count->packets++;
	return answer;
}

static __always_inline int pass(const struct noted_flow *noted)
{
	return counted(noted->settled ? SETTLED : PASS);
}

/* User space judges from here on; it takes what was noted out of the map. */
static __always_inline int hand_over(struct noted_flow *noted)
{
	noted->given = 1;
	return JUDGE;
}

/* Counts a flow whose both sides have opened so. */
static __always_inline void recognised(__u32 kind)
{
	struct look_counters *count = counters();

	if (count && kind < OPENING_KINDS)
		count->settled[kind]++;
}

/* Bits of the handshake's bytes that `b` has in their places, as handshake_readings.ts counts them. */
static __always_inline __u32 handshake_bits(const __u8 *b)
{
	const char handshake[] = "\x13" "BitTorrent protocol";
	__u32 bits = 0;
	int i;

#pragma unroll
	for (i = 0; i < 20; i++)
		bits |= (__u32)(b[i] == (__u8)handshake[i]) << i;
	return bits;
}

static __always_inline void note_side(struct __sk_buff *skb, struct noted_flow *noted, __u32 side)
{
	if (noted->ifindex[side & 1] == 0)
		noted->ifindex[side & 1] = skb->ifindex;
}

/* A flow that begins with this packet; null where there is no room. */
static __always_inline struct noted_flow *begin(struct __sk_buff *skb, const struct head *head)
{
	struct noted_flow *noted, empty;
	bool has_room;

	__builtin_memset(&empty, 0, sizeof(empty));
	has_room = bpf_map_update_elem(&noted_flows, &head->flow, &empty, BPF_ANY) == 0;
	noted = bpf_map_lookup_elem(&noted_flows, &head->flow);
	if (!noted)
		return NULL;
	if (!has_room) {
		noted->given = 1; /* of the flow before: settled, it would answer for this one */
		return NULL;
	}
	noted->initiator = head->side;
	note_side(skb, noted, head->side);
	return noted;
}

static __always_inline int look_syn(struct __sk_buff *skb, const struct head *head, struct noted_flow *noted)
{
	__u32 side = head->side & 1;

	if (head->is_ack && !noted)
		return JUDGE;
	if (noted && noted->given)
		return JUDGE;
	if (head->length > 0 || head->is_end) /* TCP Fast Open: there may be a handshake in it */
		return noted ? hand_over(noted) : JUDGE;
	if (!head->is_ack && noted && side != noted->initiator)
		return hand_over(noted); /* both ends open at once, or the other way round */
	if (!head->is_ack) {
		bool is_begun = noted && (noted->asked || noted->opening[0] || noted->opening[1]);

		if (is_begun && !noted->settled && noted->known[side ^ 1])
			return hand_over(noted); /* it is running: the other end may not answer */
		if (!noted || noted->settled || is_begun)
			noted = begin(skb, head); /* also a new connection on an old 5-tuple */
		if (!noted)
			return JUDGE;
	} else if (noted->settled) {
		return pass(noted);
	} else if (side == noted->initiator || head->acknowledgement != noted->begin[side ^ 1]) {
		return hand_over(noted);
	}
	noted->begin[side] = head->sequence + 1;
	noted->known[side] = 1;
	note_side(skb, noted, side);
	return pass(noted);
}

/*
 * Where one side has ruled encryption out, the other may say what it likes that is no opening of concern;
 * not before it has acknowledged some of that: it may be a decoy that dies on the way.
 */
static __always_inline __u8 stream_opening(struct __sk_buff *skb, const struct noted_flow *noted,
					   const struct head *head, const __u8 *bytes)
{
	__u32 side = head->side & 1, other = side ^ 1;
	bool is_initiator = side == noted->initiator;
	__u8 opening = tcp_opening(bytes, head->length, is_initiator);

	if (!opening && noted->opening[other] == UNKNOWN_STREAM && head->is_ack &&
	    head->acknowledgement - noted->begin[other] - 1 < noted->length[other] &&
	    !concerns_stream(bytes, head->length, is_initiator))
		return UNKNOWN_STREAM;
	if (opening == TLS_CLIENT_HELLO && may_name_torrent(skb, head->payload, head->length, bytes))
		return 0;
	return opening;
}

/* A packet with payload, after the request that user space has judged: the answer to it, or its own again. */
static __always_inline int look_answer(struct __sk_buff *skb, const struct head *head, struct noted_flow *noted)
{
	__u32 side = head->side & 1, asker = side ^ 1;

	if (side == noted->initiator || head->is_end || !head->is_ack)
		return hand_over(noted);
	if (head->sequence != noted->begin[side] ||
	    head->acknowledgement != noted->begin[asker] + noted->length[asker])
		return hand_over(noted);
	if (!is_last_answer(skb, head->payload, head->length))
		return hand_over(noted);
	noted->settled = 1;
	recognised(KIND_HTTP);
	return pass(noted);
}

static __always_inline int look_stream(struct __sk_buff *skb, const struct head *head, struct noted_flow *noted)
{
	__u32 side = head->side & 1, other = side ^ 1;
	__u8 bytes[HEAD_ROOM] __attribute__((aligned(8)));
	__u32 offset;
	__u8 opening;

	if (!noted || noted->given)
		return JUDGE;
	if (noted->settled || head->length == 0)
		return pass(noted);
	if (noted->asked)
		return look_answer(skb, head, noted);
	if (head->is_end || !noted->known[side])
		return hand_over(noted);
	offset = head->sequence - noted->begin[side];
	if (offset == 0) {
		read_payload(skb, head, bytes);
		opening = stream_opening(skb, noted, head, bytes);
		if (!opening || (noted->opening[side] && noted->opening[side] != opening))
			return hand_over(noted);
		noted->opening[side] = opening;
		if (head->length > noted->length[side])
			noted->length[side] = head->length;
		noted->handshake[side] |= handshake_bits(bytes);
		if (head->is_ack && noted->known[other] &&
		    head->acknowledgement - noted->begin[other] <= noted->length[other])
			noted->acknowledged[side] = 1;
	} else if (!noted->opening[side] || offset < BEHIND_OPENING || offset >= WINDOW) {
		return hand_over(noted);
	}
	if (noted->opening[0] && noted->opening[1]) {
		if (kind_of(noted->opening[0]) != kind_of(noted->opening[1]))
			return hand_over(noted);
		noted->settled = 1;
		recognised(kind_of(noted->opening[0]));
	}
	return pass(noted);
}

/* A client's connection id, which the server's packets are addressed to (RFC 9000, 17.2). */
static __always_inline __u64 quic_token(const __u8 *b, bool is_initiator)
{
	__u32 at = 5, length, i;
	__u64 token;

	if (is_initiator) {
		if (b[5] > 20)
			return 0;
		at = 6 + b[5];
	}
	length = b[at & 31];
	if (length > 20)
		return 0;
	token = length + 1;
#pragma unroll
	for (i = 1; i <= 6; i++)
		token = token << 8 | (i <= length ? b[(at + i) & (HEAD_ROOM - 1)] : 0);
	return token;
}

static __always_inline __u64 datagram_token(__u8 opening, const __u8 *b, bool is_initiator)
{
	return kind_of(opening) == KIND_QUIC ? quic_token(b, is_initiator) : token_of(opening, b);
}

static __always_inline void count_datagram(struct noted_flow *noted, const struct head *head)
{
	__u32 side = head->side & 1;

	noted->length[side] += head->length;
	if (noted->packets[side] < 255)
		noted->packets[side]++;
}

/* The ports that tunnels have for themselves: there also what is no packet is no flow's beginning. */
static __always_inline bool has_tunnel_port(const struct head *head)
{
	return is_tunnel_port(bpf_ntohs(head->ends[0].port)) || is_tunnel_port(bpf_ntohs(head->ends[1].port));
}

static __always_inline __u8 opening_of(const struct head *head, const __u8 *bytes, bool is_initiator)
{
	__u8 opening = udp_opening(bytes, head->length, is_initiator);

	return kind_of(opening) == KIND_UNKNOWN && has_tunnel_port(head) ? 0 : opening;
}

static __always_inline int first_datagram(struct __sk_buff *skb, const struct head *head)
{
	struct noted_flow *noted = begin(skb, head);
	__u8 bytes[HEAD_ROOM] __attribute__((aligned(8)));
	__u32 side = head->side & 1;
	__u8 opening;

	if (!noted)
		return JUDGE;
	read_payload(skb, head, bytes);
	opening = opening_of(head, bytes, true);
	if (!opening)
		return hand_over(noted); /* else a later datagram would be taken for the flow's first */
	noted->opening[side] = opening;
	noted->token = datagram_token(opening, bytes, true);
	count_datagram(noted, head);
	return pass(noted);
}

static __always_inline int look_datagram(struct __sk_buff *skb, const struct head *head, struct noted_flow *noted)
{
	__u32 side = head->side & 1;
	__u8 bytes[HEAD_ROOM] __attribute__((aligned(8)));
	bool is_initiator, is_same;
	__u8 opening, first;
	__u64 token;

	if (!noted || noted->settled) /* settled, and conntrack has forgotten it: another flow */
		return first_datagram(skb, head);
	if (noted->given)
		return JUDGE;
	is_initiator = side == noted->initiator;
	first = noted->opening[noted->initiator & 1];
	read_payload(skb, head, bytes);
	opening = opening_of(head, bytes, is_initiator);
	is_same = opening && kind_of(opening) == kind_of(first);
	if (noted->opening[0] && noted->opening[1]) {
		if (!is_same && (kind_of(first) == KIND_UNKNOWN || concerns_engine(bytes)))
			return hand_over(noted);
	} else if (!is_same || (is_initiator && noted->packets[side] >= UDP_PACKETS_UNANSWERED)) {
		return hand_over(noted);
	} else {
		token = datagram_token(opening, bytes, is_initiator);
		if (is_initiator) {
			noted->token = token; /* asked again, or something else */
		} else {
			if (token != noted->token)
				return hand_over(noted);
			noted->opening[side] = opening;
			note_side(skb, noted, side);
			recognised(kind_of(opening));
		}
	}
	count_datagram(noted, head);
	if (noted->opening[0] && noted->opening[1] &&
	    (noted->packets[0] + noted->packets[1] >= UDP_PACKETS ||
	     noted->length[0] + noted->length[1] >= UDP_BYTES))
		noted->settled = 1;
	return pass(noted);
}

/* Whoever is banned is user space's: it knows what to drop, and counts it. */
static __always_inline bool has_banned_end(const struct head *head)
{
	return holds_ban(&head->ends[0]) || holds_ban(&head->ends[1]);
}

SEC("socket")
int btblocker_look(struct __sk_buff *skb)
{
	struct noted_flow *noted;
	struct head head;

	if (!parse(skb, &head))
		return JUDGE;
	noted = bpf_map_lookup_elem(&noted_flows, &head.flow);
	if (has_banned_end(&head))
		return noted ? hand_over(noted) : JUDGE;
	if (head.flow.protocol == IPPROTO_UDP)
		return look_datagram(skb, &head, noted);
	if (head.is_syn)
		return look_syn(skb, &head, noted);
	return look_stream(skb, &head, noted);
}

SEC("socket")
int btblocker_settled(struct __sk_buff *skb)
{
	struct noted_flow *noted;
	struct head head;

	if (!parse(skb, &head))
		return 0;
	noted = bpf_map_lookup_elem(&noted_flows, &head.flow);
	return noted && noted->settled && !noted->given;
}

/* bpf_ktime_get_boot_ns() is reserved to GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
