/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * System calls: which are of interest, who handles them, and their arguments.
 *
 * Each call is one row: to watch another one, add its row; to add a group, see "System calls" in
 * docs/spec/bpf-records.md. Programs of 32 bits number their calls otherwise: rows give that number
 * too, and `read_call` brings both to one form. From 424 on the numbers are the same.
 */
#ifndef METSUKE_CALLS_H
#define METSUKE_CALLS_H

#include "shared.h"

#if !defined(__TARGET_ARCH_x86)
#error "system call numbers are listed for x86-64 only"
#endif

/* Numbers of system calls end below this; what is beyond (x32) is none of ours. */
#define CALL_NUMBERS 512
/* From here on numbers are the same for 32 and 64 bits. */
#define COMMON_NUMBERS 424
/* i386's call that carries the socket calls of old. */
#define I386_SOCKETCALL 102

enum group {
	GROUP_NONE,
	GROUP_HOT,     /* handled in place, decides about scope itself */
	GROUP_COMPAT,  /* 32-bit calls, brought to the common form */
	GROUP_NAMES,   /* operations on names of files */
	GROUP_NETWORK, /* sockets */
	GROUP_PROC,    /* writes to files of procfs and binfmt_misc */
	GROUP_PROCESS, /* who a process is, and what it does to others */
	GROUP_MEMORY,  /* executable memory, libraries */
	GROUP_KERNEL,  /* BPF, kexec, io_uring */
	GROUP_ATTRIBUTES, /* mode, owner, times, extended attributes and flags of files; mounts */
	GROUP_READ,       /* read: only from sockets that matter */
	GROUPS,
	/* With this bit: a call that failed is of no interest. */
	SUCCESS = 0x80,
};

