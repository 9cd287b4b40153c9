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

/*
 * Appends the components of a path, each with its NUL, the last one first, up to the root of the
 * mount namespace. A file without a name in any file system (memfd) gives its own name.
 * Global, and so verified once.
 */
__noinline __u32 put_components(struct scratch *space, __u32 start)
{
	struct dentry *dentry, *parent;
	struct mount *mount, *above;

	if (!space)
		return start;
	space->at = start;
	dentry = (void *)space->dentry;
	mount = (void *)space->vfsmount - bpf_core_field_offset(struct mount, mnt);
	for (int i = 0; i < MAX_COMPONENTS && space->at < start + MAX_PATH; i++) {
		if (dentry == READ(struct mount, mount, mnt.mnt_root)) {
			above = READ(struct mount, mount, mnt_parent);
			if (above == mount)
				break;
			dentry = READ(struct mount, mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		parent = READ(struct dentry, dentry, d_parent);
		if (parent == dentry && i > 0)
			break;
		space->at = put_kernel(space, space->at, READ(struct dentry, dentry, d_name.name));
		if (parent == dentry)
			break;
		dentry = parent;
	}
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
	struct fdtable *table = READ(struct files_struct, task->files, fdt);
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
