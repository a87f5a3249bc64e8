/* SPDX-License-Identifier: MIT */
/*
 * Is the sender of this packet banned? The maps, the reading of headers and the lookup, for the program
 * in the driver (XDP) and the one at the stack's door (tc). Each includes this once, after it has said
 * what a cursor is and how to read at one:
 *
 *   struct cursor           where the next header begins; `pos` can be added to
 *   read(cursor, &header)   copies what stands there; false where the packet is too short
 *   READS_AHEAD             whether ports that follow the IP header at once are read with it: where a
 *                           reading is a call. Where it is none the verifier would only walk all that
 *                           follows once more
 */
#ifndef BTBLOCKER_BANS_H
#define BTBLOCKER_BANS_H

#ifndef NULL
#define NULL ((void *)0)
#endif

#define VLAN_TAGS_MAX 2	     /* 802.1ad (QinQ): service and customer tag */
#define EXTENSIONS_MAX 6     /* each at most once, RFC 8200 section 4.1; real packets have 0 to 2 */
/* What the compiler knows of a number and the verifier does not: a mask behind it stays. */
#define bound(number) asm volatile("" : "+r"(number))
#define FRAGMENT_OFFSET 0x1fff
#define FRAGMENT_OFFSET6 0xfff8
#define ROUTER_SOLICITATION 133 /* types of ICMPv6 */
#define REDIRECT 137

/* Set before load: what of an IPv6 address counts, in network order (BAN_PREFIX). */
const volatile __u32 ipv6_mask[4] = { ~0U, ~0U, ~0U, ~0U };

/*
 * Hashes that evict nothing: which ban gives way to another one, and that one by hand never does, is
 * decided in user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BANS_DEFAULT);
	__type(key, struct in6_addr);
	__type(value, struct ban);
} blocked_ips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
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

/* What nobody is banned by costs a packet nothing: an element of an array is read without a call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BAN_KINDS);
	__type(key, __u32);
	__type(value, __u32);
} bans_in_force SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_COUNTERS);
	__type(key, __u32);
	__type(value, struct drops);
} interface_drops SEC(".maps");

/* Keys: this machine's own addresses, as in blocked_ips. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OWN_ADDRESSES);
	__type(key, struct in6_addr);
	__type(value, __u32);
} own_addresses SEC(".maps");

/* Ports of this machine that banned addresses reach all the same: one bit each, port / 32 the word. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u32);
} open_ports SEC(".maps");

/* The time as of this tick of the kernel's: reading the clock costs more than a lookup. One per CPU. */
struct tick {
	__u64 jiffies;
	__u64 now_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tick);
} ticks SEC(".maps");

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

/* What a packet counts for. Segments that were joined on the way are as many packets. */
struct arrival {
	__u32 ifindex;
	__u32 packets;
	__u64 bytes;
};

/* Gives the type of the header that follows, or -1 when truncated; both types in network order. */
static __always_inline int parse_vlans(struct cursor *cursor, __be16 protocol)
{
	struct vlan_tag tag;
	int i;

#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		if (!read(cursor, &tag))
			return -1;
		cursor->pos += sizeof(tag);
		protocol = tag.protocol;
	}
	return protocol;
}

static __always_inline void map_ipv4(struct in6_addr *to, __be32 address)
{
	to->in6_u.u6_addr32[0] = 0;
	to->in6_u.u6_addr32[1] = 0;
	to->in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	to->in6_u.u6_addr32[3] = address;
}

/* What of a packet's headers a ban may depend on. */
struct ends {
	struct endpoint from, to;
	__u32 length; /* of the network header */
	__u8 next;    /* type of the header behind it; IPPROTO_NONE where none is: a later fragment */
	__u8 is_ipv6;
	__u8 is_of_link; /* the hop limit shows that it comes from this link */
	__u8 has_ports;	 /* they were found */
};

static __always_inline bool has_ports(int transport)
{
	return transport == IPPROTO_TCP || transport == IPPROTO_UDP;
}

static __always_inline void set_ports(struct ends *ends, __u8 transport, const struct ports *ports)
{
	ends->from.port = ports->source;
	ends->from.protocol = transport;
	ends->from.pad = 0;
	ends->to.port = ports->destination;
	ends->has_ports = 1;
}

