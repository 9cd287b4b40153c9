/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Texts of records: paths walked from dentries, strings of user mode. */
#ifndef METSUKE_TEXT_H
#define METSUKE_TEXT_H

#include "shared.h"

/* Path components followed at most; a deeper path arrives without its beginning, and is flagged. */
#define MAX_COMPONENTS 48
#define MAX_COMPONENT 256
/* Where following stops; three paths and both argument blocks fit a record with this. */
#define MAX_PATH 3072

/* Appends a kernel string with its NUL; returns where the next one goes. */
static __always_inline __u32 put_kernel(struct scratch *space, __u32 at, const void *text)
{
	long length;

	at &= ROOM;
	length = bpf_probe_read_kernel_str(&space->data[at], MAX_COMPONENT, text);
	return length > 0 ? at + length : at;
}

/* Appends a string of user mode with its NUL. */
static __always_inline __u32 put_user(struct scratch *space, __u32 at, __u64 text)
{
	long length;

	at &= ROOM;
	length = bpf_probe_read_user_str(&space->data[at], MAX_USER_PATH, (const void *)text);
	return length > 0 ? at + length : at;
}

/* Appends bytes of user mode, at most `limit`. */
static __always_inline __u32 put_bytes(struct scratch *space, __u32 at, __u64 from, __u64 length,
				       __u32 limit)
{
	__u32 count = length > limit ? limit : (__u32)length;

	at &= ROOM;
	/*
	 * The verifier wants the bound in this form, on the number that is used: clang, which knows
	 * that it holds, would leave the question out, and Linux 6.1 does not know it.
	 */
	asm volatile("" : "+r"(count));
	if (count == 0 || count > 4096)
		return at;
	if (bpf_probe_read_user(&space->data[at], count, (const void *)from))
		return at;
	return at + count;
}

/* Where a walk up a path has come to; addresses as numbers, which is all the verifier knows of them. */
struct walk {
	struct scratch *space;
	__u64 dentry, mount;
	__u32 end;
	__u32 pad;
};

/* One step up: appends a name, or goes over to where its file system is mounted; 1 at the end. */
static long step_up(__u32 index, void *data)
{
	struct walk *walk = data;
	struct scratch *space = walk->space;
	struct dentry *dentry = (void *)walk->dentry, *parent;
	struct mount *mount = (void *)walk->mount, *above;

	if (space->at >= walk->end)
		return 1;
	if (dentry == READ(struct mount, mount, mnt.mnt_root)) {
		above = READ(struct mount, mount, mnt_parent);
		if (above == mount)
			return 1;
		walk->dentry = (__u64)READ(struct mount, mount, mnt_mountpoint);
		walk->mount = (__u64)above;
		return 0;
	}
	parent = READ(struct dentry, dentry, d_parent);
	if (parent == dentry && index > 0)
		return 1;
	space->at = put_kernel(space, space->at, READ(struct dentry, dentry, d_name.name));
	if (parent == dentry)
		return 1;
	walk->dentry = (__u64)parent;
	return 0;
}

/*
 * Appends the components of a path, each with its NUL, the last one first, up to the root of the
 * mount namespace. A file without a name in any file system (memfd) gives its own name.
 * Global, and so verified once; a loop of the kernel's (Linux 5.17), whose body is verified once too.
 */
__noinline __u32 put_components(struct scratch *space, __u32 start)
{
	struct walk walk = {};

	if (!space)
		return start;
	space->at = start;
	walk.space = space;
	walk.dentry = space->dentry;
	walk.mount = space->vfsmount - bpf_core_field_offset(struct mount, mnt);
	walk.end = start + MAX_PATH;
	bpf_loop(MAX_COMPONENTS, step_up, &walk, 0);
	return space->at;
}

static __always_inline __u32 put_path(struct scratch *space, __u32 at, struct dentry *dentry,
				      struct vfsmount *vfsmount)
{
	space->dentry = (__u64)dentry;
	space->vfsmount = (__u64)vfsmount;
	return put_components(space, at) & ROOM;
}

/* The file behind a descriptor, as an address for READ; NULL when there is none. */
static __always_inline struct file *file_of(struct task_struct *task, int fd)
{
	struct fdtable *table = READ(struct files_struct, TASK(task, files), fdt);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= READ(struct fdtable, table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), READ(struct fdtable, table, fd) + fd);
	return file;
}

static __always_inline struct inode *inode_of(struct file *file)
{
	return READ(struct file, file, f_inode);
}

static __always_inline __u32 mode_of(struct file *file)
{
	return READ(struct inode, inode_of(file), i_mode);
}

#endif
