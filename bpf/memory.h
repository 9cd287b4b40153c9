/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Memory that becomes executable, files made of memory, libraries mapped. */
#ifndef METSUKE_MEMORY_H
#define METSUKE_MEMORY_H

#include "acts.h"
#include "calls.h"
#include "file.h"

/* What stands behind memory; user mode names these. */
enum backing {
	BACKING_UNKNOWN,
	BACKING_ANONYMOUS,
	BACKING_FILE,
	BACKING_WRITTEN_FILE,
	BACKING_MEMFD,
	BACKING_STACK,
	BACKING_HEAP,
};

/* One executable that mapped one library, as both were then. */
struct image_key {
	__u64 exe;
	__u64 inode;
	__u64 modified;
	__u32 exe_device;
	__u32 device;
};

struct image {
	__u64 told;
	__u64 operations; /* since */
};

/* A pair that is known is told again after this long, with how often it was seen meanwhile. */
#define IMAGE_NANOS 3600000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct image_key);
	__type(value, struct image);
} images SEC(".maps");

static __always_inline __u64 modified_of(struct inode *inode)
{
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return READ(struct inode, inode, i_mtime_sec) * 1000000000ULL +
		       READ(struct inode, inode, i_mtime_nsec);
	return BPF_CORE_READ(old, i_mtime.tv_sec) * 1000000000ULL +
	       BPF_CORE_READ(old, i_mtime.tv_nsec);
}

static __always_inline bool in_memory(struct inode *inode)
{
	return READ(struct super_block, READ(struct inode, inode, i_sb), s_flags) & SB_KERNMOUNT;
}

struct region {
	__u64 address;
	__u64 length;
	struct file *file; /* behind it; NULL for none */
	__u64 operations;
	__u32 backing;
	__u32 protection;
	__u32 call;
	__u32 kind;
	__u32 flags;
	__u32 pad;
};

/* Sends a record of a region, with the path of what is behind it; whether it was lost. */
static __noinline int tell_region(struct region *region)
{
	struct scratch *space = scratch();
	struct record_memory *record;
	struct inode *inode;
	__u32 at = sizeof(*record), next = at;

	if (!space || !region)
		return 0;
	record = (struct record_memory *)space->data;
	fill_head(&record->head, bpf_get_current_task_btf(), region->kind);
	record->head.flags = region->flags;
	record->address = region->address;
	record->length = region->length;
	record->operations = region->operations;
	record->call = region->call;
	record->protection = region->protection;
	record->backing = region->backing;
	record->inode = 0;
	record->device = record->pad = 0;
	if (region->file) {
		inode = inode_of(region->file);
		record->inode = READ(struct inode, inode, i_ino);
		record->device = READ(struct super_block, READ(struct inode, inode, i_sb), s_dev);
		if (in_memory(inode))
			record->head.flags |= FLAG_MEMORY;
		if (READ(struct inode, inode, i_nlink) == 0)
			record->head.flags |= FLAG_GONE;
		next = put_path(space, at, READ(struct file, region->file, f_path.dentry),
				READ(struct file, region->file, f_path.mnt));
	}
	record->path = next - at;
	return !send(&record->head, next);
}

/* Tells a region that became executable: the first of its like, then summed up. */
static __noinline int executable(struct region *region)
{
	struct act_key key = {};
	int repeat;

	if (!region)
		return 0;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.kind = region->kind;
	key.detail = region->call << 4 | region->backing;
	if (region->file)
		key.object = READ(struct inode, inode_of(region->file), i_ino);
	repeat = repeats(&key, region->length);
	if (repeat == REPEATED)
		return 0;
	region->flags = repeat == NO_ROOM ? FLAG_SINGLE : 0;
	region->operations = 1;
	if (tell_region(region))
		bpf_map_delete_elem(&acts, &key);
	return 0;
}

