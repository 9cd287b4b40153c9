/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Files: opened descriptors by their dentry, named operations by the caller's string. */
#ifndef METSUKE_FILE_H
#define METSUKE_FILE_H

#include "acts.h"
#include "reach.h"

#define MAX_NAME 32

struct name_key {
	char name[MAX_NAME];
	__u32 folder; /* 0: the file's own name; 1: its folder's */
};

/* What a name stands for. */
#define NAME_SENSITIVE 1
#define NAME_MEMORY 2 /* a process's memory, when it is a file of procfs */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct name_key);
	__type(value, __u8);
} sensitive SEC(".maps");

/* One entry per process, file and kind of access since user mode last took it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct file_key);
	__type(value, struct sum);
} files SEC(".maps");

/* Descriptors open for writing, so that their close tells that a file is complete. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct file_key);
} writers SEC(".maps");

/*
 * How many of these entries there are by the lowest bits of a process's id, so that most closes are
 * told by a glance. Of processes that share these bits one's end may hide another's close: its
 * writes are then told as those through a duplicate are. A count set to 0 between a close's glance
 * and its subtraction wraps: until a process of these bits ends, closes are looked up in vain, or
 * one more is hidden.
 */
#define WRITER_SLOTS 65536
__u32 writing[WRITER_SLOTS];

static __always_inline __u32 *writing_of(__u64 pid_tgid)
{
	return &writing[(pid_tgid >> 32) & (WRITER_SLOTS - 1)];
}

static __always_inline __u64 descriptor(int fd)
{
	return (bpf_get_current_pid_tgid() & ~0xffffffffULL) | (__u32)fd;
}

static __always_inline void fill_file_key(struct file_key *key, struct inode *inode, __u32 kind)
{
	key->inode = READ(struct inode, inode, i_ino);
	key->device = READ(struct super_block, READ(struct inode, inode, i_sb), s_dev);
	key->pid = bpf_get_current_pid_tgid() >> 32;
	key->kind = kind;
	key->pad = 0;
}

/* Whether what is written there sets up a process or the kernel: procfs, binfmt_misc. */
static __always_inline bool is_setup(struct inode *inode)
{
	__u64 magic = READ(struct super_block, READ(struct inode, inode, i_sb), s_magic);

	return magic == PROC_SUPER_MAGIC || magic == BINFMTFS_MAGIC;
}

/* Sends a record of an open file, with its path; whether it was lost. */
static __noinline int tell_file(struct file *file, struct file_key *key, __u64 bytes, __u32 flags)
{
	struct scratch *space = scratch();
	struct inode *inode = inode_of(file);
	struct record_file *record;
	__u32 at = sizeof(*record), next;

	if (!space || !key)
		return 0;
	record = (struct record_file *)space->data;
	fill_head(&record->head, bpf_get_current_task_btf(), key->kind);
	record->head.flags = flags;
	if (READ(struct super_block, READ(struct inode, inode, i_sb), s_flags) & SB_KERNMOUNT)
		record->head.flags |= FLAG_MEMORY;
	record->inode = key->inode;
	record->device = key->device;
	record->bytes = bytes;
	record->length = READ(struct inode, inode, i_size);
	record->mode = READ(struct inode, inode, i_mode);
	next = put_path(space, at, READ(struct file, file, f_path.dentry),
			READ(struct file, file, f_path.mnt));
	record->base = next - at;
	record->path = record->base2 = record->path2 = 0;
	return !send(&record->head, next);
}

/* Adds to the sum of (process, file, kind); the first operation sends a record. */
static __noinline int touch(struct file *file, __u32 kind, __u64 bytes)
{
	struct inode *inode = inode_of(file);
	struct file_key key;
	struct sum *sum, first = {};
	__u32 flags = 0;

	fill_file_key(&key, inode, kind);
	sum = bpf_map_lookup_elem(&files, &key);
	if (sum) {
		__sync_fetch_and_add(&sum->bytes, bytes);
		__sync_fetch_and_add(&sum->operations, 1);
		sum->last = bpf_ktime_get_boot_ns();
		sum->length = READ(struct inode, inode, i_size);
		return 0;
	}
	first.last = bpf_ktime_get_boot_ns();
	first.bytes = bytes;
	first.operations = 1;
	first.length = READ(struct inode, inode, i_size);
	if (bpf_map_update_elem(&files, &key, &first, BPF_ANY))
		flags = FLAG_SINGLE;
	/* A sum that nobody knows of would swallow what follows. */
	if (tell_file(file, &key, bytes, flags))
		bpf_map_delete_elem(&files, &key);
	return 0;
}

/* What the name of `dentry` stands for: as a file's, or as a folder's (1); 0 for nothing. */
static __always_inline __u32 sensitive_as(struct dentry *dentry, __u32 folder)
{
	const void *name = READ(struct dentry, dentry, d_name.name);
	__u32 length = READ(struct dentry, dentry, d_name.len);
	struct name_key key = {};
	__u64 looks;
	__u8 first = 0, *means;

	if (length >= NAME_LENGTHS)
		length = NAME_LENGTHS - 1;
	looks = config.looks[folder][length];
	if (!looks)
		return 0;
	bpf_probe_read_kernel(&first, sizeof(first), name);
	if (!(looks >> (first & 63) & 1))
		return 0;
	key.folder = folder;
	bpf_probe_read_kernel_str(key.name, MAX_NAME, name);
	means = bpf_map_lookup_elem(&sensitive, &key);
	return means ? *means : 0;
}

