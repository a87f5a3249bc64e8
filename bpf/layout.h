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

#define BANS_DEFAULT 131072 /* entries of a ban map; BAN_LIMIT sets another size before load */
#define NETWORKS_MOST 65536 /* entries of blocked_networks, allocated as they come */
#define DROP_COUNTERS 1024  /* power of two; an interface's is its index modulo this */

/* Key of blocked_ips: struct in6_addr, IPv4 as ::ffff:a.b.c.d. */

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
	__u8 pad[7];        /* 0 */
};

/* Value of interface_drops, one per CPU: an array, since a lookup in a hash costs as much again. */
struct drops {
	__u64 packets;
	__u64 bytes;
};

#endif