/* An executable file was mapped: told once for each pair of executable and library. */
static __noinline int image(struct region *region)
{
	struct image_key key = {};
	struct image *known, fresh = {};
	struct inode *inode, *exe;

	if (!region)
		return 0;
	inode = inode_of(region->file);
	exe = BPF_CORE_READ(bpf_get_current_task_btf(), mm, exe_file, f_inode);
	key.exe = READ(struct inode, exe, i_ino);
	key.exe_device = READ(struct super_block, READ(struct inode, exe, i_sb), s_dev);
	key.inode = READ(struct inode, inode, i_ino);
	key.device = READ(struct super_block, READ(struct inode, inode, i_sb), s_dev);
	key.modified = modified_of(inode);
	if (key.exe == key.inode && key.exe_device == key.device)
		return 0;
	region->operations = 1;
	known = bpf_map_lookup_elem(&images, &key);
	fresh.told = bpf_ktime_get_boot_ns();
	if (known) {
		__sync_fetch_and_add(&known->operations, 1);
		if (fresh.told - known->told < IMAGE_NANOS)
			return 0;
		region->operations = known->operations;
	}
	bpf_map_update_elem(&images, &key, &fresh, BPF_ANY);
	region->kind = RECORD_IMAGE;
	if (tell_region(region))
		bpf_map_delete_elem(&images, &key);
	return 0;
}

/* Whether this process wrote to the file a moment ago. */
static __always_inline bool written_lately(struct inode *inode)
{
	struct file_key key;

	fill_file_key(&key, inode, RECORD_WRITE);
	return bpf_map_lookup_elem(&files, &key) != NULL;
}

static __always_inline int mapped(struct call *call)
{
	struct region region = {
		.address = call->result,
		.length = call->b,
		.protection = call->c,
		.call = call->number,
		.kind = RECORD_MAP,
		.backing = BACKING_ANONYMOUS,
	};
	struct inode *inode;

	if (!(call->d & MAP_ANONYMOUS))
		region.file = file_of(bpf_get_current_task_btf(), call->e);
	if (!region.file)
		return executable(&region);
	inode = inode_of(region.file);
	if (in_memory(inode)) {
		region.backing = BACKING_MEMFD;
		return executable(&region);
	}
	region.backing = written_lately(inode) ? BACKING_WRITTEN_FILE : BACKING_FILE;
	if (region.backing == BACKING_WRITTEN_FILE || region.protection & PROT_WRITE)
		executable(&region);
	return image(&region);
}

static long found_area(struct task_struct *task, struct vm_area_struct *area, void *data)
{
	struct region *region = data;
	struct file *file = READ(struct vm_area_struct, area, vm_file);
	__u64 start = READ(struct vm_area_struct, area, vm_start);
	__u64 end = READ(struct vm_area_struct, area, vm_end);
	struct mm_struct *mm = READ(struct task_struct, task, mm);
	__u64 heap = READ(struct mm_struct, mm, start_brk);
	__u64 stack = READ(struct mm_struct, mm, start_stack);

	region->file = file;
	if (file && in_memory(inode_of(file)))
		region->backing = BACKING_MEMFD;
	else if (file)
		region->backing = READ(struct vm_area_struct, area, anon_vma) ? BACKING_WRITTEN_FILE
									       : BACKING_FILE;
	else if ((start <= stack && stack < end) ||
		 READ(struct vm_area_struct, area, vm_flags) & VM_GROWSDOWN)
		region->backing = BACKING_STACK;
	else if (start < READ(struct mm_struct, mm, brk) && end > heap)
		region->backing = BACKING_HEAP;
	else
		region->backing = BACKING_ANONYMOUS;
	return 0;
}

static __always_inline int protected(struct call *call)
{
	struct region region = {
		.address = call->a,
		.length = call->b,
		.protection = call->c,
		.call = call->number,
		.kind = RECORD_PROTECT,
		.backing = BACKING_UNKNOWN,
	};

	/* Another thread may hold the lock: then what stands behind is not known. */
	bpf_find_vma(bpf_get_current_task_btf(), call->a, found_area, &region, 0);
	return executable(&region);
}

/* Group of calls that make memory executable, or a file of it. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_memory, struct pt_regs *regs, long result)
{
	struct call call;

	read_call(&call, regs, result);
	if (call.number == CALL_mmap)
		return mapped(&call);
	if (call.number == CALL_mprotect || call.number == CALL_pkey_mprotect)
		return protected(&call);
	struct region made = {
		.kind = RECORD_MEMORY_FILE,
		.call = call.number,
		.backing = BACKING_MEMFD,
		.operations = 1,
		.file = file_of(bpf_get_current_task_btf(), call.result),
	};
	if (made.file)
		tell_region(&made);
	return 0;
}

#endif
