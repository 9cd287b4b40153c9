/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The deny list as maps, what is asked of it, and the record of a decision. Tiers 1 and 2 share it.
 *
 * Invariants: nothing outside the scope is denied, nor anything of the sensor's own processes (the
 * sensor, its guard, and what either has started itself); whatever cannot be read, found or hashed
 * is allowed, but by an entry for unknown copies.
 */
#ifndef METSUKE_DENY_H
#define METSUKE_DENY_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_LPM_TRIE 11
#define BPF_MAP_TYPE_TASK_STORAGE 29
#define BPF_F_NO_PREALLOC 1
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1

#define EPERM 1

/* Operations: bits. */
#define OP_EXEC 1
#define OP_OPEN 2
#define OP_MAP 4
#define OP_CONNECT 8
#define OP_MODULE 16
#define OP_PTRACE 32
#define OP_BPF 64
/* Those asked of the program that acts, not of a file it acts upon. */
#define OPS_OF_ACTOR (OP_CONNECT | OP_PTRACE | OP_BPF)

/* What an entry names. */
enum subject {
	SUBJECT_ALL = 1,
	SUBJECT_SHA256,
	SUBJECT_INODE,
	SUBJECT_PATH,
	SUBJECT_DESTINATION,
	SUBJECT_MEMFD,
	SUBJECT_UNKNOWN,
	SUBJECT_MODULE,
	SUBJECT_ANONYMOUS,
};

enum disposition {
	WOULD_DENY = 1,
	DENIED,
	KILLED,
};

enum hook {
	HOOK_EXEC = 1,
	HOOK_MAP,
	HOOK_OPEN,
	HOOK_CONNECT,
	HOOK_SEND,
	HOOK_READ_MODULE,
	HOOK_REQUEST_MODULE,
	HOOK_LOAD_MODULE,
	HOOK_PTRACE,
	HOOK_BPF,
	HOOK_EXECUTED,
	HOOK_CGROUP_CONNECT,
	HOOK_CGROUP_SEND,
	HOOK_PROTECT,
};

/* Longest path that is compared, its NUL included. */
#define PATH_BYTES 256
#define MODULE_NAME_BYTES 56
#define SHA256_BYTES 32
/* `enum hash_algo` of the kernel's user-mode interface (linux/hash_info.h). */
#define HASH_ALGO_SHA256 4
/* A larger file is not hashed in the kernel: half a second on the slowest hosts. */
#define HASH_MAX_BYTES (64 << 20)

struct entry {
	__u32 id;
	__u16 deny;    /* operations */
	__u16 observe; /* operations */
};

struct settings {
	__u64 scope_id;
	__u32 scope_level; /* 0: the whole host */
	__u32 self_pid;
	__u32 guard_pid; /* 0: none */
	__u32 kin; /* not 0: what these two have started is spared as they are */
	__u64 guard_start; /* clock ticks since boot: tells the guard from who has its number later */
	/* Operations for which there is any entry of the kind: what is not asked costs nothing. */
	__u16 any, by_sha256, by_inode, by_path, by_destination, by_module;
	__u16 observe_only; /* not 0: nothing is denied */
	__u16 pad;
	struct entry all, memfd, unknown, anonymous;
};

struct file_id {
	__u64 inode;
	__u32 device;
	__u32 pad;
};

/* What a file held when it was hashed. */
struct content {
	__s64 changed_seconds;
	__s64 changed_nanos;
	__s64 size;
	__u8 sha256[SHA256_BYTES];
};

struct prefix {
	__u32 bits;
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct endpoint {
	__u8 address[16];
	__u16 port;
	__u16 pad;
};

struct denial {
	__u64 time;  /* nanoseconds since boot */
	__u64 start; /* of the process, nanoseconds since boot; 0 when it is not known */
	__u64 inode;
	__u32 pid;
	__u32 uid;
	__u32 entry;
	__u32 device;
	__u32 target; /* ptrace: the process reached for */
	__u16 operation;
	__u16 port;
	__u8 subject;
	__u8 disposition;
	__u8 hook;
	__u8 hashed;
	__u8 address[16];
	__u8 sha256[SHA256_BYTES];
	char name[16];
	char object[PATH_BYTES];
};

struct path_key {
	char text[PATH_BYTES];
};

struct sha256_key {
	__u8 bytes[SHA256_BYTES];
};

struct module_key {
	char name[MODULE_NAME_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct sha256_key);
	__type(value, struct entry);
} by_sha256 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct file_id);
	__type(value, struct entry);
} by_inode SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct path_key);
	__type(value, struct entry);
} by_path SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct module_key);
	__type(value, struct entry);
} by_module SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct endpoint);
	__type(value, struct entry);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, struct entry);
} prefixes SEC(".maps");

