/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * What programs do through io_uring, seen as what it is: no system call is made for it. Names are
 * the kernel's own copies, taken when a request is submitted, told when it has come to its end.
 *
 * Optional programs ("?"): the loader chooses those whose tracepoint the kernel has.
 */
#ifndef METSUKE_RING_H
#define METSUKE_RING_H

#include "file.h"
#include "network.h"

enum ring_operation {
	RING_READV = 1,
	RING_WRITEV = 2,
	RING_READ_FIXED = 4,
	RING_WRITE_FIXED = 5,
	RING_ACCEPT = 13,
	RING_CONNECT = 16,
	RING_FALLOCATE = 17,
	RING_OPENAT = 18,
	RING_CLOSE = 19,
	RING_READ = 22,
	RING_WRITE = 23,
	RING_OPENAT2 = 28,
	RING_RENAMEAT = 35,
	RING_UNLINKAT = 36,
	RING_MKDIRAT = 37,
	RING_SYMLINKAT = 38,
	RING_LINKAT = 39,
	RING_FTRUNCATE = 55,
	RING_LISTEN = 57,
};

/* The request names its file by its place in the ring's own table. */
#define REQUEST_FIXED_FILE 1
/* The request asks for no completion where it succeeds. */
#define REQUEST_SILENT (1 << 6)

/* Longest name kept of a request. */
#define RING_NAME 256

struct request {
	char path[RING_NAME];
	char path2[RING_NAME];
	int base, base2;
	int fd; /* -1 for none */
	__u32 kind;
};

/*
 * Requests under way whose names, or descriptors, will be gone at their end. The oldest makes room,
 * and counts as lost: some are never told to have ended, as when their ring is closed.
 */
#define REQUESTS 512
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REQUESTS);
	__type(key, __u64);
	__type(value, struct request);
} requests SEC(".maps");

__u32 requests_held;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct request);
} fresh_request SEC(".maps");

static __always_inline void keep_name(char *into, struct filename *name)
{
	bpf_probe_read_kernel_str(into, RING_NAME, READ(struct filename, name, name));
}

/* Takes the names of a request; false for an operation whose names are not asked for. */
static __always_inline bool keep_names(struct request *request, struct io_kiocb *asked, __u8 operation)
{
	struct io_unlink *removed = (void *)asked;
	struct io_rename *renamed = (void *)asked;
	struct io_mkdir *made = (void *)asked;
	struct io_link *linked = (void *)asked;

	request->base2 = AT_FDCWD;
	switch (operation) {
	case RING_UNLINKAT:
		request->kind = RECORD_DELETE;
		request->base = READ(struct io_unlink, removed, dfd);
		keep_name(request->path, READ(struct io_unlink, removed, filename));
		return true;
	case RING_RENAMEAT:
		request->kind = RECORD_RENAME;
		request->base = READ(struct io_rename, renamed, old_dfd);
		request->base2 = READ(struct io_rename, renamed, new_dfd);
		keep_name(request->path, READ(struct io_rename, renamed, oldpath));
		keep_name(request->path2, READ(struct io_rename, renamed, newpath));
		return true;
	case RING_MKDIRAT:
		request->kind = RECORD_LINK;
		request->base = READ(struct io_mkdir, made, dfd);
		keep_name(request->path, READ(struct io_mkdir, made, filename));
		return true;
	case RING_SYMLINKAT:
	case RING_LINKAT:
		request->kind = RECORD_LINK;
		request->base = READ(struct io_link, linked, new_dfd);
		keep_name(request->path, READ(struct io_link, linked, newpath));
		return true;
	}
	return false;
}

static __always_inline void hold(__u64 key, struct request *request)
{
	if (bpf_map_update_elem(&requests, &key, request, BPF_ANY))
		count_lost(request->kind);
	else if (requests_held >= REQUESTS)
		count_lost(request->kind);
	else
		__sync_fetch_and_add(&requests_held, 1);
}

static __always_inline void forget(__u64 key)
{
	if (!bpf_map_delete_elem(&requests, &key))
		__sync_fetch_and_add(&requests_held, -1);
}

/* Where the caller keeps the address to connect to; a number, not a pointer, for the verifier. */
static __always_inline __u64 destination(struct io_kiocb *asked)
{
	struct io_connect *connect = (void *)asked;
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &connect->addr);
	return address;
}

static __noinline int named_by_ring(struct request *request);

static __noinline int requested(struct io_kiocb *asked)
{
	__u8 operation = READ(struct io_kiocb, asked, opcode);
	__u64 key = (__u64)asked;
	struct request *request;
	__u32 zero = 0;
	__u64 flags;
	bool socket = operation == RING_CONNECT || operation == RING_LISTEN;

	if (!in_scope() || (!socket && (operation < RING_RENAMEAT || operation > RING_LINKAT)))
		return 0;
	request = bpf_map_lookup_elem(&fresh_request, &zero);
	if (!request)
		return 0;
	request->path[0] = request->path2[0] = 0;
	request->kind = operation == RING_CONNECT ? RECORD_CONNECT : RECORD_LISTEN;
	request->fd = -1;
	flags = READ(struct io_kiocb, asked, flags);
	if (socket && !(flags & REQUEST_FIXED_FILE))
		request->fd = READ(struct io_kiocb, asked, cqe.fd);
	if (!socket && !keep_names(request, asked, operation))
		return 0;
	/* Nothing will tell of its end, unless it fails: told as it was asked for. */
	if (!(flags & REQUEST_SILENT))
		hold(key, request);
	else if (!socket)
		named_by_ring(request);
	else if (operation == RING_CONNECT && request->fd >= 0)
		flow(request->fd, destination(asked), -EINPROGRESS, RECORD_CONNECT,
		     read_address(destination(asked)));
	return 0;
}

