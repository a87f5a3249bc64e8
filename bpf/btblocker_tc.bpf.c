// SPDX-License-Identifier: MIT
/*
 * Drops what banned addresses send where packets enter the kernel's stack (tc ingress): where XDP would
 * cost the device its offloads, or have each packet copied into one buffer. One program for all devices:
 * the stack knows where the network header begins.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "layout.h"

struct cursor {
	struct __sk_buff *skb;
	__u32 pos; /* from the network header on */
};

#define read(cursor, to)                                                                \
	(bpf_skb_load_bytes_relative((cursor)->skb, (cursor)->pos, to, sizeof(*(to)),   \
				     BPF_HDR_START_NET) == 0)
#define READS_AHEAD true

#include "bans.h"

SEC("tc")
int btblocker_tc(struct __sk_buff *skb)
{
	struct cursor cursor = { .skb = skb, .pos = 0 };
	const struct arrival arrival = {
		.ifindex = skb->ingress_ifindex,
		.packets = skb->gso_segs > 1 ? skb->gso_segs : 1,
		.bytes = skb->len,
	};
	/* The outer tag of two has been taken off by the stack. */
	int network = parse_vlans(&cursor, skb->protocol);

	/* TC_ACT_UNSPEC: on to the programs and filters of others behind this one. */
	return is_from_banned(&arrival, &cursor, network) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* bpf_ktime_get_boot_ns() is reserved to GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
