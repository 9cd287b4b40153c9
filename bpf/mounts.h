/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Mounts: made, moved, taken away, a new root. */
#ifndef METSUKE_MOUNTS_H
#define METSUKE_MOUNTS_H

#include "calls.h"
#include "file.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file_system_type {
	const char *name;
};

struct super_block___type {
	struct file_system_type *s_type;
};

struct mount___source {
	struct vfsmount mnt;
	const char *mnt_devname;
};

struct vfsmount___flags {
	int mnt_flags;
};

struct inode___block {
	struct super_block___type *i_sb;
};

#pragma clang attribute pop

/*
 * mount: the caller's target (`path`), source (`path2`) and type (`base2`). `bytes` holds the flags.
 * A target that is relative comes with its folder.
 */
static __noinline int mounted(struct call *call)
{
	struct scratch *space = scratch();
	struct record_file *record;
	__u32 at = sizeof(*record), next;

	if (!space || !call)
		return 0;
	record = (struct record_file *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, bpf_get_current_task_btf(), RECORD_MOUNT);
	record->bytes = call->d;
	next = put_base(space, at, AT_FDCWD, call->b);
	record->base = next - at;
	at = next;
	next = put_user(space, at, call->b);
	record->path = next - at;
	at = next;
	next = put_user(space, at, call->c);
	record->base2 = next - at;
	at = next;
	next = put_user(space, at, call->a);
	record->path2 = next - at;
	send(&record->head, next);
	return 0;
}

/* move_mount: what hangs at the descriptor, or was at the name, is now at the target. */
static __noinline int moved_mount(struct call *call)
{
	struct scratch *space = scratch();
	struct record_file *record;
	struct mount___source *mount;
	struct super_block___type *block;
	struct file *file;
	__u32 at = sizeof(*record), next;
	char first = 0;

	if (!space || !call)
		return 0;
	bpf_probe_read_user(&first, 1, (const void *)call->b);
	record = (struct record_file *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, bpf_get_current_task_btf(), RECORD_MOUNT);
	next = put_base(space, at, call->c, call->d);
	record->base = next - at;
	at = next;
	next = put_user(space, at, call->d);
	record->path = next - at;
	at = next;
	if (first) {
		/* Moved from a name. */
		record->bytes = MS_MOVE;
		next = put_user(space, at, call->b);
		record->path2 = next - at;
		send(&record->head, next);
		return 0;
	}
	file = file_of(bpf_get_current_task_btf(), call->a);
	if (!file)
		return 0;
	block = READ(struct inode___block, inode_of(file), i_sb);
	next = put_kernel(space, at,
			  READ(struct file_system_type,
			       READ(struct super_block___type, block, s_type), name));
	record->base2 = next - at;
	at = next;
	mount = (void *)READ(struct file, file, f_path.mnt) -
		bpf_core_field_offset(struct mount___source, mnt);
	next = put_kernel(space, at, READ(struct mount___source, mount, mnt_devname));
	record->path2 = next - at;
	send(&record->head, next);
	return 0;
}

/* Whether the call was one of mounts, which is told then. */
static __always_inline bool of_mounts(struct call *call)
{
	struct names names = { .base = AT_FDCWD, .base2 = AT_FDCWD };

	switch (call->number) {
	case CALL_mount:
		mounted(call);
		return true;
	case CALL_move_mount:
		moved_mount(call);
		return true;
	case CALL_umount2:
		names.path = call->a;
		names.kind = RECORD_UNMOUNT;
		named(&names);
		return true;
	case CALL_pivot_root:
		names.path = call->a;
		names.path2 = call->b;
		names.kind = RECORD_MOUNT;
		names.mode = CALL_pivot_root;
		named(&names);
		return true;
	}
	return false;
}

#endif
