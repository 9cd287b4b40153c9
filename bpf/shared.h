/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The queue, loss counters, scope, and putting records together. */
#ifndef METSUKE_SHARED_H
#define METSUKE_SHARED_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "records.h"

/* A record is put together here: its fixed part, then texts up to ROOM, the last one beyond it. */
#define ROOM 0x3fff
struct scratch {
	__u32 at; /* where put_path goes on; kept in memory so that the verifier's loop converges */
	__u32 pad;
	__u64 dentry, vfsmount; /* what put_path follows; read back from memory they are numbers */
	__u8 data[ROOM + 1 + 4096];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* User mode maps it twice, so it counts double among its resident pages: some ten thousand executions. */
#define RECORDS_BYTES (4 * 1024 * 1024)
/* Records of files find no room beyond this: a flood of them leaves a quarter to all others. */
#define FILES_BYTES (RECORDS_BYTES / 4 * 3)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RECORDS_BYTES);
} records SEC(".maps");

/* Records lost for want of room, per kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RECORD_KINDS);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/*
 * Reads `field` of the kernel's `type` at `from`, an address that may be anything. Since Linux 6.2
 * this is one load, checked by the fault handler; before, it is a call of a helper.
 */
extern void *bpf_rdonly_cast(const void *from, __u32 type) __ksym __weak;

#define READ(type, from, field)                                                                    \
	({                                                                                         \
		const void *read_from = (const void *)(from);                                      \
		__typeof__(((type *)0)->field) read_value;                                         \
		if (bpf_rdonly_cast)                                                               \
			read_value = ((type *)bpf_rdonly_cast(                                     \
				read_from, __builtin_btf_type_id(*(type *)0,                       \
								 BPF_TYPE_ID_TARGET)))->field;     \
		else                                                                               \
			bpf_core_read(&read_value, sizeof(read_value),                             \
				      &((type *)read_from)->field);                                \
		read_value;                                                                        \
	})

/*
 * Reads a member of a task. Followed as they are, the pointers of a task that the kernel vouches for make
 * the verifier search all of the kernel's types by name, at each load.
 */
#define TASK(task, field) READ(struct task_struct, task, field)

#define DNS_PORTS 4

/* Lengths of names told apart; longer ones count as this long. */
#define NAME_LENGTHS 32

/* Set before loading; alone in its section, so that the loader needs no layout. */
struct config {
	__u64 scope_id;
	__u32 scope_level; /* 0: the whole host */
	__u32 self_pid;
	__u16 dns_ports[DNS_PORTS]; /* in host order; 0 is unused */
	__u32 own_mounts; /* the mount namespace of user mode; 0: not known */
	__u32 pad;
	/*
	 * What sensitive names look like, so that others are told by a glance: for each length the
	 * first characters (their lowest six bits), of files and of folders.
	 */
	__u64 looks[2][NAME_LENGTHS];
};

const volatile struct config config SEC(".rodata.config") = {};

static __always_inline struct scratch *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

/* Whether the current task is in scope, and not this sensor. */
static __always_inline bool in_scope(void)
{
	if (config.scope_level &&
	    bpf_get_current_ancestor_cgroup_id(config.scope_level) != config.scope_id)
		return false;
	return bpf_get_current_pid_tgid() >> 32 != config.self_pid;
}

/* Whether a control group is the scope or lies below it. */
static __always_inline bool group_in_scope(struct cgroup *group)
{
	struct cgroup_subsys_state *state;

	if (!config.scope_level)
		return true;
	for (int depth = 0; depth < 32 && group; depth++) {
		if (READ(struct kernfs_node, READ(struct cgroup, group, kn), id) == config.scope_id)
			return true;
		state = READ(struct cgroup, group, self.parent);
		group = state ? READ(struct cgroup_subsys_state, state, cgroup) : NULL;
	}
	return false;
}

/* Whether a control group is of version 2: ids of other hierarchies' groups may be the same. */
static __always_inline bool group_is_unified(struct cgroup *group)
{
	return READ(struct cgroup_root, READ(struct cgroup, group, root), hierarchy_id) == 0;
}

static __always_inline void fill_head(struct record_head *head, struct task_struct *task,
				      __u16 kind)
{
	head->size = 0;
	head->kind = kind;
	head->flags = 0;
	head->time = bpf_ktime_get_boot_ns();
	head->start = READ(struct task_struct, TASK(task, group_leader), start_boottime);
	head->pid = task->tgid;
	head->uid = READ(struct cred, TASK(task, cred), uid.val);
}

static __always_inline void count_lost(__u32 kind)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &kind);

	if (count)
		(*count)++;
}

/* Whether a kind is one of files, of which any program can make as many as it likes. */
static __always_inline bool is_of_files(__u32 kind)
{
	return (kind >= RECORD_CREATE && kind <= RECORD_TRUNCATE) ||
	       (kind >= RECORD_HARD_LINK && kind <= RECORD_FLAGS);
}

/*
 * Sends the first `size` bytes of a record; false when it was lost, which is counted. User mode
 * drains by the clock, and is woken only for what is `urgent`: it may be gone soon.
 */
static __always_inline bool send_by(struct record_head *head, __u32 size, bool urgent)
{
	__u32 kind = head->kind;
	__u64 wake = urgent ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	size &= ROOM;
	head->size = size;
	if (is_of_files(kind) && bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) > FILES_BYTES) {
		count_lost(kind);
		return false;
	}
	if (!bpf_ringbuf_output(&records, head, size, wake))
		return true;
	count_lost(kind);
	return false;
}

/* The same for most kinds: a file in memory may be gone soon. */
static __always_inline bool send(struct record_head *head, __u32 size)
{
	return send_by(head, size, head->flags & FLAG_MEMORY);
}

#endif