/* What files hold; forgotten when one is opened for writing. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct file_id);
	__type(value, struct content);
} contents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} denials SEC(".maps");

/* Counted: decisions without room for a record, files too large, files not hashed. */
#define COUNT_LOST 0
#define COUNT_TOO_LARGE 1
#define COUNT_NOT_HASHED 2
#define COUNTS 3

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* The kernel's, as far as they are used; see kernel.h. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block___deny {
	unsigned int s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
};

struct timespec64___deny {
	long long tv_sec;
	long tv_nsec;
};

/* Until 6.5; 6.6 to 6.10; since 6.11, with a flag in the highest bit since 6.13. */
struct inode___first {
	struct timespec64___deny i_ctime;
};

struct inode___second {
	struct timespec64___deny __i_ctime;
};

struct inode___third {
	long long i_ctime_sec;
	unsigned int i_ctime_nsec;
};

struct inode___deny {
	atomic_t i_writecount;
};

struct mm_struct___deny {
	struct file *exe_file;
};

#pragma clang attribute pop

/* What is known of a file that something is to be done with. */
struct facts {
	struct file_id id;
	struct content content;
	bool memory;
	bool hashed;
	bool keeps; /* its content cannot change without a write through this kernel */
};

struct verdict {
	__u32 entry;
	__u8 subject;
	__u8 disposition;
};

static __always_inline void count(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &which);

	if (value)
		(*value)++;
}

static __always_inline struct settings *current_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

/* /proc tells starts in these (USER_HZ). */
#define NANOS_PER_TICK 10000000

static __always_inline bool is_sensor(struct settings *set, struct task_struct *leader)
{
	__u32 pid = BPF_CORE_READ(leader, tgid);

	if (pid == set->self_pid)
		return true;
	return set->guard_pid && pid == set->guard_pid &&
	       BPF_CORE_READ(leader, start_boottime) / NANOS_PER_TICK == set->guard_start;
}

/* Whether the current task is one of the sensor's own, so that no list can stop the sensor. */
static __always_inline bool is_spared(struct settings *set)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	if (is_sensor(set, leader))
		return true;
	return set->kin && is_sensor(set, BPF_CORE_READ(leader, real_parent, group_leader));
}

/* Whether the list has anything to say of what the current task is about to do. */
static __always_inline bool asks(struct settings *set, __u16 operations)
{
	if (!(set->any & operations))
		return false;
	if (set->scope_level &&
	    bpf_get_current_ancestor_cgroup_id(set->scope_level) != set->scope_id)
		return false;
	return !is_spared(set);
}

static __always_inline void weigh(struct verdict *verdict, const struct entry *entry,
				  __u16 operation, __u8 subject)
{
	if (!entry || verdict->disposition == DENIED)
		return;
	if (entry->deny & operation)
		verdict->disposition = DENIED;
	else if (!verdict->disposition && (entry->observe & operation))
		verdict->disposition = WOULD_DENY;
	else
		return;
	verdict->entry = entry->id;
	verdict->subject = subject;
}

/* File systems whose content changes only by writes through them. */
static __always_inline bool keeps_content(__u64 magic)
{
	switch (magic) {
	case 0xef53: /* ext4 */
	case 0x58465342: /* XFS */
	case 0x9123683e: /* Btrfs */
	case 0xf2f52010: /* F2FS */
	case 0x01021994: /* tmpfs */
	case 0x858458f6: /* ramfs */
	case 0x73717368: /* SquashFS */
	case 0xe0f5e1e2: /* EROFS */
		return true;
	}
	return false;
}

