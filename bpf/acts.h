/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What one process does over and over: told once, then summed up. And processes acted upon. */
#ifndef METSUKE_ACTS_H
#define METSUKE_ACTS_H

#include "text.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct act_key);
	__type(value, struct sum);
} acts SEC(".maps");

enum repeat { REPEATED, FIRST_TIME, NO_ROOM };

/* Adds to the sum of `key`; a record is owed unless it is REPEATED. */
static __noinline int repeats(struct act_key *key, __u64 bytes)
{
	struct sum *sum, first = {};

	if (!key)
		return NO_ROOM;
	sum = bpf_map_lookup_elem(&acts, key);
	if (sum) {
		__sync_fetch_and_add(&sum->bytes, bytes);
		__sync_fetch_and_add(&sum->operations, 1);
		sum->last = bpf_ktime_get_boot_ns();
		return REPEATED;
	}
	first.last = bpf_ktime_get_boot_ns();
	first.bytes = bytes;
	first.operations = 1;
	return bpf_map_update_elem(&acts, key, &first, BPF_ANY) ? NO_ROOM : FIRST_TIME;
}

/* A process that something is done to. */
struct target {
	__u64 start;
	__u32 pid;
	__u32 uid;
	bool virtual; /* `pid` is as the caller's namespace numbers it, the rest unknown */
};

static __always_inline void fill_target(struct target *target, struct task_struct *task)
{
	target->pid = READ(struct task_struct, task, tgid);
	target->uid = READ(struct cred, READ(struct task_struct, task, cred), uid.val);
	target->start = READ(struct task_struct, READ(struct task_struct, task, group_leader),
			     start_boottime);
	target->virtual = false;
}

/* The process of a kernel's `struct pid`. False when it is gone. */
static __always_inline bool target_of_pid(struct target *target, struct pid *pid)
{
	struct hlist_node *first;

	if (!pid)
		return false;
	first = READ(struct pid, pid, tasks[0].first);
	if (!first)
		return false;
	fill_target(target, (struct task_struct *)((void *)first -
						    bpf_core_field_offset(struct task_struct,
									  pid_links)));
	return true;
}

/* The process behind a pidfd. */
static __always_inline bool target_of_pidfd(struct target *target, int fd)
{
	struct file *file = file_of(bpf_get_current_task_btf(), fd);
	struct inode *inode;

	if (!file)
		return false;
	inode = inode_of(file);
	/* Since Linux 6.10 a pidfd has an inode of its own; before, the file itself points there. */
	if (READ(struct super_block, READ(struct inode, inode, i_sb), s_magic) == PIDFS_MAGIC &&
	    READ(struct inode, inode, i_private))
		return target_of_pid(target, READ(struct inode, inode, i_private));
	return target_of_pid(target, READ(struct file, file, private_data));
}

/* The process whose folder of procfs `inode` lies in. */
static __always_inline bool target_of_inode(struct target *target, struct inode *inode)
{
	struct proc_inode *entry =
		(void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);

	return target_of_pid(target, READ(struct proc_inode, entry, pid));
}

extern struct task_struct *bpf_task_from_vpid(__s32 pid) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

/* The process (or thread's process) that the caller calls `number`. */
static __always_inline void target_of_number(struct target *target, __s32 number)
{
	struct task_struct *task = NULL;
	__u32 level = READ(struct pid, READ(struct task_struct, bpf_get_current_task_btf(),
					    thread_pid), level);

	if (bpf_task_from_vpid && bpf_task_release)
		task = bpf_task_from_vpid(number);
	else if (level == 0 && bpf_task_from_pid && bpf_task_release)
		task = bpf_task_from_pid(number);
	if (task) {
		fill_target(target, task);
		bpf_task_release(task);
		return;
	}
	target->pid = number;
	target->uid = ~0u;
	target->start = 0;
	target->virtual = level != 0;
}

#endif
