/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Tier 2: sees processes, files, flows and DNS of a scope.
 *
 * System calls are read at their exit, where results are known and opened files can be seen as the
 * kernel sees them. Strings that the caller gave are read again then; who changes them meanwhile
 * deceives the name of a deleted or renamed file, never an opened one's.
 */
#include "process.h"
#include "file.h"
#include "network.h"

/* struct mmsghdr: a message header and its length. */
#define MESSAGE_STRIDE 64
/* Messages looked at in one sendmmsg or recvmmsg: a resolver sends two. */
#define MAX_MESSAGES 4

#if !defined(__TARGET_ARCH_x86)
#error "system call numbers are listed for x86-64 only"
#endif

static __noinline int messages(int fd, __u64 vector, long count, __u32 flags)
{
	__u32 length;

	for (int i = 0; i < MAX_MESSAGES && i < count; i++) {
		length = 0;
		bpf_probe_read_user(&length, sizeof(length),
				    (const void *)(vector + sizeof(struct user_message)));
		message(fd, vector, length, flags);
		vector += MESSAGE_STRIDE;
	}
	return 0;
}

/* write: to a file, or to a socket. */
static __noinline int wrote(int fd, __u64 buffer, long count)
{
	struct file *file;
	__u32 mode;

	if (!in_scope())
		return 0;
	file = file_of(bpf_get_current_task_btf(), fd);
	mode = file ? mode_of(file) & S_IFMT : 0;
	if (mode == S_IFREG)
		return touch(file, RECORD_WRITE, count);
	return mode == S_IFSOCK ? datagram(fd, buffer, count, 0, 0) : 0;
}

static __always_inline int one_name(int base, __u64 path, __u32 kind, __u32 mode)
{
	struct names names = { .base = base, .path = path, .kind = kind, .mode = mode };

	return named(&names);
}

static __always_inline int two_names(int base, __u64 path, int base2, __u64 path2, __u32 kind)
{
	struct names names = {
		.base = base, .path = path, .base2 = base2, .path2 = path2, .kind = kind,
	};

	return named(&names);
}

static __noinline int named_call(struct pt_regs *regs, unsigned long number)
{
	switch (number) {
	case 87: /* unlink */
	case 84: /* rmdir */
		return one_name(AT_FDCWD, regs->di, RECORD_DELETE, 0);
	case 263: /* unlinkat */
		return one_name(regs->di, regs->si, RECORD_DELETE, 0);
	case 82: /* rename */
		return two_names(AT_FDCWD, regs->di, AT_FDCWD, regs->si, RECORD_RENAME);
	case 264: /* renameat */
	case 316: /* renameat2 */
		return two_names(regs->di, regs->si, regs->dx, regs->r10, RECORD_RENAME);
	case 86: /* link */
	case 88: /* symlink */
		return one_name(AT_FDCWD, regs->si, RECORD_LINK, 0);
	case 265: /* linkat */
		return one_name(regs->dx, regs->r10, RECORD_LINK, 0);
	case 266: /* symlinkat */
		return one_name(regs->si, regs->dx, RECORD_LINK, 0);
	case 83: /* mkdir */
	case 133: /* mknod */
		return one_name(AT_FDCWD, regs->di, RECORD_LINK, 0);
	case 258: /* mkdirat */
	case 259: /* mknodat */
		return one_name(regs->di, regs->si, RECORD_LINK, 0);
	case 76: /* truncate */
		return one_name(AT_FDCWD, regs->di, RECORD_TRUNCATE, 0);
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_system_call, struct pt_regs *regs, long result)
{
	unsigned long number = regs->orig_ax;
	__u64 flags = 0;

	/* 32-bit programs number their calls otherwise: unseen, and said so in the coverage. */
	if (bpf_get_current_task_btf()->thread_info.status & TS_COMPAT)
		return 0;
	switch (number) {
	case 2: /* open */
		return opened(result, regs->si);
	case 257: /* openat */
		return opened(result, regs->dx);
	case 85: /* creat */
		return opened(result, O_TRUNC);
	case 437: /* openat2 */
		bpf_probe_read_user(&flags, sizeof(flags), (const void *)regs->dx);
		return opened(result, flags);
	case 3: /* close */
		return closed(regs->di);
	case 1: /* write */
		return result > 0 ? wrote(regs->di, regs->si, result) : 0;
	case 18: /* pwrite64 */
	case 20: /* writev */
	case 296: /* pwritev */
	case 328: /* pwritev2 */
	case 40: /* sendfile */
		return result > 0 ? written(regs->di, result) : 0;
	case 326: /* copy_file_range */
	case 275: /* splice */
		return result > 0 ? written(regs->dx, result) : 0;
	case 77: /* ftruncate */
	case 285: /* fallocate */
		return result == 0 ? written(regs->di, 0) : 0;
	case 42: /* connect */
		return flow(regs->di, regs->si, result, RECORD_CONNECT);
	case 43: /* accept */
	case 288: /* accept4 */
		return result >= 0 ? flow(result, 0, 0, RECORD_ACCEPT) : 0;
	case 50: /* listen */
		return result == 0 ? flow(regs->di, 0, 0, RECORD_LISTEN) : 0;
	case 44: /* sendto */
		return datagram(regs->di, regs->si, result, regs->r8, 0);
	case 45: /* recvfrom */
		return datagram(regs->di, regs->si, result, regs->r8, FLAG_ANSWER);
	case 46: /* sendmsg */
		return message(regs->di, regs->si, result, 0);
	case 47: /* recvmsg */
		return message(regs->di, regs->si, result, FLAG_ANSWER);
	case 307: /* sendmmsg */
		return messages(regs->di, regs->si, result, 0);
	case 299: /* recvmmsg */
		return messages(regs->di, regs->si, result, FLAG_ANSWER);
	}
	return result == 0 ? named_call(regs, number) : 0;
}

char LICENSE[] SEC("license") = "GPL";
