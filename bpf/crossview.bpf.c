/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * What the kernel itself knows: iterators over tasks, open sockets, TCP, UDP and Unix sockets, BPF
 * programs, maps and links, and modules' symbols. Read by crates/crossview and compared with what
 * user mode is told. Each program can be loaded alone; a kernel without one iterator keeps the rest.
 *
 * The kernel's types stand here, as far as they are used (CO-RE): this object shares nothing with
 * the probe's.
 */
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
typedef _Bool bool;
enum { BPF_MAP_TYPE_HASH = 1 };
enum bpf_prog_type { BPF_PROG_TYPE_UNSPEC };
enum bpf_map_type { BPF_MAP_TYPE_UNSPEC };
enum bpf_link_type { BPF_LINK_TYPE_UNSPEC };
#define NULL ((void *)0)
#define AF_INET6 10
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block { unsigned int s_dev; };
struct inode { unsigned long i_ino; unsigned int i_nlink; struct super_block *i_sb; };
struct qstr { const unsigned char *name; };
struct dentry { struct qstr d_name; };
struct path { struct dentry *dentry; };
struct file { struct inode *f_inode; struct path f_path; };
struct mm_struct { struct file *exe_file; };
struct kernfs_node { __u64 id; };
struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };
struct task_struct {
	int pid;
	int tgid;
	int exit_state;
	__u64 start_boottime;
	struct mm_struct *mm;
	struct css_set *cgroups;
	char comm[16];
};

struct ns_common { unsigned int inum; };
struct net { struct ns_common ns; };
typedef struct { struct net *net; } possible_net_t;
struct in6_addr { __u8 in6_u[16]; };
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};
struct socket { struct sock *sk; };
struct socket_alloc { struct socket socket; struct inode vfs_inode; };
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	struct socket *sk_socket;
};
struct udp_sock;
struct unix_sock;

struct bpf_prog_aux { __u32 id; char name[16]; };
struct bpf_prog { enum bpf_prog_type type; struct bpf_prog_aux *aux; };
struct bpf_map { enum bpf_map_type map_type; __u32 id; char name[16]; };
struct bpf_link { __u32 id; enum bpf_link_type type; struct bpf_prog *prog; };
struct kallsym_iter { char module_name[56]; };

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; };
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};
struct bpf_iter__tcp { struct bpf_iter_meta *meta; struct sock_common *sk_common; };
struct bpf_iter__udp { struct bpf_iter_meta *meta; struct udp_sock *udp_sk; };
struct bpf_iter__unix { struct bpf_iter_meta *meta; struct unix_sock *unix_sk; };
struct bpf_iter__bpf_prog { struct bpf_iter_meta *meta; struct bpf_prog *prog; };
struct bpf_iter__bpf_map { struct bpf_iter_meta *meta; struct bpf_map *map; };
struct bpf_iter__bpf_link { struct bpf_iter_meta *meta; struct bpf_link *link; };
struct bpf_iter__ksym { struct bpf_iter_meta *meta; struct kallsym_iter *ksym; };

#pragma clang attribute pop

/* What goes to user mode; crates/crossview/src/kernel/record.rs reads the same layouts. */
struct record_task {
	__u64 start_ns;
	__u64 cgroup;
	__u64 exe_inode;
	__u32 pid;
	__u32 exe_links;
	__u32 is_kernel;
	__u32 exit_state;
	char comm[16];
	char exe[64];
};

struct record_socket {
	__u64 inode;
	__u64 cgroup;
	__u64 start_ns;
	__u32 netns;
	__u32 pid;
	__u16 family;
	__u16 type;
	__u16 protocol;
	__u16 state;
	__u16 local_port;
	__u16 remote_port;
	__u32 zero;
	__u8 local[16];
	__u8 remote[16];
	char comm[16];
};

struct record_object {
	__u32 id;
	__u32 type;
	__u32 program;
	__u32 zero;
	char name[16];
};

struct record_module {
	char name[56];
};

static __always_inline __u64 cgroup_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

