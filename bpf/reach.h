/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Processes that reach into others: ptrace, foreign memory, descriptors taken, signals. */
#ifndef METSUKE_REACH_H
#define METSUKE_REACH_H

#include "acts.h"
#include "calls.h"

/* What stands for a system call where a file of procfs is the way. */
#define PROC_MEMORY 0

#define PTRACE_POKETEXT 4
#define PTRACE_POKEDATA 5
#define PTRACE_POKEUSR 6
#define PTRACE_SETREGS 13
#define PTRACE_SETFPREGS 15
#define PTRACE_ATTACH 16
#define PTRACE_SETREGSET 0x4205
#define PTRACE_SEIZE 0x4206

/* HUP INT QUIT ILL TRAP ABRT BUS FPE KILL SEGV TERM STOP */
#define DEADLY (1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | \
		1 << 11 | 1 << 15 | 1 << 19)

/* Tells what the current process did to `target`, the first time at least. */
static __noinline int tell_reach(struct target *target, __u32 kind, __u64 bytes, __u32 call_detail)
{
	struct record_reach record = {};
	struct act_key key = {};
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	int repeat;

	if (!target || target->pid == pid)
		return 0;
	key.object = target->pid | (__u64)(call_detail & 0xffff) << 32;
	key.pid = pid;
	key.kind = kind;
	key.detail = call_detail >> 16;
	repeat = repeats(&key, bytes);
	if (repeat == REPEATED)
		return 0;
	fill_head(&record.head, bpf_get_current_task_btf(), kind);
	if (repeat == NO_ROOM)
		record.head.flags |= FLAG_SINGLE;
	if (target->virtual)
		record.head.flags |= FLAG_VIRTUAL;
	record.target = target->pid;
	record.target_start = target->start;
	record.target_uid = target->uid;
	record.bytes = bytes;
	record.call = call_detail >> 16;
	record.detail = call_detail;
	/* A sum that nobody knows of would swallow what follows. */
	if (!send(&record.head, sizeof(record)))
		bpf_map_delete_elem(&acts, &key);
	return 0;
}

static __always_inline __u32 reach_kind(struct call *call)
{
	switch (call->number) {
	case CALL_process_vm_readv:
		return call->result > 0 ? RECORD_ACCESS : 0;
	case CALL_process_vm_writev:
		return call->result > 0 ? RECORD_INJECT : 0;
	case CALL_pidfd_getfd:
		return RECORD_ACCESS;
	}
	switch (call->a) {
	case PTRACE_ATTACH:
	case PTRACE_SEIZE:
		return RECORD_ACCESS;
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
	case PTRACE_POKEUSR:
	case PTRACE_SETREGS:
	case PTRACE_SETFPREGS:
	case PTRACE_SETREGSET:
		return RECORD_INJECT;
	}
	return 0;
}

/* ptrace, process_vm_readv, process_vm_writev, pidfd_getfd. */
static __always_inline int reached(struct call *call)
{
	struct target target = {};
	__u32 kind = reach_kind(call), detail = call->number << 16;
	__u64 bytes = 0;

	if (!kind)
		return 0;
	if (call->number == CALL_pidfd_getfd) {
		if (!target_of_pidfd(&target, call->a))
			return 0;
	} else if (call->number == CALL_ptrace) {
		target_of_number(&target, call->b);
		detail |= call->a & 0xffff;
		bytes = kind == RECORD_INJECT ? sizeof(long) : 0;
	} else {
		target_of_number(&target, call->a);
		bytes = call->result;
	}
	return tell_reach(&target, kind, bytes, detail);
}

/* The memory file of another process was opened (RECORD_ACCESS) or written (RECORD_INJECT). */
static __noinline int reached_memory(struct file *file, __u32 kind, __u64 bytes)
{
	struct target target = {};

	if (!target_of_inode(&target, inode_of(file)))
		return 0;
	return tell_reach(&target, kind, bytes, PROC_MEMORY << 16);
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int number, struct kernel_siginfo *info, struct task_struct *task)
{
	struct task_struct *sender;
	struct pt_regs *regs;
	struct target target;
	bool foreign;

	/* The end of a child is told to its parent without end. */
	if (number == SIGCHLD || number <= 0 || number > 64 || !in_scope())
		return 0;
	/* 0 and 1 stand for signals of nobody and of the kernel; user mode's codes are not positive. */
	if ((unsigned long)info <= 1 || READ(struct kernel_siginfo, info, si_code) > 0)
		return 0;
	sender = bpf_get_current_task_btf();
	fill_target(&target, task);
	foreign = target.uid != READ(struct cred, TASK(sender, cred), uid.val);
	if (!foreign && (number >= 32 || !(DEADLY >> number & 1) ||
			 READ(struct signal_struct, READ(struct task_struct, task, signal),
			      pids[PIDTYPE_SID]) == READ(struct signal_struct, TASK(sender, signal), pids[PIDTYPE_SID])))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(sender);
	return tell_reach(&target, RECORD_SIGNAL, 0,
			  (READ(struct pt_regs, regs, orig_ax) & 0xffff) << 16 | number);
}

#endif
