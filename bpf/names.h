/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Group of operations on names of files: removed, renamed, linked, made, cut. */
#ifndef METSUKE_NAMES_H
#define METSUKE_NAMES_H

#include "calls.h"
#include "file.h"

#define RENAME_EXCHANGE 2

static __always_inline int one_name(int base, __u64 path, __u32 kind)
{
	struct names names = { .base = base, .path = path, .kind = kind };

	return named(&names);
}

static __always_inline int two_names(int base, __u64 path, int base2, __u64 path2, __u32 kind)
{
	struct names names = {
		.base = base, .path = path, .base2 = base2, .path2 = path2, .kind = kind,
	};

	return named(&names);
}

/*
 * What `/proc/self/fd/N` says to a call that follows it, as open(2) tells who gives an unnamed file its
 * name: the descriptor, and in `path` the end of the text; -1 for any other.
 */
static __noinline int named_descriptor(__u64 *path)
{
	static const char prefix[] = "/proc/self/fd/";
	char text[24] = {};
	int fd = 0;

	if (!path || bpf_probe_read_user_str(text, sizeof(text), (const void *)*path) < 0)
		return -1;
	for (__u32 at = 0; at < sizeof(prefix) - 1; at++)
		if (text[at] != prefix[at])
			return -1;
	for (__u32 at = sizeof(prefix) - 1; at < sizeof(text); at++) {
		if (!text[at]) {
			*path += at;
			return at > sizeof(prefix) - 1 ? fd : -1;
		}
		if (text[at] < '0' || text[at] > '9')
			return -1;
		fd = fd * 10 + text[at] - '0';
	}
	return -1;
}

static __always_inline int hard_link(struct call *call)
{
	__u64 path = call->b;
	int fd = call->e & AT_SYMLINK_FOLLOW ? named_descriptor(&path) : -1;

	return two_names(fd >= 0 ? fd : (int)call->a, path, call->c, call->d, RECORD_HARD_LINK);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_names, struct pt_regs *regs, long result)
{
	struct call call;

	read_call(&call, regs, result);
	switch (call.number) {
	case CALL_unlink:
	case CALL_rmdir:
		return one_name(AT_FDCWD, call.a, RECORD_DELETE);
	case CALL_unlinkat:
		return one_name(call.a, call.b, RECORD_DELETE);
	case CALL_rename:
		return two_names(AT_FDCWD, call.a, AT_FDCWD, call.b, RECORD_RENAME);
	case CALL_renameat2:
		if (call.e & RENAME_EXCHANGE)
			return two_names(call.a, call.b, call.c, call.d, RECORD_EXCHANGE);
		/* Fall through. */
	case CALL_renameat:
		return two_names(call.a, call.b, call.c, call.d, RECORD_RENAME);
	/* Old name, new name; of a symbolic link what it says is no name of a file by itself. */
	case CALL_link:
		return two_names(AT_FDCWD, call.a, AT_FDCWD, call.b, RECORD_HARD_LINK);
	case CALL_linkat:
		return hard_link(&call);
	case CALL_symlink:
		return two_names(AT_FDCWD, call.a, AT_FDCWD, call.b, RECORD_SYMLINK);
	case CALL_symlinkat:
		return two_names(AT_FDCWD, call.a, call.b, call.c, RECORD_SYMLINK);
	case CALL_mkdir:
	case CALL_mknod:
		return one_name(AT_FDCWD, call.a, RECORD_LINK);
	case CALL_mkdirat:
	case CALL_mknodat:
		return one_name(call.a, call.b, RECORD_LINK);
	case CALL_truncate:
		return one_name(AT_FDCWD, call.a, RECORD_TRUNCATE);
	}
	return 0;
}

#endif
