/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Tier 2: what was executed against the list of deny.h is killed before its first instruction, and
 * destinations are denied by hooks of the control group.
 */
#include "deny.h"

/* The user-mode interface (linux/bpf.h): a fixed layout, never relocated. */
struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port;
};

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_executed, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct settings *set = current_settings();
	struct file *file = BPF_CORE_READ(bprm, file);
	struct verdict verdict = {};
	struct facts facts = {};
	struct denial *record;

	if (!set || !asks(set, OP_EXEC) || !look(file, &facts))
		return 0;
	weigh_file(set, &verdict, &facts, OP_EXEC);
	if ((set->by_sha256 & OP_EXEC) && !facts.hashed)
		weigh(&verdict, &set->unknown, OP_EXEC, SUBJECT_UNKNOWN);
	if (!verdict.disposition)
		return 0;
	record = record_of(set, &verdict, &facts);
	if (verdict.disposition == DENIED && bpf_send_signal(9) == 0 && record)
		record->disposition = KILLED;
	else if (record)
		record->disposition = WOULD_DENY;
	if (record) {
		record->operation = OP_EXEC;
		record->hook = HOOK_EXECUTED;
		bpf_probe_read_kernel_str(record->object, PATH_BYTES, BPF_CORE_READ(bprm, filename));
		bpf_ringbuf_submit(record, 0);
	}
	return 0;
}

/* 1 allows, 0 denies. */
static __always_inline int to_endpoint(const struct endpoint *end, __u8 hook)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};
	struct denial *record;

	if (!set || !asks(set, OP_CONNECT))
		return 1;
	weigh(&verdict, &set->all, OP_CONNECT, SUBJECT_ALL);
	weigh_destination(set, &verdict, end);
	if (!verdict.disposition)
		return 1;
	record = record_of(set, &verdict, NULL);
	if (record) {
		record->operation = OP_CONNECT;
		record->hook = hook;
		record->port = end->port;
		__builtin_memcpy(record->address, end->address, 16);
		bpf_ringbuf_submit(record, 0);
	}
	return verdict.disposition != DENIED;
}

static __always_inline int to_ip4(struct bpf_sock_addr *ctx, __u8 hook)
{
	struct endpoint end = {};
	__u32 address = ctx->user_ip4;

	end.address[10] = end.address[11] = 0xff;
	__builtin_memcpy(end.address + 12, &address, 4);
	end.port = __builtin_bswap16((__u16)ctx->user_port);
	return to_endpoint(&end, hook);
}

static __always_inline int to_ip6(struct bpf_sock_addr *ctx, __u8 hook)
{
	struct endpoint end = {};
	__u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

	__builtin_memcpy(end.address, address, 16);
	end.port = __builtin_bswap16((__u16)ctx->user_port);
	return to_endpoint(&end, hook);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return to_ip4(ctx, HOOK_CGROUP_CONNECT);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return to_ip6(ctx, HOOK_CGROUP_CONNECT);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return to_ip4(ctx, HOOK_CGROUP_SEND);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return to_ip6(ctx, HOOK_CGROUP_SEND);
}

char LICENSE[] SEC("license") = "GPL";
