/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What is done to the kernel: BPF programs and pins, other kernels, rings, settings. */
#ifndef METSUKE_OBJECTS_H
#define METSUKE_OBJECTS_H

#include "calls.h"
#include "file.h"
#include "reach.h"

/* The kernel's, as far as they are used; see kernel.h. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_prog_aux {
	__u32 id;
	char name[16];
	const char *attach_func_name;
};

enum bpf_prog_type { BPF_PROG_TYPE_UNSPEC };

struct bpf_prog {
	enum bpf_prog_type type;
	__u32 len;
	struct bpf_prog_aux *aux;
};

struct bpf_link {
	__u32 id;
	struct bpf_prog *prog;
};

struct bpf_map {
	__u32 id;
	char name[16];
};

#pragma clang attribute pop

/* Commands of bpf(2). */
#define BPF_PROG_LOAD 5
#define BPF_OBJ_PIN 6
#define BPF_PROG_ATTACH 8
#define BPF_PROG_DETACH 9
#define BPF_RAW_TRACEPOINT_OPEN 17
#define BPF_LINK_CREATE 28
#define BPF_LINK_DETACH 34

/* Attach types of control groups end the targets that are descriptors of folders. */
#define NO_TYPE 0xffffffff

/* Parents followed to learn whether a file is a setting. */
#define SETTING_DEPTH 12

static __always_inline struct record_kernel *new_kernel(struct scratch *space, __u32 kind,
							struct call *call)
{
	struct record_kernel *record = (struct record_kernel *)space->data;

	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, bpf_get_current_task_btf(), kind);
	record->call = call->number;
	record->type = record->attach_type = NO_TYPE;
	record->error = call->result < 0 ? -call->result : 0;
	return record;
}

static __always_inline void fill_program(struct record_kernel *record, struct bpf_prog *program)
{
	if (!program)
		return;
	record->id = BPF_CORE_READ(program, aux, id);
	record->type = BPF_CORE_READ(program, type);
	record->size = BPF_CORE_READ(program, len);
	BPF_CORE_READ_STR_INTO(&record->name, program, aux, name);
}

static __always_inline void *object_of(int fd)
{
	struct file *file = file_of(bpf_get_current_task_btf(), fd);

	return file ? READ(struct file, file, private_data) : NULL;
}

/* The program that a link's descriptor stands for. */
static __always_inline struct bpf_prog *linked(int fd)
{
	struct bpf_link *link = object_of(fd);

	return link ? READ(struct bpf_link, link, prog) : NULL;
}

static __always_inline __u32 put_attached(struct scratch *space, __u32 at, struct bpf_prog *program)
{
	const char *name = program ? BPF_CORE_READ(program, aux, attach_func_name) : NULL;

	return name ? put_kernel(space, at, name) : at;
}

/*
 * A program, map or link gets a name in bpffs, by which it outlives who made it. Their descriptors
 * are told apart by the names that the kernel gives them: bpf-prog, bpf-map, bpf_link.
 */
static __noinline int pinned(struct call *call)
{
	struct scratch *space = scratch();
	struct user_bpf given = {};
	struct record_kernel *record;
	struct bpf_map *map;
	struct file *file;
	__u32 at = sizeof(*record), next;
	char name[8] = {};

	if (!space || !call)
		return 0;
	bpf_probe_read_user(&given, sizeof(given), (const void *)call->b);
	file = file_of(bpf_get_current_task_btf(), given.words[2]);
	if (!file)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name),
				  READ(struct dentry, READ(struct file, file, f_path.dentry),
				       d_name.name));
	record = new_kernel(space, RECORD_BPF, call);
	record->command = BPF_OBJ_PIN;
	record->word = name[4];
	if (name[4] == 'm') {
		map = READ(struct file, file, private_data);
		record->id = READ(struct bpf_map, map, id);
		BPF_CORE_READ_STR_INTO(&record->name, map, name);
	} else {
		fill_program(record, name[4] == 'l' ? linked(given.words[2]) :
						      READ(struct file, file, private_data));
	}
	next = put_user(space, at, given.words[0] | (__u64)given.words[1] << 32);
	record->text = next - at;
	send(&record->head, next);
	return 0;
}

/* bpf(2): programs loaded, attached, detached. */
static __noinline int bpf_called(struct call *call)
{
	struct scratch *space = scratch();
	struct user_bpf given = {};
	struct record_kernel *record;
	struct bpf_prog *program = NULL;
	struct file *folder = NULL;
	__u32 at = sizeof(*record), next;

	if (!space || !call)
		return 0;
	bpf_probe_read_user(&given, sizeof(given), (const void *)call->b);
	record = new_kernel(space, RECORD_BPF, call);
	record->command = call->a;
	switch (call->a) {
	case BPF_PROG_LOAD:
		program = object_of(call->result);
		break;
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
		program = given.words[1] ? object_of(given.words[1]) : NULL;
		record->attach_type = given.words[2];
		record->word = given.words[0];
		folder = file_of(bpf_get_current_task_btf(), given.words[0]);
		break;
	case BPF_LINK_CREATE:
		program = linked(call->result);
		record->attach_type = given.words[2];
		record->word = given.words[1];
		folder = file_of(bpf_get_current_task_btf(), given.words[1]);
		break;
	case BPF_RAW_TRACEPOINT_OPEN:
		program = linked(call->result);
		break;
	case BPF_LINK_DETACH:
		program = linked(given.words[0]);
		break;
	default:
		return 0;
	}
	fill_program(record, program);
	next = at;
	/* A folder is a control group; anything else that the number may stand for has no path. */
	if (folder && (mode_of(folder) & S_IFMT) == S_IFDIR)
		next = put_path(space, at, READ(struct file, folder, f_path.dentry),
				READ(struct file, folder, f_path.mnt));
	record->path = next - at;
	at = next;
	next = put_attached(space, at, program);
	if (call->a == BPF_RAW_TRACEPOINT_OPEN && next == at)
		next = put_user(space, at, given.words[0] | (__u64)given.words[1] << 32);
	record->text = next - at;
	send(&record->head, next);
	return 0;
}

