/* SPDX-License-Identifier: MIT */
/*
 * What the XDP program and the blocker share. src/gateway/bans/ban_codec.ts mirrors these layouts and
 * tests/gateway/bans/ban_codec_test.ts holds both to literal bytes: change them together.
 *
 * Numbers are in host order, addresses and ports in network order.
 */
#ifndef BTBLOCKER_LAYOUT_H
#define BTBLOCKER_LAYOUT_H

#include <linux/in6.h>
#include <linux/types.h>

#define BANS_DEFAULT 131136 /* entries of a ban map; BAN_LIMIT sets another size before load */
#define NETWORKS_MOST 65536 /* entries of blocked_networks, allocated as they come */
#define OWN_ADDRESSES 4096  /* entries of own_addresses */
#define PORT_WORDS 2048     /* of 32 bits, one for each port: open_ports */
#define DROP_COUNTERS 1024  /* power of two; an interface's is its index modulo this */

/*
 * Key of blocked_ips: struct in6_addr, IPv4 as ::ffff:a.b.c.d; IPv6 whole, or cut to the prefix that bans
 * are for (BAN_PREFIX, usually 64 bits). The value says which: an address is never all prefix.
 */

/* Key of blocked_endpoints (BAN_SCOPE=endpoint). */
struct endpoint {
	struct in6_addr address;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad;      /* 0 */
};

/* Key of blocked_networks (struct bpf_lpm_trie_key): a network, IPv4 as ::ffff:a.b.c.d/(96 + bits). */
struct network {
	__u32 bits;
	struct in6_addr address; /* host bits 0 */
};

/* Value of all three. Times are CLOCK_BOOTTIME, which counts suspend, in nanoseconds. */
struct ban {
	__u64 until_ns;
	__u64 since_ns;
	__u64 packets;      /* dropped */
	__u64 bytes;        /* dropped, as the driver saw them */
	__u64 last_seen_ns; /* last drop, 0 for none */
	__u8 reason;        /* index into METHODS of src/protocols/match.ts; 254 fleet, 255 manual */
	__u8 bits;          /* prefix length of the key, 0 for 128 (IPv4: of the whole address) */
	__u8 pad[6];        /* the first: which ban of the key it is, for BAN_FACTOR; the others 0 */
};

/* Elements of bans_in_force: not 0 where the map may have any. */
#define ADDRESSES 0
#define ENDPOINTS 1
#define NETWORKS 2
#define BAN_KINDS 3

/* Value of interface_drops, one per CPU: an array, since a lookup in a hash costs as much again. */
struct drops {
	__u64 packets;
	__u64 bytes;
};

#define FLOWS_NOTED 131072 /* entries of noted_flows; the least recently used makes room */

/* Key of noted_flows: both directions are one flow. Side 0 is the lower address, then the lower port. */
struct flow_key {
	struct in6_addr address[2];
	__be16 port[2];
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad[3];   /* 0 */
};

/* What the first look has noted of a flow, by side. src/gateway/first_look/noted_flows.ts mirrors it. */
struct noted_flow {
	__u32 begin[2];	   /* TCP: sequence number of the stream's first byte */
	__u32 length[2];   /* TCP: bytes of the opening's packet; UDP: of all datagrams; 0 for none seen */
	__u32 handshake[2]; /* TCP: bytes of BitTorrent's handshake that the opening has in their places */
	__u32 ifindex[2];  /* where the side's first packet came in, 0 for none (OUTPUT) */
	__u64 token;	   /* UDP: what an answer must repeat */
	__u8 known[2];	   /* TCP: a SYN of this side was seen */
	__u8 opening[2];   /* row of openings.h, 0 for none */
	__u8 acknowledged[2]; /* TCP: the opening acknowledged what the other side chose */
	__u8 initiator;	   /* side that began */
	__u8 given;	   /* user space judges the flow */
	__u8 settled;	   /* both sides have opened with what is no BitTorrent */
	__u8 packets[2];   /* UDP: datagrams of the side */
	__u8 asked;	   /* TCP: user space has judged the initiator's one request of HTTP, of `length` */
	__u8 pad[4];	   /* 0 */
};

/* Value of first_look_counters, one per CPU. */
struct look_counters {
	__u64 packets;		      /* that made no trip to user space */
	__u64 settled[10 /* kinds */]; /* flows, by their kind in openings.h */
};

#endif
