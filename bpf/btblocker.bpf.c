// SPDX-License-Identifier: MIT
/*
 * Drops what banned addresses send, in the driver, before the kernel has spent anything on it.
 *
 * Two entry programs share the maps: btblocker_l2 for devices whose packets begin with an Ethernet header,
 * btblocker_l3 for those whose packets begin with the IP header (WireGuard, TUN, IPIP). The loader picks by
 * the device's hardware type.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "layout.h"

/* Truncated, unknown and non-IP traffic is none of our business. */
#define NOT_OURS XDP_PASS

#define VLAN_TAGS_MAX 2	     /* 802.1ad (QinQ): service and customer tag */
#define EXTENSIONS_MAX 6     /* each at most once, RFC 8200 section 4.1; real packets have 0 to 2 */
#define FRAGMENT_OFFSET 0x1fff
#define FRAGMENT_OFFSET6 0xfff8

/* Set before load: also look for the sender's transport and port (BAN_SCOPE=endpoint). */
const volatile __u32 endpoint_scope = 0;

/* Set before load: also look for the sender's network (a fleet bans them). Costs nothing where not. */
const volatile __u32 network_bans = 0;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BANS_DEFAULT);
	__type(key, struct in6_addr);
	__type(value, struct ban);
} blocked_ips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BANS_DEFAULT);
	__type(key, struct endpoint);
	__type(value, struct ban);
} blocked_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, NETWORKS_MOST);
	__type(key, struct network);
	__type(value, struct ban);
} blocked_networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_COUNTERS);
	__type(key, __u32);
	__type(value, struct drops);
} interface_drops SEC(".maps");

/* Where the next header begins, and where the packet ends. */
struct cursor {
	void *pos;
	void *end;
};

struct vlan_tag {
	__be16 tci;
	__be16 protocol;
};

/* RFC 8200 section 4.2, RFC 4302 section 2.2 */
struct extension {
	__u8 next;
	__u8 length;
	__be16 fragment; /* offset and flags, in a fragment header */
	__be32 rest;
};

struct ports {
	__be16 source;
	__be16 destination;
};

/* Each returns the type of the header that follows, or -1 when truncated. */

static __always_inline int parse_ethernet(struct cursor *cursor)
{
	struct ethhdr *ethernet = cursor->pos;
	struct vlan_tag *tag;
	__be16 protocol;
	int i;

	if ((void *)(ethernet + 1) > cursor->end)
		return -1;
	cursor->pos = ethernet + 1;
	protocol = ethernet->h_proto;
#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		tag = cursor->pos;
		if ((void *)(tag + 1) > cursor->end)
			return -1;
		cursor->pos = tag + 1;
		protocol = tag->protocol;
	}
	return protocol; /* network order */
}

/* No link header: the version tells. */
static __always_inline int parse_version(struct cursor *cursor)
{
	__u8 *first = cursor->pos;

	if ((void *)(first + 1) > cursor->end)
		return -1;
	switch (*first >> 4) {
	case 4:
		return bpf_htons(ETH_P_IP);
	case 6:
		return bpf_htons(ETH_P_IPV6);
	default:
		return -1;
	}
}

/* Fills the source. -1 also where no ports follow: a later fragment. */
static __always_inline int parse_ipv4(struct cursor *cursor, struct endpoint *from, bool *cut)
{
	struct iphdr *ip = cursor->pos;
	__u32 length;

	*cut = (void *)(ip + 1) > cursor->end;
	if (*cut)
		return -1;
	length = ip->ihl * 4;
	if (length < sizeof(*ip)) {
		*cut = true;
		return -1;
	}
	from->address.in6_u.u6_addr32[0] = 0;
	from->address.in6_u.u6_addr32[1] = 0;
	from->address.in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	from->address.in6_u.u6_addr32[3] = ip->saddr;
	if (!endpoint_scope || ip->frag_off & bpf_htons(FRAGMENT_OFFSET))
		return -1;
	cursor->pos += length;
	return ip->protocol;
}