/* Name, number of x86-64, number of i386, group. */
#define CALLS(row)                                                                                 \
	row(open, 2, 5, GROUP_HOT | SUCCESS)                                                       \
	row(openat, 257, 295, GROUP_HOT | SUCCESS)                                                 \
	row(creat, 85, 8, GROUP_HOT | SUCCESS)                                                     \
	row(close, 3, 6, GROUP_HOT)                                                                \
	row(write, 1, 4, GROUP_HOT | SUCCESS)                                                      \
	row(pwrite64, 18, 181, GROUP_HOT | SUCCESS)                                                \
	row(writev, 20, 146, GROUP_HOT | SUCCESS)                                                  \
	row(pwritev, 296, 334, GROUP_HOT | SUCCESS)                                                \
	row(pwritev2, 328, 379, GROUP_HOT | SUCCESS)                                               \
	row(sendfile, 40, 187, GROUP_HOT | SUCCESS)                                                \
	row(copy_file_range, 326, 377, GROUP_HOT | SUCCESS)                                        \
	row(splice, 275, 313, GROUP_HOT | SUCCESS)                                                 \
	row(ftruncate, 77, 93, GROUP_HOT | SUCCESS)                                                \
	row(fallocate, 285, 324, GROUP_HOT | SUCCESS)                                              \
	row(unlink, 87, 10, GROUP_NAMES | SUCCESS)                                                 \
	row(rmdir, 84, 40, GROUP_NAMES | SUCCESS)                                                  \
	row(unlinkat, 263, 301, GROUP_NAMES | SUCCESS)                                             \
	row(rename, 82, 38, GROUP_NAMES | SUCCESS)                                                 \
	row(renameat, 264, 302, GROUP_NAMES | SUCCESS)                                             \
	row(renameat2, 316, 353, GROUP_NAMES | SUCCESS)                                            \
	row(link, 86, 9, GROUP_NAMES | SUCCESS)                                                    \
	row(symlink, 88, 83, GROUP_NAMES | SUCCESS)                                                \
	row(linkat, 265, 303, GROUP_NAMES | SUCCESS)                                               \
	row(symlinkat, 266, 304, GROUP_NAMES | SUCCESS)                                            \
	row(mkdir, 83, 39, GROUP_NAMES | SUCCESS)                                                  \
	row(mknod, 133, 14, GROUP_NAMES | SUCCESS)                                                 \
	row(mkdirat, 258, 296, GROUP_NAMES | SUCCESS)                                              \
	row(mknodat, 259, 297, GROUP_NAMES | SUCCESS)                                              \
	row(truncate, 76, 92, GROUP_NAMES | SUCCESS)                                               \
	row(chmod, 90, 15, GROUP_ATTRIBUTES | SUCCESS)                                             \
	row(fchmod, 91, 94, GROUP_ATTRIBUTES | SUCCESS)                                            \
	row(fchmodat, 268, 306, GROUP_ATTRIBUTES | SUCCESS)                                        \
	row(chown, 92, 212, GROUP_ATTRIBUTES | SUCCESS)                                            \
	row(fchown, 93, 207, GROUP_ATTRIBUTES | SUCCESS)                                           \
	row(lchown, 94, 198, GROUP_ATTRIBUTES | SUCCESS)                                           \
	row(fchownat, 260, 298, GROUP_ATTRIBUTES | SUCCESS)                                        \
	row(setxattr, 188, 226, GROUP_ATTRIBUTES | SUCCESS)                                        \
	row(lsetxattr, 189, 227, GROUP_ATTRIBUTES | SUCCESS)                                       \
	row(fsetxattr, 190, 228, GROUP_ATTRIBUTES | SUCCESS)                                       \
	row(removexattr, 197, 235, GROUP_ATTRIBUTES | SUCCESS)                                     \
	row(lremovexattr, 198, 236, GROUP_ATTRIBUTES | SUCCESS)                                    \
	row(fremovexattr, 199, 237, GROUP_ATTRIBUTES | SUCCESS)                                    \
	row(mount, 165, 21, GROUP_ATTRIBUTES | SUCCESS)                                            \
	row(umount2, 166, 52, GROUP_ATTRIBUTES | SUCCESS)                                          \
	row(pivot_root, 155, 217, GROUP_ATTRIBUTES | SUCCESS)                                      \
	row(connect, 42, 362, GROUP_NETWORK)                                                       \
	row(accept4, 288, 364, GROUP_NETWORK | SUCCESS)                                            \
	row(bind, 49, 361, GROUP_NETWORK | SUCCESS)                                                \
	row(socket, 41, 359, GROUP_HOT | SUCCESS)                                                  \
	row(read, 0, 3, GROUP_READ | SUCCESS)                                                      \
	row(listen, 50, 363, GROUP_NETWORK | SUCCESS)                                              \
	row(sendto, 44, 369, GROUP_NETWORK | SUCCESS)                                              \
	row(recvfrom, 45, 371, GROUP_NETWORK | SUCCESS)                                            \
	row(setuid, 105, 213, GROUP_PROCESS | SUCCESS)                                             \
	row(setgid, 106, 214, GROUP_PROCESS | SUCCESS)                                             \
	row(setreuid, 113, 203, GROUP_PROCESS | SUCCESS)                                           \
	row(setregid, 114, 204, GROUP_PROCESS | SUCCESS)                                           \
	row(setresuid, 117, 208, GROUP_PROCESS | SUCCESS)                                          \
	row(setresgid, 119, 210, GROUP_PROCESS | SUCCESS)                                          \
	row(setfsuid, 122, 215, GROUP_PROCESS | SUCCESS)                                           \
	row(setfsgid, 123, 216, GROUP_PROCESS | SUCCESS)                                           \
	row(setgroups, 116, 206, GROUP_PROCESS | SUCCESS)                                          \
	row(capset, 126, 185, GROUP_PROCESS | SUCCESS)                                             \
	row(unshare, 272, 310, GROUP_PROCESS | SUCCESS)                                            \
	row(setns, 308, 346, GROUP_PROCESS | SUCCESS)                                              \
	row(ptrace, 101, 26, GROUP_PROCESS | SUCCESS)                                              \
	row(process_vm_readv, 310, 347, GROUP_PROCESS | SUCCESS)                                   \
	row(process_vm_writev, 311, 348, GROUP_PROCESS | SUCCESS)                                  \
	row(mmap, 9, 192, GROUP_HOT | SUCCESS)                                                     \
	row(mprotect, 10, 125, GROUP_HOT | SUCCESS)                                                \
	row(pkey_mprotect, 329, 380, GROUP_HOT | SUCCESS)                                          \
	row(memfd_create, 319, 356, GROUP_MEMORY | SUCCESS)                                        \
	row(bpf, 321, 357, GROUP_KERNEL | SUCCESS)                                                 \
	row(ioctl, 16, 54, GROUP_HOT | SUCCESS)                                                    \
	row(setsockopt, 54, 366, GROUP_HOT | SUCCESS)                                              \
	row(kexec_load, 246, 283, GROUP_KERNEL)

