// SPDX-License-Identifier: MIT
/*
 * Drops what banned addresses send, in the driver, before the kernel has spent anything on it.
 *
 * Two entry programs: btblocker_l2 for devices whose packets begin with an Ethernet header, btblocker_l3
 * for those whose packets begin with the IP header (WireGuard, TUN, IPIP). The loader picks by the device's
 * hardware type.
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

struct cursor {
	void *pos;
	void *end;
};

#define read(cursor, to)                                                                \
	({                                                                              \
		typeof(to) from = (cursor)->pos;                                        \
		bool whole = (void *)(from + 1) <= (cursor)->end;                       \
		if (whole)                                                              \
			*(to) = *from;                                                  \
		whole;                                                                  \
	})

#define READS_AHEAD false

#include "bans.h"

static __always_inline int parse_ethernet(struct cursor *cursor)
{
	struct ethhdr ethernet;

	if (!read(cursor, &ethernet))
		return -1;
	cursor->pos += sizeof(ethernet);
	return parse_vlans(cursor, ethernet.h_proto);
}

/* No link header: the version tells. */
static __always_inline int parse_version(struct cursor *cursor)
{
	__u8 first;

	if (!read(cursor, &first))
		return -1;
	switch (first >> 4) {
	case 4:
		return bpf_htons(ETH_P_IP);
	case 6:
		return bpf_htons(ETH_P_IPV6);
	default:
		return -1;
	}
}

static __always_inline int judge(struct xdp_md *ctx, struct cursor *cursor, int network)
{
	const struct arrival arrival = {
		.ifindex = ctx->ingress_ifindex,
		.packets = 1,
		.bytes = ctx->data_end - ctx->data,
	};

	return is_from_banned(&arrival, cursor, network) ? XDP_DROP : XDP_PASS;
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
