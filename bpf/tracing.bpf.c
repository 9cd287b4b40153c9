/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Tier 2: sees processes, files, flows and DNS of a scope.
 *
 * System calls are read at their exit, where results are known and opened files can be seen as the
 * kernel sees them. Strings that the caller gave are read again then; who changes them meanwhile
 * deceives the name of a deleted or renamed file, never an opened one's.
 *
 * One program stands at every system call of the host, so it is kept small: a table tells the calls
 * of interest, the few hot ones are handled in place, all others by a program of their group that
 * it goes over to (a tail call).
 */
#include "process.h"
#include "file.h"
#include "names.h"
#include "attributes.h"
#include "network.h"
#include "identity.h"
#include "memory.h"
#include "objects.h"
#include "ring.h"

int on_compat(unsigned long long *ctx);
int on_names(unsigned long long *ctx);
int on_network(unsigned long long *ctx);
int on_proc(unsigned long long *ctx);
int on_process(unsigned long long *ctx);
int on_memory(unsigned long long *ctx);
int on_kernel(unsigned long long *ctx);
int on_attributes(unsigned long long *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, GROUPS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} groups SEC(".maps") = {
	.values = {
		[GROUP_COMPAT] = (void *)&on_compat,
		[GROUP_NAMES] = (void *)&on_names,
		[GROUP_NETWORK] = (void *)&on_network,
		[GROUP_PROC] = (void *)&on_proc,
		[GROUP_PROCESS] = (void *)&on_process,
		[GROUP_MEMORY] = (void *)&on_memory,
		[GROUP_KERNEL] = (void *)&on_kernel,
		[GROUP_ATTRIBUTES] = (void *)&on_attributes,
	},
};

/* A write: to a file, or to a socket; the group that goes on, if any. */
static __noinline int wrote(int fd, long count)
{
	struct file *file;
	__u32 mode;

	if (count <= 0 || !in_scope())
		return GROUP_NONE;
	file = file_of(bpf_get_current_task_btf(), fd);
	mode = file ? mode_of(file) & S_IFMT : 0;
	if (mode == S_IFSOCK)
		return GROUP_NETWORK;
	if (mode != S_IFREG)
		return GROUP_NONE;
	if (is_setup(inode_of(file)))
		return GROUP_PROC;
	touch(file, RECORD_WRITE, count);
	return GROUP_NONE;
}

static __always_inline bool attaches_filter(__u64 option)
{
	return option == SO_ATTACH_FILTER ||
	       (option >= SO_ATTACH_BPF && option <= SO_ATTACH_REUSEPORT_EBPF);
}

/* A socket that sees or makes packets past the transport. */
static __always_inline bool past_transport(__u32 family, __u32 type)
{
	return family == AF_PACKET ||
	       ((type & SOCK_TYPE_MASK) == SOCK_RAW && (family == AF_INET || family == AF_INET6));
}

/* The calls handled in place, which did not fail; the group that goes on, if any. */
static __always_inline int hot(struct call *call)
{
	__u64 flags = 0;

	switch (call->number) {
	case CALL_open:
		return opened(call->result, call->b);
	case CALL_openat:
		return opened(call->result, call->c);
	case CALL_creat:
		return opened(call->result, O_TRUNC);
	case CALL_openat2:
		bpf_probe_read_user(&flags, sizeof(flags), (const void *)call->c);
		return opened(call->result, flags);
	case CALL_close:
		if (*reading_of(bpf_get_current_pid_tgid()))
			closed_datagrams(descriptor(call->a));
		return closed(call->a);
	case CALL_open_by_handle_at:
		return opened(call->result, call->c);
	case CALL_write:
	case CALL_pwrite64:
	case CALL_writev:
	case CALL_pwritev:
	case CALL_pwritev2:
	case CALL_sendfile:
		return wrote(call->a, call->result);
	case CALL_copy_file_range:
	case CALL_splice:
		return call->result > 0 ? written(call->c, call->result) : 0;
	case CALL_ftruncate:
	case CALL_fallocate:
		return written(call->a, 0);
	case CALL_mmap:
	case CALL_mprotect:
	case CALL_pkey_mprotect:
		return call->c & PROT_EXEC ? GROUP_MEMORY : GROUP_NONE;
	case CALL_ioctl:
		if (call->b == FS_IOC_SETFLAGS)
			return set_flags(call->a, call->c);
		if (call->b == FICLONE || call->b == FICLONERANGE)
			return written(call->a, 0);
		return call->b == PERF_EVENT_IOC_SET_BPF ? GROUP_KERNEL : GROUP_NONE;
	case CALL_socket:
		return past_transport(call->a, call->b) ? GROUP_NETWORK : GROUP_NONE;
	case CALL_setsockopt:
		return call->b == SOL_SOCKET && attaches_filter(call->c) ? GROUP_KERNEL : GROUP_NONE;
	}
	return GROUP_NONE;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_system_call, struct pt_regs *regs, long result)
{
	unsigned long number = regs->orig_ax;
	struct call call;
	__u32 group;

	if (is_compat()) {
		if (in_scope())
			bpf_tail_call(ctx, &groups, GROUP_COMPAT);
		return 0;
	}
	if (number >= CALL_NUMBERS)
		return 0;
	group = wanted[number];
	if (!group || (group & SUCCESS && result < 0))
		return 0;
	group &= ~SUCCESS;
	if (group == GROUP_READ) {
		if (!*reading_of(bpf_get_current_pid_tgid()))
			return 0;
		group = GROUP_NETWORK;
	}
	if (group == GROUP_HOT) {
		read_call(&call, regs, result);
		group = hot(&call);
	}
	if (group != GROUP_NONE && in_scope())
		bpf_tail_call(ctx, &groups, group);
	return 0;
}

/* Calls of 32-bit programs, in scope. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_compat, struct pt_regs *regs, long result)
{
	struct call call;
	__u32 group;

	read_call(&call, regs, result);
	if (call.number >= CALL_NUMBERS)
		return 0;
	group = wanted[call.number];
	if (!group || (group & SUCCESS && call.result < 0))
		return 0;
	group &= ~SUCCESS;
	if (group == GROUP_READ)
		group = GROUP_NETWORK;
	if (group == GROUP_HOT)
		group = hot(&call);
	if (group != GROUP_NONE)
		bpf_tail_call(ctx, &groups, group);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