/* Without another number for i386: there is none, its number is the same, or its layout differs. */
#define CALLS_64(row)                                                                              \
	row(openat2, 437, GROUP_HOT | SUCCESS)                                                     \
	row(fchmodat2, 452, GROUP_ATTRIBUTES | SUCCESS)                                            \
	row(utime, 132, GROUP_ATTRIBUTES | SUCCESS)                                                \
	row(utimes, 235, GROUP_ATTRIBUTES | SUCCESS)                                               \
	row(futimesat, 261, GROUP_ATTRIBUTES | SUCCESS)                                            \
	row(utimensat, 280, GROUP_ATTRIBUTES | SUCCESS)                                            \
	row(move_mount, 429, GROUP_ATTRIBUTES | SUCCESS)                                           \
	row(open_by_handle_at, 304, GROUP_HOT | SUCCESS)                                           \
	row(accept, 43, GROUP_NETWORK | SUCCESS)                                                   \
	row(sendmsg, 46, GROUP_NETWORK | SUCCESS)                                                  \
	row(recvmsg, 47, GROUP_NETWORK | SUCCESS)                                                  \
	row(sendmmsg, 307, GROUP_NETWORK | SUCCESS)                                                \
	row(recvmmsg, 299, GROUP_NETWORK | SUCCESS)                                                \
	row(pidfd_getfd, 438, GROUP_PROCESS | SUCCESS)                                             \
	row(memfd_secret, 447, GROUP_MEMORY | SUCCESS)                                             \
	row(io_uring_setup, 425, GROUP_KERNEL | SUCCESS)                                           \
	row(kexec_file_load, 320, GROUP_KERNEL)

/* Further numbers that i386 has for a call: name, number. */
#define CALLS_ALSO(row)                                                                            \
	row(sendfile, 239)                                                                         \
	row(truncate, 193)                                                                         \
	row(ftruncate, 194)                                                                        \
	row(setuid, 23)                                                                            \
	row(setgid, 46)                                                                            \
	row(setreuid, 70)                                                                          \
	row(setregid, 71)                                                                          \
	row(setresuid, 164)                                                                        \
	row(setresgid, 170)                                                                        \
	row(setfsuid, 138)                                                                         \
	row(setfsgid, 139)                                                                         \
	row(setgroups, 81)

enum call_number {
#define ROW(name, number, ...) CALL_##name = number,
	CALLS(ROW) CALLS_64(ROW)
#undef ROW
};

static const __u8 wanted[CALL_NUMBERS] = {
#define ROW(name, number, i386, group) [number] = (group),
#define ROW_64(name, number, group) [number] = (group),
	CALLS(ROW) CALLS_64(ROW_64)
#undef ROW
#undef ROW_64
};

static const __u16 from_i386[COMMON_NUMBERS] = {
#define ROW(name, number, i386, group) [i386] = number,
#define ROW_ALSO(name, i386) [i386] = CALL_##name,
	CALLS(ROW) CALLS_ALSO(ROW_ALSO)
#undef ROW
#undef ROW_ALSO
};

/* i386's socketcall: what its first argument stands for. */
#define SOCKET_CALLS 20
static const __u16 from_socketcall[SOCKET_CALLS] = {
	[1] = CALL_socket, [2] = CALL_bind, [3] = CALL_connect, [4] = CALL_listen,
	[5] = CALL_accept, [11] = CALL_sendto, [12] = CALL_recvfrom, [14] = CALL_setsockopt,
	[18] = CALL_accept4,
};

/* A system call that has returned. */
struct call {
	unsigned long number; /* of x86-64; ~0 for one that has none */
	__u64 a, b, c, d, e, f;
	long result;
	bool compat;
};

static __always_inline bool is_compat(void)
{
	return bpf_get_current_task_btf()->thread_info.status & TS_COMPAT;
}

static __noinline int read_socketcall(struct call *call)
{
	__u32 arguments[6] = {};

	if (!call)
		return 0;
	call->number = call->a < SOCKET_CALLS ? from_socketcall[call->a] : 0;
	if (!call->number) {
		call->number = ~0ul;
		return 0;
	}
	/* Fewer than six may be readable at the end of a page: what is asked for then is the first. */
	if (bpf_probe_read_user(arguments, 24, (const void *)call->b))
		bpf_probe_read_user(arguments, 12, (const void *)call->b);
	call->a = arguments[0];
	call->b = arguments[1];
	call->c = arguments[2];
	call->d = arguments[3];
	call->e = arguments[4];
	call->f = arguments[5];
	return 0;
}

static __always_inline void read_call(struct call *call, struct pt_regs *regs, long result)
{
	call->result = result;
	call->number = regs->orig_ax;
	call->compat = is_compat();
	if (!call->compat) {
		call->a = regs->di;
		call->b = regs->si;
		call->c = regs->dx;
		call->d = regs->r10;
		call->e = regs->r8;
		call->f = regs->r9;
		return;
	}
	call->a = (__u32)regs->bx;
	call->b = (__u32)regs->cx;
	call->c = (__u32)regs->dx;
	call->d = (__u32)regs->si;
	call->e = (__u32)regs->di;
	call->f = (__u32)regs->bp;
	call->result = (int)result;
	if (call->number == I386_SOCKETCALL)
		read_socketcall(call);
	else if (call->number < COMMON_NUMBERS)
		call->number = from_i386[call->number] ?: ~0ul;
}

#endif
