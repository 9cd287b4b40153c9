/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The kernel's types, as far as they are used: each struct has only the members that are read.
 * The loader finds their real places in the running kernel's type information (CO-RE), so order
 * and size here mean nothing. No kernel header is needed to compile.
 */
#ifndef METSUKE_KERNEL_H
#define METSUKE_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef int pid_t;
typedef _Bool bool;
#define true 1
#define false 0
#ifndef NULL
#define NULL ((void *)0)
#endif

/* From the kernel's user-mode interface (linux/bpf.h). */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

#define AT_FDCWD (-100)
#define AF_INET 2
#define AF_INET6 10
#define AF_UNIX 1
#define AF_PACKET 17
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_TYPE_MASK 0xf
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define EISCONN 106
#define EALREADY 114
#define EINPROGRESS 115
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
/* Of a change time's nanoseconds: somebody has asked for it (Linux 6.13). */
#define I_CTIME_QUERIED (1u << 31)
#define FMODE_CREATED 0x100000
#define O_TRUNC 01000
#define O_UNNAMED 020000000 /* the bit of O_TMPFILE that is its own */
#define AT_SYMLINK_FOLLOW 0x400
#define MS_MOVE 8192
#define FS_IOC_SETFLAGS 0x40086602
#define FICLONE 0x40049409
#define FICLONERANGE 0x4020940d
#define S_IFBLK 0060000
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define SB_KERNMOUNT (1 << 22)
#define SIGNAL_GROUP_EXIT 0x4
#define TS_COMPAT 0x2
#define PIDTYPE_TGID 1
#define PIDTYPE_SID 3
#define SO_ATTACH_FILTER 26
#define SO_ATTACH_BPF 50
#define SO_ATTACH_REUSEPORT_EBPF 52
#define SOL_SOCKET 1
#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define MAP_ANONYMOUS 0x20
#define VM_GROWSDOWN 0x100
#define SIGCHLD 17
#define PF_KTHREAD 0x00200000
#define PERF_EVENT_IOC_SET_BPF 0x40042408
#define PROC_SUPER_MAGIC 0x9fa0
#define PIDFS_MAGIC 0x50494446
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define BINFMTFS_MAGIC 0x42494e4d

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long di, si, dx, r10, r8, r9, bx, cx, bp, orig_ax;
};

struct qstr {
	unsigned int len;
	const unsigned char *name;
};

struct super_block {
	unsigned int s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
};

typedef long long time64_t;

struct timespec64 {
	time64_t tv_sec;
	long tv_nsec;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	unsigned int i_rdev;
	long long i_size;
	void *i_private;
	time64_t i_mtime_sec; /* since Linux 6.11 */
	unsigned int i_mtime_nsec;
	time64_t i_ctime_sec;
	unsigned int i_ctime_nsec;
};

/* As it was before. */
struct inode___old {
	struct timespec64 i_mtime;
	struct timespec64 __i_ctime; /* since Linux 6.6 */
	struct timespec64 i_ctime;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path pwd;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct uts_namespace {
	struct ns_common ns;
};

struct ipc_namespace {
	struct ns_common ns;
};

struct cgroup_namespace {
	struct ns_common ns;
};

struct user_namespace {
	int level; /* of the first one: 0 */
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct cgroup_namespace *cgroup_ns;
};

struct upid {
	int nr;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

struct tty_driver {
	int major;
	int minor_start;
};

struct tty_struct {
	struct tty_driver *driver;
	int index;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
	struct pid *pids[4];
	struct tty_struct *tty;
	unsigned long maxrss;
	unsigned long long sum_sched_runtime;
};

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct group_info {
	int ngroups;
	kgid_t gid[1]; /* as many as that */
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
	struct {
		__u64 val;
	} cap_effective;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
	unsigned long start_brk, brk, start_stack;
	struct file *exe_file;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	struct anon_vma *anon_vma;
	struct file *vm_file;
};

struct seccomp {
	int mode;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct thread_info {
	unsigned int status;
};

struct task_struct {
	struct thread_info thread_info;
	struct mm_struct *mm;
	int exit_code;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	__u64 start_boottime;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct css_set *cgroups;
	kuid_t loginuid;
	unsigned int flags;
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	struct seccomp seccomp;
	struct sched_entity se;
};

struct kernel_siginfo {
	int si_code;
};

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned long skc_flags;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
};

struct inet_sock {
	__be16 inet_sport;
};

struct tcp_sock {
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u64 bytes_received;
};

struct socket {
	short type;
	struct sock *sk;
};

struct module {
	char name[56];
	unsigned long taints;
};

struct filename {
	const char *name;
};

struct io_cqe {
	__s32 res;
	int fd;
};

struct io_kiocb {
	struct file *file;
	__u8 opcode;
	__u64 flags;
	struct io_cqe cqe;
};

struct open_how {
	__u64 flags;
};

struct io_open {
	__u32 file_slot;
	struct open_how how;
};

struct io_close {
	int fd;
	__u32 file_slot;
};

struct io_unlink {
	int dfd;
	struct filename *filename;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
};

struct io_mkdir {
	int dfd;
	struct filename *filename;
};

struct io_link {
	int new_dfd;
	struct filename *newpath;
};

struct io_connect {
	void *addr;
};

#pragma clang attribute pop

#include "user.h"

#endif