static __always_inline int parse_ipv6(struct cursor *cursor, struct endpoint *from, bool *cut)
{
	struct ipv6hdr *ip = cursor->pos;
	struct extension *extension;
	__u8 next;
	int i;

	*cut = (void *)(ip + 1) > cursor->end;
	if (*cut)
		return -1;
	from->address = ip->saddr;
	if (!endpoint_scope)
		return -1;
	cursor->pos = ip + 1;
	next = ip->nexthdr;
#pragma unroll
	for (i = 0; i < EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_AH && next != IPPROTO_DSTOPTS)
			break;
		extension = cursor->pos;
		if ((void *)(extension + 1) > cursor->end)
			return -1;
		if (next == IPPROTO_FRAGMENT) {
			if (extension->fragment & bpf_htons(FRAGMENT_OFFSET6))
				return -1;
			cursor->pos += sizeof(*extension);
		} else if (next == IPPROTO_AH) {
			cursor->pos += (extension->length + 2) * 4;
		} else {
			cursor->pos += (extension->length + 1) * 8;
		}
		next = extension->next;
	}
	return next;
}

static __always_inline bool parse_ports(struct cursor *cursor, int protocol, struct endpoint *from)
{
	struct ports *ports = cursor->pos;

	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return false;
	if ((void *)(ports + 1) > cursor->end)
		return false;
	from->port = ports->source;
	from->protocol = protocol;
	from->pad = 0;
	return true;
}

static __always_inline void count_drop(struct xdp_md *ctx, __u64 bytes)
{
	__u32 counter = ctx->ingress_ifindex % DROP_COUNTERS;
	struct drops *drops = bpf_map_lookup_elem(&interface_drops, &counter);

	if (!drops)
		return;
	drops->packets++;
	drops->bytes += bytes;
}

/* The program checks the end of the ban itself: it ends on time whether or not a cleaner runs. */
static __always_inline bool is_banned(struct xdp_md *ctx, struct ban *ban)
{
	__u64 bytes = ctx->data_end - ctx->data;
	__u64 now;

	if (!ban)
		return false;
	now = bpf_ktime_get_boot_ns();
	if (now >= ban->until_ns)
		return false;
	__sync_fetch_and_add(&ban->packets, 1);
	__sync_fetch_and_add(&ban->bytes, bytes);
	ban->last_seen_ns = now;
	count_drop(ctx, bytes);
	return true;
}

/*
 * The longest network that has the address decides. Where its ban has ended but the one around it has not,
 * packets pass until the fleet's side takes it out, at its next look.
 */
static __always_inline struct ban *ban_of_network(struct in6_addr *address)
{
	struct network of = { .bits = 128, .address = *address };

	return bpf_map_lookup_elem(&blocked_networks, &of);
}

static __always_inline int judge(struct xdp_md *ctx, struct cursor *cursor, int network)
{
	struct endpoint from;
	bool cut;
	int transport;

	if (network == bpf_htons(ETH_P_IP))
		transport = parse_ipv4(cursor, &from, &cut);
	else if (network == bpf_htons(ETH_P_IPV6))
		transport = parse_ipv6(cursor, &from, &cut);
	else
		return NOT_OURS;
	if (cut)
		return NOT_OURS;
	if (is_banned(ctx, bpf_map_lookup_elem(&blocked_ips, &from.address)))
		return XDP_DROP;
	if (endpoint_scope && parse_ports(cursor, transport, &from) &&
	    is_banned(ctx, bpf_map_lookup_elem(&blocked_endpoints, &from)))
		return XDP_DROP;
	if (network_bans && is_banned(ctx, ban_of_network(&from.address)))
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp")
int btblocker_l2(struct xdp_md *ctx)
{
	struct cursor cursor = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	return judge(ctx, &cursor, parse_ethernet(&cursor));
}

SEC("xdp")
int btblocker_l3(struct xdp_md *ctx)
{
	struct cursor cursor = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	return judge(ctx, &cursor, parse_version(&cursor));
}

/* bpf_ktime_get_boot_ns() is reserved to GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