/* Both give false where the header is cut. */
static __always_inline bool parse_ipv4(struct cursor *cursor, struct ends *ends)
{
	struct {
		struct iphdr ip;
		struct ports ports;
	} head;
	bool is_more;

	head.ports = (struct ports){}; /* the compiler may ask once more whether they were read */
	is_more = READS_AHEAD && read(cursor, &head);
	if ((!is_more && !read(cursor, &head.ip)) || head.ip.ihl * 4 < sizeof(head.ip))
		return false;
	map_ipv4(&ends->from.address, head.ip.saddr);
	map_ipv4(&ends->to.address, head.ip.daddr);
	ends->length = head.ip.ihl * 4;
	ends->next = head.ip.frag_off & bpf_htons(FRAGMENT_OFFSET) ? IPPROTO_NONE : head.ip.protocol;
	ends->is_ipv6 = ends->is_of_link = ends->has_ports = 0;
	if (is_more && ends->length == sizeof(head.ip) && has_ports(ends->next))
		set_ports(ends, ends->next, &head.ports);
	return true;
}

static __always_inline bool parse_ipv6(struct cursor *cursor, struct ends *ends)
{
	struct {
		struct ipv6hdr ip;
		struct ports ports;
	} head;
	bool is_more;

	head.ports = (struct ports){}; /* the compiler may ask once more whether they were read */
	is_more = READS_AHEAD && read(cursor, &head);
	if (!is_more && !read(cursor, &head.ip))
		return false;
	ends->from.address = head.ip.saddr;
	ends->to.address = head.ip.daddr;
	ends->length = sizeof(head.ip);
	ends->next = head.ip.nexthdr;
	ends->is_ipv6 = 1;
	ends->is_of_link = head.ip.hop_limit == 255;
	ends->has_ports = 0;
	if (is_more && has_ports(ends->next))
		set_ports(ends, ends->next, &head.ports);
	return true;
}

/* The type of the header behind them, at the cursor; -1 where it is cut, or none follows. */
static __always_inline int skip_extensions(struct cursor *cursor, __u8 next)
{
	struct extension extension;
	__u32 length;
	int i;

#pragma unroll
	for (i = 0; i < EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_AH && next != IPPROTO_DSTOPTS)
			break;
		if (!read(cursor, &extension))
			return -1;
		length = (extension.length + 1) * 8;
		if (next == IPPROTO_FRAGMENT) {
			if (extension.fragment & bpf_htons(FRAGMENT_OFFSET6))
				return -1;
			length = sizeof(extension);
		} else if (next == IPPROTO_AH) {
			length = (extension.length + 2) * 4;
		}
		/* One range for all of them: the verifier looks at what follows once, not for each. */
		bound(length);
		cursor->pos += length & 0xffc;
		next = extension.next;
	}
	return next;
}

/* @cursor: at the network header */
static __always_inline bool find_ports(struct cursor *cursor, struct ends *ends)
{
	int transport = ends->next;
	__u32 length = ends->length;
	struct ports ports;

	if (ends->has_ports)
		return true;
	bound(length);
	cursor->pos += length & 0x3c;
	if (ends->is_ipv6)
		transport = skip_extensions(cursor, ends->next);
	if (!has_ports(transport) || !read(cursor, &ports))
		return false;
	set_ports(ends, transport, &ports);
	return true;
}

static __always_inline void count_drop(const struct arrival *arrival)
{
	__u32 counter = arrival->ifindex % DROP_COUNTERS;
	struct drops *drops = bpf_map_lookup_elem(&interface_drops, &counter);

	if (!drops)
		return;
	drops->packets += arrival->packets;
	drops->bytes += arrival->bytes;
}

static __always_inline __u64 this_tick(void)
{
	__u64 jiffies = bpf_jiffies64();
	__u32 key = 0;
	struct tick *tick = bpf_map_lookup_elem(&ticks, &key);

	if (!tick)
		return bpf_ktime_get_boot_ns();
	if (tick->jiffies != jiffies) {
		tick->now_ns = bpf_ktime_get_boot_ns();
		tick->jiffies = jiffies;
	}
	return tick->now_ns;
}

/*
 * The program checks the end of the ban itself: it ends on time, to a tick, whether or not a cleaner
 * runs.
 */
static __always_inline bool in_force(const struct ban *ban)
{
	return ban && this_tick() < ban->until_ns;
}

static __always_inline bool is_open(__u32 port)
{
	__u32 word = port / 32;
	__u32 *bits = bpf_map_lookup_elem(&open_ports, &word);

	return bits && *bits >> port % 32 & 1;
}