static __always_inline __u32 put_ring_base(struct scratch *space, __u32 at, int fd, char first)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file;

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

/* Sends a record of an operation on names that a ring did. */
static __noinline int named_by_ring(struct request *request)
{
	struct scratch *space = scratch();
	struct record_file *record;
	__u32 at = sizeof(*record), next;

	if (!space || !request)
		return 0;
	record = (struct record_file *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, bpf_get_current_task_btf(), request->kind);
	next = put_ring_base(space, at, request->base, request->path[0]);
	record->base = next - at;
	at = next;
	next = put_kernel(space, at, request->path);
	record->path = next - at;
	if (request->kind == RECORD_RENAME) {
		at = next;
		next = put_ring_base(space, at, request->base2, request->path2[0]);
		record->base2 = next - at;
		at = next;
		next = put_kernel(space, at, request->path2);
		record->path2 = next - at;
	}
	send(&record->head, next);
	return 0;
}

/* A ring read from a file, or wrote to it. */
static __noinline int moved_by_ring(struct file *file, __s32 result, bool writes)
{
	struct dentry *dentry;

	if (!file || result < 0 || (mode_of(file) & S_IFMT) != S_IFREG)
		return 0;
	dentry = READ(struct file, file, f_path.dentry);
	if (!writes)
		return sensitive_name(dentry) == NAME_SENSITIVE ? touch(file, RECORD_READ, 0) : 0;
	if (is_setup(inode_of(file)) && sensitive_as(dentry, 0) == NAME_MEMORY)
		return reached_memory(file, RECORD_INJECT, result);
	return touch(file, RECORD_WRITE, result);
}

static __always_inline int opened_by_ring(struct io_open *open, __s32 result)
{
	/* Opened into the ring's own table: seen when it is read or written. */
	if (READ(struct io_open, open, file_slot))
		return 0;
	return opened(result, READ(struct io_open, open, how.flags));
}

static __always_inline int ended_names(__u64 key, __s32 result)
{
	struct request *request = bpf_map_lookup_elem(&requests, &key);

	if (!request)
		return 0;
	if (result == 0)
		named_by_ring(request);
	forget(key);
	return 0;
}

static __always_inline int ended_socket(struct io_kiocb *asked, __s32 result, __u32 kind)
{
	__u64 key = (__u64)asked, address = 0;
	struct request *request = bpf_map_lookup_elem(&requests, &key);
	int fd;

	if (!request)
		return 0;
	fd = request->fd;
	forget(key);
	if (kind == RECORD_CONNECT)
		address = destination(asked);
	else if (result)
		return 0;
	return fd < 0 ? 0 : flow(fd, address, result, kind, read_address(address));
}

SEC("?tp_btf/io_uring_complete")
int BPF_PROG(on_ring_result, void *ring, struct io_kiocb *asked)
{
	struct io_close *closing = (void *)asked;
	__s32 result;

	if (!asked || !in_scope())
		return 0;
	result = READ(struct io_kiocb, asked, cqe.res);
	switch (READ(struct io_kiocb, asked, opcode)) {
	case RING_OPENAT:
	case RING_OPENAT2:
		return opened_by_ring((void *)asked, result);
	case RING_CLOSE:
		return READ(struct io_close, closing, file_slot)
			       ? 0
			       : closed(READ(struct io_close, closing, fd));
	case RING_READ:
	case RING_READV:
	case RING_READ_FIXED:
		return moved_by_ring(READ(struct io_kiocb, asked, file), result, false);
	case RING_WRITE:
	case RING_WRITEV:
	case RING_WRITE_FIXED:
	case RING_FALLOCATE:
	case RING_FTRUNCATE:
		return moved_by_ring(READ(struct io_kiocb, asked, file), result, true);
	case RING_ACCEPT:
		return result >= 0 ? flow(result, 0, 0, RECORD_ACCEPT, 0) : 0;
	case RING_CONNECT:
		return ended_socket(asked, result, RECORD_CONNECT);
	case RING_LISTEN:
		return ended_socket(asked, result, RECORD_LISTEN);
	case RING_RENAMEAT:
	case RING_UNLINKAT:
	case RING_MKDIRAT:
	case RING_SYMLINKAT:
	case RING_LINKAT:
		return ended_names((__u64)asked, result);
	}
	return 0;
}

/* Since Linux 6.3. */
SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(on_ring_request, struct io_kiocb *asked)
{
	return requested(asked);
}

/* Before. */
SEC("?tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_ring_request_old, struct io_kiocb *asked)
{
	return requested(asked);
}

#endif
