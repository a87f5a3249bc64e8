// SPDX-License-Identifier: MIT
/* What the benchmark compares with: a program that does nothing, and one that makes traffic. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 target_interface = 0;

SEC("xdp")
int bare_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp")
int bare_redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect(target_interface, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
