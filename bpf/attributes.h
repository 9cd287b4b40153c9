/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Group of changes around files: mode, owner, times, extended attributes; mounts. */
#ifndef METSUKE_ATTRIBUTES_H
#define METSUKE_ATTRIBUTES_H

#include "calls.h"
#include "mounts.h"

/* Times of utimensat that are none. */
#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe
/* The same in records. */
#define TIME_NOW (~0ULL)
#define TIME_OMIT (~0ULL - 1)

/* What was changed: a file by name or by descriptor, and up to two values. */
struct change {
	int base;      /* folder of a relative name, or the file itself when there is no name */
	__u32 kind;
	__u64 path;    /* 0: none */
	__u64 first;
	__u64 second;
	__u64 name;    /* of an extended attribute; 0: none */
	__u64 value;
	__u64 length;
};

/* Sends a record of a change. Names are those of the caller, values follow them. */
static __noinline int changed(struct change *change)
{
	struct scratch *space = scratch();
	struct record_file *record;
	struct file *file;
	struct inode *inode;
	__u32 at = sizeof(*record), next;
	char first = 0;

	if (!space || !change)
		return 0;
	record = (struct record_file *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, bpf_get_current_task_btf(), change->kind);
	record->bytes = change->first;
	record->length = change->second;
	if (change->path)
		bpf_probe_read_user(&first, 1, (const void *)change->path);
	/* Without a name, or with an empty one (AT_EMPTY_PATH), the descriptor is the file. */
	file = first ? NULL : file_of(bpf_get_current_task_btf(), change->base);
	if (file) {
		inode = inode_of(file);
		record->inode = READ(struct inode, inode, i_ino);
		record->device = READ(struct super_block, READ(struct inode, inode, i_sb), s_dev);
		record->mode = READ(struct inode, inode, i_mode);
		next = put_path(space, at, READ(struct file, file, f_path.dentry),
				READ(struct file, file, f_path.mnt));
	} else if (first) {
		next = put_base(space, at, change->base, change->path);
	} else {
		return 0;
	}
	record->base = next - at;
	at = next;
	if (!file)
		next = put_user(space, at, change->path);
	record->path = next - at;
	if (change->name) {
		at = next;
		next = put_user(space, at, change->name);
		record->base2 = next - at;
		at = next;
		next = put_bytes(space, at, change->value, change->length, MAX_XATTR);
		record->path2 = next - at;
	}
	send(&record->head, next);
	return 0;
}

/* A time of the caller's: seconds, then nanoseconds, or microseconds. */
static __always_inline __u64 time_at(__u64 from, __u64 unit)
{
	__u64 given[2] = {};

	if (bpf_probe_read_user(given, sizeof(given), (const void *)from))
		return TIME_NOW;
	if (unit == 1 && given[1] == UTIME_NOW)
		return TIME_NOW;
	if (unit == 1 && given[1] == UTIME_OMIT)
		return TIME_OMIT;
	return given[0] * 1000000000ULL + given[1] * unit;
}

/* Access and modification time, one after the other; without an address both are now. */
static __always_inline void fill_times(struct change *change, __u64 from, __u64 unit)
{
	change->kind = RECORD_TIMES;
	change->first = from ? time_at(from, unit) : TIME_NOW;
	change->second = from ? time_at(from + 16, unit) : TIME_NOW;
}

/* utime: two whole seconds. */
static __always_inline void fill_seconds(struct change *change, __u64 from)
{
	__u64 given[2] = {};

	change->kind = RECORD_TIMES;
	change->first = change->second = TIME_NOW;
	if (!from || bpf_probe_read_user(given, sizeof(given), (const void *)from))
		return;
	change->first = given[0] * 1000000000ULL;
	change->second = given[1] * 1000000000ULL;
}

static __always_inline void fill_xattr(struct change *change, struct call *call, __u32 kind)
{
	change->kind = kind;
	change->name = call->b;
	change->value = kind == RECORD_XATTR ? call->c : 0;
	change->length = kind == RECORD_XATTR ? call->d : 0;
}

/* What the call's arguments mean; false for none of these. */
static __always_inline bool fill_change(struct change *change, struct call *call)
{
	change->base = AT_FDCWD;
	change->path = call->a;
	switch (call->number) {
	case CALL_fchmodat:
	case CALL_fchmodat2:
		change->base = call->a;
		change->path = call->b;
		change->first = call->c;
		change->kind = RECORD_MODE;
		return true;
	case CALL_fchmod:
		change->base = call->a;
		change->path = 0;
		/* Fall through. */
	case CALL_chmod:
		change->first = call->b;
		change->kind = RECORD_MODE;
		return true;
	case CALL_fchownat:
		change->base = call->a;
		change->path = call->b;
		change->first = call->c;
		change->second = call->d;
		change->kind = RECORD_OWNER;
		return true;
	case CALL_fchown:
		change->base = call->a;
		change->path = 0;
		/* Fall through. */
	case CALL_chown:
	case CALL_lchown:
		change->first = call->b;
		change->second = call->c;
		change->kind = RECORD_OWNER;
		return true;
	case CALL_utime:
		fill_seconds(change, call->b);
		return true;
	case CALL_utimes:
		fill_times(change, call->b, 1000);
		return true;
	case CALL_futimesat:
	case CALL_utimensat:
		change->base = call->a;
		change->path = call->b;
		fill_times(change, call->c, call->number == CALL_utimensat ? 1 : 1000);
		return true;
	case CALL_fsetxattr:
	case CALL_fremovexattr:
		change->base = call->a;
		change->path = 0;
		break;
	}
	fill_xattr(change, call,
		   call->number == CALL_setxattr || call->number == CALL_lsetxattr ||
				   call->number == CALL_fsetxattr
			   ? RECORD_XATTR
			   : RECORD_XATTR_REMOVED);
	return true;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_attributes, struct pt_regs *regs, long result)
{
	struct change change = {};
	struct call call;

	read_call(&call, regs, result);
	if (of_mounts(&call))
		return 0;
	fill_change(&change, &call);
	return changed(&change);
}

/* ioctl FS_IOC_SETFLAGS: immutable, append only and others. */
static __noinline int set_flags(int fd, __u64 argument)
{
	struct change change = { .base = fd, .kind = RECORD_FLAGS };
	__u32 flags = 0;

	if (!in_scope() || bpf_probe_read_user(&flags, sizeof(flags), (const void *)argument))
		return 0;
	change.first = flags;
	return changed(&change);
}

#endif