static __always_inline __u32 sensitive_name(struct dentry *dentry)
{
	return sensitive_as(dentry, 0) ?: sensitive_as(READ(struct dentry, dentry, d_parent), 1);
}

/* A block device, or the memory's devices: read and written past all file systems. */
static __noinline int opened_device(struct file *file, struct inode *inode)
{
	__u32 kind = READ(struct inode, inode, i_mode) & S_IFMT;
	__u32 device = READ(struct inode, inode, i_rdev);
	struct file_key key;

	/* mem 1:1, kmem 1:2, port 1:4 */
	if (kind != S_IFBLK && (kind != S_IFCHR || (device != (1 << 20 | 1) &&
						     device != (1 << 20 | 2) &&
						     device != (1 << 20 | 4))))
		return 0;
	fill_file_key(&key, inode, RECORD_RAW_ACCESS);
	return tell_file(file, &key, READ(struct file, file, f_mode), 0);
}

static __noinline int opened(long fd, __u64 flags)
{
	struct file *file;
	struct inode *inode;
	struct file_key key;
	__u32 mode, means;
	__u64 at;

	if (fd < 0 || !in_scope())
		return 0;
	file = file_of(bpf_get_current_task_btf(), fd);
	if (!file)
		return 0;
	inode = inode_of(file);
	if ((READ(struct inode, inode, i_mode) & S_IFMT) != S_IFREG)
		return opened_device(file, inode);
	mode = READ(struct file, file, f_mode);
	means = sensitive_name(READ(struct file, file, f_path.dentry));
	if (means == NAME_MEMORY && is_setup(inode))
		return reached_memory(file, RECORD_ACCESS, 0);
	if ((mode & FMODE_WRITE) && is_setup(inode))
		return 0;
	if (mode & FMODE_WRITE) {
		at = descriptor(fd);
		fill_file_key(&key, inode, RECORD_WRITE);
		if (!bpf_map_update_elem(&writers, &at, &key, BPF_ANY))
			__sync_fetch_and_add(writing_of(at), 1);
	}
	/* A file without a name is called `#` and its inode, as /proc calls it. */
	if ((mode & FMODE_CREATED) || (flags & O_UNNAMED)) {
		fill_file_key(&key, inode, RECORD_CREATE);
		tell_file(file, &key, 0, 0);
	} else if ((flags & O_TRUNC) && (mode & FMODE_WRITE)) {
		touch(file, RECORD_WRITE, 0);
	}
	if ((mode & FMODE_READ) && means == NAME_SENSITIVE)
		touch(file, RECORD_READ, 0);
	return 0;
}

static __noinline int written(int fd, __u64 bytes)
{
	struct file *file;

	if (!in_scope())
		return 0;
	file = file_of(bpf_get_current_task_btf(), fd);
	if (file && (mode_of(file) & S_IFMT) == S_IFREG)
		touch(file, RECORD_WRITE, bytes);
	return 0;
}

/* A descriptor was closed: if it was written through, say so at once. */
static __noinline int closed(int fd)
{
	struct record_file record = {};
	struct file_key *key;
	__u64 at = descriptor(fd);

	if (!*writing_of(at) || !in_scope())
		return 0;
	key = bpf_map_lookup_elem(&writers, &at);
	if (!key)
		return 0;
	if (bpf_map_lookup_elem(&files, key)) {
		fill_head(&record.head, bpf_get_current_task_btf(), RECORD_CLOSE);
		record.inode = key->inode;
		record.device = key->device;
		send(&record.head, sizeof(record));
	}
	if (!bpf_map_delete_elem(&writers, &at))
		__sync_fetch_and_add(writing_of(at), -1);
	return 0;
}

/* Appends the folder that a relative name starts from. */
static __always_inline __u32 put_base(struct scratch *space, __u32 at, int fd, __u64 name)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file;
	char first = '/';

	bpf_probe_read_user(&first, 1, (const void *)name);
	if (first == '/')
		return at;
	if (fd == AT_FDCWD)
		return put_path(space, at, READ(struct fs_struct, TASK(task, fs), pwd.dentry),
				READ(struct fs_struct, TASK(task, fs), pwd.mnt));
	file = file_of(task, fd);
	if (!file)
		return at;
	return put_path(space, at, READ(struct file, file, f_path.dentry),
			READ(struct file, file, f_path.mnt));
}

struct names {
	int base;
	int base2;
	__u64 path;
	__u64 path2; /* 0 when there is only one */
	__u32 kind;
	__u32 mode;
};

/* Sends a record of an operation on names. */
static __noinline int named(struct names *names)
{
	struct scratch *space = scratch();
	struct record_file *record;
	__u32 at = sizeof(*record), next;

	if (!space || !names || !in_scope())
		return 0;
	record = (struct record_file *)space->data;
	fill_head(&record->head, bpf_get_current_task_btf(), names->kind);
	record->inode = record->bytes = record->length = 0;
	record->device = 0;
	record->mode = names->mode;
	record->base2 = record->path2 = 0;

	next = put_base(space, at, names->base, names->path);
	record->base = next - at;
	at = next;
	next = put_user(space, at, names->path);
	record->path = next - at;
	if (names->path2) {
		at = next;
		next = put_base(space, at, names->base2, names->path2);
		record->base2 = next - at;
		at = next;
		next = put_user(space, at, names->path2);
		record->path2 = next - at;
	}
	send(&record->head, next);
	return 0;
}

#endif