/* Reads by probing, so that `file` may be anything, NULL too. */
static __always_inline bool look(const struct file *file, struct facts *facts)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block___deny *sb;
	struct inode___first *first = (void *)inode;
	struct inode___second *second = (void *)inode;
	struct inode___third *third = (void *)inode;

	if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return false;
	sb = (void *)BPF_CORE_READ(inode, i_sb);
	facts->id.inode = BPF_CORE_READ(inode, i_ino);
	facts->id.device = BPF_CORE_READ(sb, s_dev);
	facts->memory = BPF_CORE_READ(sb, s_flags) & SB_KERNMOUNT;
	facts->keeps = keeps_content(BPF_CORE_READ(sb, s_magic));
	facts->content.size = BPF_CORE_READ(inode, i_size);
	if (bpf_core_field_exists(third->i_ctime_sec)) {
		facts->content.changed_seconds = BPF_CORE_READ(third, i_ctime_sec);
		facts->content.changed_nanos = BPF_CORE_READ(third, i_ctime_nsec) & 0x7fffffff;
	} else if (bpf_core_field_exists(second->__i_ctime)) {
		facts->content.changed_seconds = BPF_CORE_READ(second, __i_ctime.tv_sec);
		facts->content.changed_nanos = BPF_CORE_READ(second, __i_ctime.tv_nsec);
	} else {
		facts->content.changed_seconds = BPF_CORE_READ(first, i_ctime.tv_sec);
		facts->content.changed_nanos = BPF_CORE_READ(first, i_ctime.tv_nsec);
	}
	return true;
}

/* Finds the hash of a file that was hashed before and has not changed since. */
static __always_inline bool recall(struct facts *facts)
{
	struct content *known = bpf_map_lookup_elem(&contents, &facts->id);

	if (!known || known->changed_seconds != facts->content.changed_seconds ||
	    known->changed_nanos != facts->content.changed_nanos ||
	    known->size != facts->content.size)
		return false;
	__builtin_memcpy(facts->content.sha256, known->sha256, SHA256_BYTES);
	facts->hashed = true;
	return true;
}

/* What the list says without paths and without hashing. */
static __always_inline void weigh_file(struct settings *set, struct verdict *verdict,
				       struct facts *facts, __u16 operation)
{
	weigh(verdict, &set->all, operation, SUBJECT_ALL);
	if (facts->memory)
		weigh(verdict, &set->memfd, operation, SUBJECT_MEMFD);
	if (set->by_inode & operation)
		weigh(verdict, bpf_map_lookup_elem(&by_inode, &facts->id), operation,
		      SUBJECT_INODE);
	if ((set->by_sha256 & operation) && (facts->hashed || recall(facts)))
		weigh(verdict, bpf_map_lookup_elem(&by_sha256, facts->content.sha256), operation,
		      SUBJECT_SHA256);
}

/* What the list says of the program that the current task runs. */
static __always_inline void weigh_actor(struct settings *set, struct verdict *verdict,
					struct facts *facts, __u16 operation)
{
	struct mm_struct___deny *mm = (void *)BPF_CORE_READ(
		(struct task_struct *)bpf_get_current_task(), mm);

	if (mm && look(BPF_CORE_READ(mm, exe_file), facts))
		weigh_file(set, verdict, facts, operation);
	else
		weigh(verdict, &set->all, operation, SUBJECT_ALL);
}

static __always_inline void weigh_destination(struct settings *set, struct verdict *verdict,
					      const struct endpoint *to)
{
	struct prefix prefix = {.bits = 128};

	if (!(set->by_destination & OP_CONNECT))
		return;
	weigh(verdict, bpf_map_lookup_elem(&endpoints, to), OP_CONNECT, SUBJECT_DESTINATION);
	__builtin_memcpy(prefix.address, to->address, 16);
	weigh(verdict, bpf_map_lookup_elem(&prefixes, &prefix), OP_CONNECT, SUBJECT_DESTINATION);
}

/* A record with everything that is known of any decision; NULL when there is no room. */
static __always_inline struct denial *record_of(struct settings *set, struct verdict *verdict,
						const struct facts *facts)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct denial *record;

	if (set->observe_only)
		verdict->disposition = WOULD_DENY;
	record = bpf_ringbuf_reserve(&denials, sizeof(*record), 0);
	if (!record) {
		count(COUNT_LOST);
		return NULL;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->time = bpf_ktime_get_boot_ns();
	record->start = BPF_CORE_READ(task, group_leader, start_boottime);
	record->pid = bpf_get_current_pid_tgid() >> 32;
	record->uid = (__u32)bpf_get_current_uid_gid();
	record->entry = verdict->entry;
	record->subject = verdict->subject;
	record->disposition = verdict->disposition;
	bpf_get_current_comm(record->name, sizeof(record->name));
	if (facts) {
		record->inode = facts->id.inode;
		record->device = facts->id.device;
		record->hashed = facts->hashed;
		__builtin_memcpy(record->sha256, facts->content.sha256, SHA256_BYTES);
	}
	return record;
}

#endif