SEC("iter/task")
int on_task(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct record_task record = {};
	struct file *exe;
	struct mm_struct *mm;

	if (!task || task->pid != task->tgid)
		return 0;
	record.pid = task->tgid;
	record.start_ns = task->start_boottime;
	record.cgroup = cgroup_of(task);
	record.exit_state = task->exit_state;
	bpf_probe_read_kernel(record.comm, sizeof(record.comm), task->comm);
	mm = BPF_CORE_READ(task, mm);
	record.is_kernel = mm ? 0 : 1;
	exe = mm ? BPF_CORE_READ(mm, exe_file) : NULL;
	if (exe) {
		record.exe_inode = BPF_CORE_READ(exe, f_inode, i_ino);
		record.exe_links = BPF_CORE_READ(exe, f_inode, i_nlink);
		bpf_probe_read_kernel_str(record.exe, sizeof(record.exe),
					  BPF_CORE_READ(exe, f_path.dentry, d_name.name));
	}
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

static __always_inline void fill_socket(struct record_socket *record, struct sock *sk)
{
	struct socket_alloc *alloc;

	record->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	record->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	record->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	record->type = BPF_CORE_READ(sk, sk_type);
	record->protocol = BPF_CORE_READ(sk, sk_protocol);
	record->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	record->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (record->family == AF_INET6) {
		BPF_CORE_READ_INTO(&record->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&record->remote, sk, __sk_common.skc_v6_daddr);
	} else {
		BPF_CORE_READ_INTO((__be32 *)record->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__be32 *)record->remote, sk, __sk_common.skc_daddr);
	}
	/* A socket's file system node lies behind it in one piece of memory (SOCK_INODE). */
	alloc = (struct socket_alloc *)BPF_CORE_READ(sk, sk_socket);
	if (alloc)
		record->inode = BPF_CORE_READ(alloc, vfs_inode.i_ino);
}

SEC("iter/task_file")
int on_open_socket(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct record_socket record = {};
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	fill_socket(&record, sk);
	record.pid = task->tgid;
	record.start_ns = task->start_boottime;
	record.cgroup = cgroup_of(task);
	bpf_probe_read_kernel(record.comm, sizeof(record.comm), task->comm);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/tcp")
int on_tcp(struct bpf_iter__tcp *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct sock_common *common = ctx->sk_common;
	struct record_socket record = {};
	unsigned char state;

	if (!common)
		return 0;
	state = common->skc_state;
	/* These two are no full sockets and belong to nobody. */
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return 0;
	fill_socket(&record, (struct sock *)common);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/udp")
int on_udp(struct bpf_iter__udp *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct record_socket record = {};

	if (!sk)
		return 0;
	fill_socket(&record, sk);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/unix")
int on_unix(struct bpf_iter__unix *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct sock *sk = (struct sock *)ctx->unix_sk;
	struct record_socket record = {};

	if (!sk)
		return 0;
	fill_socket(&record, sk);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/bpf_prog")
int on_bpf_prog(struct bpf_iter__bpf_prog *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_prog *prog = ctx->prog;
	struct record_object record = {};

	if (!prog)
		return 0;
	record.id = prog->aux->id;
	record.type = prog->type;
	BPF_CORE_READ_STR_INTO(&record.name, prog, aux, name);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/bpf_map")
int on_bpf_map(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	struct record_object record = {};

	if (!map)
		return 0;
	record.id = map->id;
	record.type = map->map_type;
	BPF_CORE_READ_STR_INTO(&record.name, map, name);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/bpf_link")
int on_bpf_link(struct bpf_iter__bpf_link *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_link *link = ctx->link;
	struct record_object record = {};

	if (!link)
		return 0;
	record.id = link->id;
	record.type = link->type;
	record.program = BPF_CORE_READ(link, prog, aux, id);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("iter/ksym")
int on_ksym(struct bpf_iter__ksym *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct kallsym_iter *symbol = ctx->ksym;
	struct record_module record = {};

	if (!symbol)
		return 0;
	BPF_CORE_READ_STR_INTO(&record.name, symbol, module_name);
	if (record.name[0])
		bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