/* A program attached to a perf event (ioctl), or a filter to a socket (setsockopt). */
static __noinline int attached(struct call *call)
{
	struct scratch *space = scratch();
	struct record_kernel *record;
	__u32 program = call->c;

	if (!space || !call)
		return 0;
	record = new_kernel(space, RECORD_BPF, call);
	record->command = call->number == CALL_ioctl ? 0 : call->c;
	if (call->number == CALL_setsockopt) {
		program = ~0u;
		if (call->c >= SO_ATTACH_BPF)
			bpf_probe_read_user(&program, sizeof(program), (const void *)call->d);
	}
	fill_program(record, object_of(program));
	send(&record->head, sizeof(*record));
	return 0;
}

/* kexec_load, kexec_file_load. */
static __noinline int other_kernel(struct call *call)
{
	struct scratch *space = scratch();
	struct record_kernel *record;
	struct file *file;
	__u32 at = sizeof(*record), next = at;

	if (!space || !call)
		return 0;
	record = new_kernel(space, RECORD_KEXEC, call);
	if (call->number == CALL_kexec_load) {
		record->size = call->b;
	} else {
		file = file_of(bpf_get_current_task_btf(), call->a);
		if (file)
			next = put_path(space, at, READ(struct file, file, f_path.dentry),
					READ(struct file, file, f_path.mnt));
		record->path = next - at;
		at = next;
		next = call->d ? put_user(space, at, call->d) : at;
		record->text = next - at;
	}
	send(&record->head, next);
	return 0;
}

/* Group of calls that change the kernel. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_kernel, struct pt_regs *regs, long result)
{
	struct scratch *space = scratch();
	struct record_kernel *record;
	struct call call;

	read_call(&call, regs, result);
	switch (call.number) {
	case CALL_bpf:
		return call.a == BPF_OBJ_PIN ? pinned(&call) : bpf_called(&call);
	case CALL_ioctl:
	case CALL_setsockopt:
		return attached(&call);
	case CALL_kexec_load:
	case CALL_kexec_file_load:
		return other_kernel(&call);
	case CALL_io_uring_setup:
		if (!space)
			return 0;
		record = new_kernel(space, RECORD_RING, &call);
		record->size = call.a;
		send(&record->head, sizeof(*record));
	}
	return 0;
}

/* Whether a file of procfs is a setting: below `sys`, which lies in the root. */
static __noinline bool is_setting(struct file *file)
{
	struct dentry *dentry = READ(struct file, file, f_path.dentry), *parent, *above;
	char name[4] = {};

	for (int depth = 0; depth < SETTING_DEPTH; depth++) {
		parent = READ(struct dentry, dentry, d_parent);
		if (parent == dentry)
			return false;
		above = READ(struct dentry, parent, d_parent);
		if (above == parent)
			break;
		dentry = parent;
	}
	bpf_probe_read_kernel_str(name, sizeof(name), READ(struct dentry, dentry, d_name.name));
	return READ(struct dentry, dentry, d_name.len) == 3 && name[0] == 's' && name[1] == 'y' &&
	       name[2] == 's';
}

/* Group of writes to procfs and binfmt_misc, which did not fail. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_proc, struct pt_regs *regs, long result)
{
	struct scratch *space = scratch();
	struct record_kernel *record;
	struct call call;
	struct file *file;
	char name[4] = {};
	__u32 at = sizeof(*record), next;
	bool registers;

	read_call(&call, regs, result);
	file = file_of(bpf_get_current_task_btf(), call.a);
	if (!file || !space)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name),
				  READ(struct dentry, READ(struct file, file, f_path.dentry),
				       d_name.name));
	registers = READ(struct super_block, READ(struct inode, inode_of(file), i_sb), s_magic) ==
		    BINFMTFS_MAGIC;
	if (!registers && name[0] == 'm' && name[1] == 'e' && name[2] == 'm' &&
	    READ(struct dentry, READ(struct file, file, f_path.dentry), d_name.len) == 3)
		return reached_memory(file, RECORD_INJECT, call.result);
	if (!registers && !is_setting(file))
		return touch(file, RECORD_WRITE, call.result);
	record = new_kernel(space, RECORD_SETTING, &call);
	next = put_path(space, at, READ(struct file, file, f_path.dentry),
			READ(struct file, file, f_path.mnt));
	record->path = next - at;
	at = next;
	if (call.number == CALL_write || call.number == CALL_pwrite64)
		next = put_bytes(space, at, call.b, call.result, MAX_VALUE);
	record->text = next - at;
	send(&record->head, next);
	return 0;
}

#endif