/*
 * RFC 4861 section 6 and 7: how a neighbour says where it is. Without it a banned one could not be
 * answered.
 *
 * @cursor: at the network header
 */
static __always_inline bool is_neighbour_discovery(struct cursor cursor, const struct ends *ends)
{
	__u8 type;

	if (!ends->is_ipv6 || ends->next != IPPROTO_ICMPV6 || !ends->is_of_link)
		return false;
	cursor.pos += sizeof(struct ipv6hdr);
	return read(&cursor, &type) && type >= ROUTER_SOLICITATION && type <= REDIRECT;
}

/* Who is banned may still log in: WHITELIST_PORTS of this machine itself. */
static __always_inline bool is_for_open_port(const struct ends *ends)
{
	/* Few ports are open, and an array is cheaper than a hash: the address is asked for last. */
	return is_open(bpf_ntohs(ends->to.port)) &&
	       bpf_map_lookup_elem(&own_addresses, &ends->to.address) != NULL;
}

static __always_inline void count(const struct arrival *arrival, struct ban *ban)
{
	__sync_fetch_and_add(&ban->packets, arrival->packets);
	__sync_fetch_and_add(&ban->bytes, arrival->bytes);
	ban->last_seen_ns = this_tick();
	count_drop(arrival);
}

static __always_inline bool may_have(__u32 kind)
{
	__u32 *any = bpf_map_lookup_elem(&bans_in_force, &kind);

	return any && *any;
}

static __always_inline struct ban *ban_of_address(const struct in6_addr *address)
{
	const __u32 *word = address->in6_u.u6_addr32;
	bool is_ipv4 = !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
	struct in6_addr key = *address;
	struct ban *ban = bpf_map_lookup_elem(&blocked_ips, &key);
	int i;

	if (is_ipv4 || in_force(ban))
		return ban;
#pragma unroll
	for (i = 0; i < 4; i++)
		key.in6_u.u6_addr32[i] &= ipv6_mask[i];
	return bpf_map_lookup_elem(&blocked_ips, &key);
}

/*
 * The longest network that has the address decides. Where its ban has ended but the one around it has not,
 * packets pass until it is taken out, at the next look.
 */
static __always_inline struct ban *ban_of_network(const struct in6_addr *address)
{
	struct network of = { .bits = 128, .address = *address };

	return bpf_map_lookup_elem(&blocked_networks, &of);
}

/* Whether a ban holds for an end of a packet, which is not counted as dropped. */
static __always_inline bool holds_ban(const struct endpoint *end)
{
	struct in6_addr address = end->address;
	struct endpoint whole = *end;

	return (may_have(ADDRESSES) && in_force(ban_of_address(&address))) ||
	       (may_have(ENDPOINTS) && in_force(bpf_map_lookup_elem(&blocked_endpoints, &whole))) ||
	       (may_have(NETWORKS) && in_force(ban_of_network(&address)));
}

/*
 * Whether a packet is to be dropped. Truncated, unknown and non-IP traffic is none of our business.
 *
 * @network: type of the header at the cursor, in network order
 */
static __always_inline bool is_from_banned(const struct arrival *arrival, struct cursor *cursor, int network)
{
	bool addresses = may_have(ADDRESSES);
	bool endpoints = may_have(ENDPOINTS);
	bool networks = may_have(NETWORKS);
	struct cursor start = *cursor;
	bool is_banned, found;
	struct ban *ban = NULL;
	struct ends ends;

	if (!addresses && !endpoints && !networks)
		return false;
	if (network == bpf_htons(ETH_P_IP)) {
		if (!parse_ipv4(cursor, &ends))
			return false;
	} else if (network != bpf_htons(ETH_P_IPV6) || !parse_ipv6(cursor, &ends)) {
		return false;
	}
	if (addresses)
		ban = ban_of_address(&ends.from.address);
	if (networks && !in_force(ban))
		ban = ban_of_network(&ends.from.address);
	is_banned = in_force(ban);
	if (!is_banned && !endpoints)
		return false;
	found = find_ports(cursor, &ends);
	if (!is_banned) {
		if (!found)
			return false;
		ban = bpf_map_lookup_elem(&blocked_endpoints, &ends.from);
		if (!in_force(ban))
			return false;
	}
	if (is_neighbour_discovery(start, &ends) || (found && is_for_open_port(&ends)))
		return false;
	count(arrival, ban);
	return true;
}

#endif
