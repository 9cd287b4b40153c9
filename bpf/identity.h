/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What processes change about themselves: users and capabilities, name, namespaces. */
#ifndef METSUKE_IDENTITY_H
#define METSUKE_IDENTITY_H

#include "reach.h"

#define CLONE 56
#define EXECVE 59
#define EXECVEAT 322
#define I386_EXECVE 11
#define I386_EXECVEAT 358
#define CLONE_NAMESPACES 0x7e020080

static __always_inline void fill_namespaces(__u32 *into, struct task_struct *task)
{
	into[0] = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum);
	into[1] = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	into[2] = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	into[3] = BPF_CORE_READ(task, cred, user_ns, ns.inum);
	into[4] = BPF_CORE_READ(task, nsproxy, cgroup_ns, ns.inum);
	into[5] = BPF_CORE_READ(task, nsproxy, uts_ns, ns.inum);
	into[6] = BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum);
}

/* Tells how a process is now; user mode knows how it was before, and tells what differs. */
static __noinline int tell_change(struct task_struct *task, __u32 kind, __u32 call, __u32 asked)
{
	struct record_change record = {};
	const struct cred *cred = READ(struct task_struct, task, cred);

	fill_head(&record.head, (struct task_struct *)task, kind);
	/* Until Linux 6.2 these were two words: the bytes are the same. */
	bpf_probe_read_kernel(&record.capabilities, sizeof(record.capabilities),
			      &cred->cap_effective);
	record.call = call;
	record.asked = asked;
	record.euid = READ(struct cred, cred, euid.val);
	record.gid = READ(struct cred, cred, gid.val);
	record.egid = READ(struct cred, cred, egid.val);
	fill_namespaces(record.namespaces, task);
	bpf_probe_read_kernel_str(record.name, sizeof(record.name), task->comm);
	send(&record.head, offsetof(struct record_change, groups));
	return 0;
}

/* setgroups: the groups that a process has beside its own, as they are now. */
static __noinline int tell_groups(struct task_struct *task)
{
	struct record_change record = {};
	const struct cred *cred = READ(struct task_struct, task, cred);
	struct group_info *groups = READ(struct cred, cred, group_info);
	__u32 count = READ(struct group_info, groups, ngroups);

	fill_head(&record.head, (struct task_struct *)task, RECORD_IDENTITY);
	bpf_probe_read_kernel(&record.capabilities, sizeof(record.capabilities),
			      &cred->cap_effective);
	record.call = CALL_setgroups;
	record.asked = count;
	record.euid = READ(struct cred, cred, euid.val);
	record.gid = READ(struct cred, cred, gid.val);
	record.egid = READ(struct cred, cred, egid.val);
	if (count > MAX_GROUPS)
		count = MAX_GROUPS;
	bpf_probe_read_kernel(record.groups, count * sizeof(record.groups[0]), &groups->gid);
	send(&record.head, sizeof(record));
	return 0;
}

/*
 * setfsuid, setfsgid: these give the id that was there before, whatever they did. They give it as the
 * caller's user namespace has it, which in the first one alone is the kernel's own: elsewhere each is
 * told.
 */
static __noinline int tell_file_id(struct call *call)
{
	const struct cred *cred = READ(struct task_struct, bpf_get_current_task_btf(), cred);
	__u32 now;

	if (!call)
		return 0;
	now = call->number == CALL_setfsuid ? READ(struct cred, cred, fsuid.val) :
					      READ(struct cred, cred, fsgid.val);
	if (now == (__u32)call->result &&
	    READ(struct user_namespace, READ(struct cred, cred, user_ns), level) == 0)
		return 0;
	return tell_change(bpf_get_current_task_btf(), RECORD_IDENTITY, call->number, now);
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *name)
{
	struct record_change record = {};
	struct pt_regs *regs;
	__u64 call;

	if (task->pid != task->tgid || task->flags & PF_KTHREAD || !in_scope())
		return 0;
	/* An execution brings a name too, and is told as such. */
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	call = READ(struct pt_regs, regs, orig_ax);
	if (is_compat() ? call == I386_EXECVE || call == I386_EXECVEAT
			: call == EXECVE || call == EXECVEAT)
		return 0;
	fill_head(&record.head, task, RECORD_RENAMED);
	record.call = call;
	bpf_probe_read_kernel_str(record.name, sizeof(record.name), name);
	bpf_probe_read_kernel_str(record.old_name, sizeof(record.old_name), task->comm);
	send(&record.head, offsetof(struct record_change, groups));
	return 0;
}

/* Group of calls about who a process is, and of those that reach into others. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_process, struct pt_regs *regs, long result)
{
	struct call call;

	read_call(&call, regs, result);
	switch (call.number) {
	case CALL_setuid:
	case CALL_setgid:
	case CALL_setreuid:
	case CALL_setregid:
	case CALL_setresuid:
	case CALL_setresgid:
	case CALL_capset:
		return tell_change(bpf_get_current_task_btf(), RECORD_IDENTITY, call.number, 0);
	case CALL_setgroups:
		return tell_groups(bpf_get_current_task_btf());
	case CALL_setfsuid:
	case CALL_setfsgid:
		return tell_file_id(&call);
	case CALL_unshare:
		if (!(call.a & CLONE_NAMESPACES))
			return 0;
		return tell_change(bpf_get_current_task_btf(), RECORD_NAMESPACE, call.number,
				   call.a & CLONE_NAMESPACES);
	case CALL_setns:
		return tell_change(bpf_get_current_task_btf(), RECORD_NAMESPACE, call.number,
				   call.b & CLONE_NAMESPACES);
	case CALL_ptrace:
	case CALL_process_vm_readv:
	case CALL_process_vm_writev:
	case CALL_pidfd_getfd:
		return reached(&call);
	}
	return 0;
}

#endif
