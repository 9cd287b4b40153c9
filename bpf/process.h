/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Fork, exec, exit and moves between control groups. */
#ifndef METSUKE_PROCESS_H
#define METSUKE_PROCESS_H

#include "sockets.h"
#include "identity.h"

/* What a descriptor is; user mode names these. */
enum stream { STREAM_CLOSED, STREAM_TTY, STREAM_PIPE, STREAM_SOCKET, STREAM_FILE, STREAM_NULL };

static __always_inline __u32 session_of(struct task_struct *task)
{
	struct pid *session = READ(struct signal_struct, TASK(task, signal), pids[PIDTYPE_SID]);

	return READ(struct pid, session, numbers[0].nr);
}

static __always_inline __u64 group_of(struct task_struct *task)
{
	struct cgroup *group = READ(struct css_set, TASK(task, cgroups), dfl_cgrp);

	return READ(struct kernfs_node, READ(struct cgroup, group, kn), id);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct scratch *space = scratch();
	struct task_struct *origin;
	struct record_fork *record;

	/* A new thread is no new process. */
	if (!space || child->pid != child->tgid)
		return 0;
	if (!group_in_scope(READ(struct css_set, TASK(child, cgroups), dfl_cgrp)))
		return 0;
	record = (struct record_fork *)space->data;
	fill_head(&record->head, child, RECORD_FORK);
	origin = TASK(child, real_parent);
	record->parent = TASK(origin, tgid);
	record->parent_start = READ(struct task_struct, TASK(origin, group_leader), start_boottime);
	record->cgroup = group_of(child);
	record->session = session_of(child);
	/* In a group of its own from the start: the group may be gone with it. */
	send_by(&record->head, sizeof(*record), record->cgroup != group_of(parent));
	if (TASK(child, nsproxy) != TASK(parent, nsproxy) || READ(struct cred, TASK(child, cred), user_ns) !=
						 READ(struct cred, TASK(parent, cred), user_ns))
		tell_change(child, RECORD_NAMESPACE, CLONE, 0);
	return 0;
}

static __always_inline __u32 stream_of(struct task_struct *task, int fd)
{
	struct file *file = file_of(task, fd);
	__u32 device, mode;

	if (!file)
		return STREAM_CLOSED;
	mode = mode_of(file) & S_IFMT;
	if (mode == S_IFSOCK)
		return STREAM_SOCKET;
	if (mode == S_IFIFO)
		return STREAM_PIPE;
	if (mode != S_IFCHR)
		return STREAM_FILE;
	device = READ(struct inode, inode_of(file), i_rdev);
	if (device == (1 << 20 | 3))
		return STREAM_NULL;
	device >>= 20;
	return device == 4 || device == 5 || (device >= 136 && device <= 143) ? STREAM_TTY
									      : STREAM_FILE;
}

static __always_inline void fill_ids(struct record_exec *record, struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);

	record->parent = BPF_CORE_READ(parent, tgid);
	record->parent_start = BPF_CORE_READ(parent, group_leader, start_boottime);
	record->cgroup = group_of(task);
	record->session = session_of(task);
	record->euid = BPF_CORE_READ(cred, euid.val);
	record->gid = BPF_CORE_READ(cred, gid.val);
	bpf_probe_read_kernel(&record->capabilities, sizeof(record->capabilities),
			      &cred->cap_effective);
	record->login_uid = ~0u;
	if (bpf_core_field_exists(task->loginuid))
		record->login_uid = BPF_CORE_READ(task, loginuid.val);
	record->tty = 0;
	if (tty)
		record->tty = BPF_CORE_READ(tty, driver, major) << 20 |
			      (BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index));
	record->pid_namespace = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum);
	record->mount_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	record->network_namespace = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	record->user_namespace = BPF_CORE_READ(cred, user_ns, ns.inum);
	record->cgroup_namespace = BPF_CORE_READ(task, nsproxy, cgroup_ns, ns.inum);
	record->uts_namespace = BPF_CORE_READ(task, nsproxy, uts_ns, ns.inum);
	record->ipc_namespace = BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum);
	record->seccomp = 0;
	if (bpf_core_field_exists(task->seccomp))
		record->seccomp = BPF_CORE_READ(task, seccomp.mode);
	record->stdio = stream_of(task, 0) | stream_of(task, 1) << 8;
	bpf_probe_read_kernel_str(record->name, sizeof(record->name), &task->comm);
}

/*
 * The layer of an overlay that a file lies in. The overlay's own inode holds the kernel's, and after
 * it the entry of the upper layer, if there is one (struct ovl_inode, Linux 4.8 to 6.18).
 */
static __always_inline __u16 layer_of(struct inode *inode)
{
	void *upper = NULL;

	bpf_probe_read_kernel(&upper, sizeof(upper),
			      (void *)inode + bpf_core_type_size(struct inode));
	return upper ? FLAG_UPPER : FLAG_LOWER;
}

/* A walk through an environment. */
struct variables {
	struct scratch *space;
	__u64 from, end;
	__u32 start;
	__u32 cut;
};

/* In what put_environment gives: variables may be missing. Beyond ROOM. */
#define ENV_CUT 0x8000

/* Keeps a variable that changes what a program loads; 1 at the end. */
static long next_variable(__u32 index, void *data)
{
	struct variables *left = data;
	struct scratch *space = left->space;
	__u32 at = space->at;
	__u8 *text;
	long length;

	if (left->from >= left->end || at + MAX_VARIABLE > left->start + MAX_ENV)
		return 1;
	at &= ROOM;
	text = &space->data[at];
	length = bpf_probe_read_user_str(text, PIECE, (const void *)left->from);
	if (length <= 0)
		return 1;
	/* The rest of one that is longer than was read begins like none that is kept. */
	left->from += length < PIECE ? length : PIECE - 1;
	if (text[0] != 'L' || text[1] != 'D' || text[2] != '_')
		return 0;
	if (length > MAX_VARIABLE) {
		length = MAX_VARIABLE;
		left->cut = 1;
		text[MAX_VARIABLE - 1] = 0;
	}
	space->at = at + length;
	return 0;
}

/*
 * Appends the variables that begin with `LD_`, each with its NUL; with ENV_CUT when the environment has
 * more than MAX_VARIABLES, or more of these than MAX_ENV bytes, or one longer than MAX_VARIABLE: what
 * stands first can hide what comes after, but not that something may be hidden.
 */
static __noinline __u32 put_environment(struct scratch *space, __u32 at, __u64 from, __u64 end)
{
	struct variables left = { .from = from, .end = end, .start = at };

	if (!space)
		return at;
	left.space = space;
	space->at = at;
	bpf_loop(MAX_VARIABLES, next_variable, &left, 0);
	at = space->at & ROOM;
	return left.cut || left.from < left.end ? at | ENV_CUT : at;
}

static __always_inline __u64 changed_of(struct inode *inode)
{
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec))
		return READ(struct inode, inode, i_ctime_sec) * 1000000000ULL +
		       (READ(struct inode, inode, i_ctime_nsec) & ~I_CTIME_QUERIED);
	if (bpf_core_field_exists(old->__i_ctime))
		return BPF_CORE_READ(old, __i_ctime.tv_sec) * 1000000000ULL +
		       BPF_CORE_READ(old, __i_ctime.tv_nsec);
	return BPF_CORE_READ(old, i_ctime.tv_sec) * 1000000000ULL +
	       BPF_CORE_READ(old, i_ctime.tv_nsec);
}

/*
 * Executables whose content user mode knows, and that run no scripts. As many as it remembers; one
 * without room here is told at once each time.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct content_key);
	__type(value, __u8);
} known_executables SEC(".maps");

/*
 * Whether an execution can wait for user mode's next round: nothing of it has to be read while it
 * runs. A file in memory, a script, another mount namespace, or an environment that was not read
 * whole may be gone a moment later; an overlay's inode does not tell of all that changes below it.
 */
static __always_inline bool can_wait(struct record_exec *record)
{
	struct content_key key = {
		.inode = record->inode,
		.changed = record->changed,
		.length = record->length,
		.device = record->device,
	};

	if (record->head.flags & (FLAG_MEMORY | FLAG_GONE | FLAG_SCRIPT | FLAG_UPPER | FLAG_LOWER |
				  FLAG_ENV_CUT) ||
	    record->mount_namespace != config.own_mounts)
		return false;
	return bpf_map_lookup_elem(&known_executables, &key);
}

static __always_inline void fill_executable(struct record_exec *record, struct linux_binprm *bprm)
{
	struct inode *inode = BPF_CORE_READ(bprm, file, f_inode);

	record->inode = BPF_CORE_READ(inode, i_ino);
	record->device = BPF_CORE_READ(inode, i_sb, s_dev);
	record->changed = changed_of(inode);
	record->length = READ(struct inode, inode, i_size);
	if (BPF_CORE_READ(inode, i_sb, s_flags) & SB_KERNMOUNT)
		record->head.flags |= FLAG_MEMORY;
	if (BPF_CORE_READ(inode, i_nlink) == 0)
		record->head.flags |= FLAG_GONE;
	if (BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_SUPER_MAGIC)
		record->head.flags |= layer_of(inode);
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		record->head.flags |= FLAG_SCRIPT;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct scratch *space = scratch();
	struct record_exec *record;
	__u32 at = sizeof(*record), next;
	__u64 from, end, length;

	if (!space || !in_scope())
		return 0;
	record = (struct record_exec *)space->data;
	fill_head(&record->head, task, RECORD_EXEC);
	fill_ids(record, task);
	fill_executable(record, bprm);

	next = put_path(space, at, BPF_CORE_READ(bprm, file, f_path.dentry),
			BPF_CORE_READ(bprm, file, f_path.mnt));
	record->exe = next - at;
	at = next;
	next = put_path(space, at, BPF_CORE_READ(task, fs, pwd.dentry),
			BPF_CORE_READ(task, fs, pwd.mnt));
	record->cwd = next - at;
	at = next;
	if (record->head.flags & FLAG_SCRIPT)
		next = put_kernel(space, at, BPF_CORE_READ(bprm, filename));
	record->script = next - at;
	at = next;
	from = BPF_CORE_READ(task, mm, arg_start);
	length = BPF_CORE_READ(task, mm, arg_end) - from;
	if (length > MAX_ARGS)
		record->head.flags |= FLAG_CUT;
	next = put_bytes(space, at, from, length, MAX_ARGS);
	record->args = next - at;
	at = next;
	from = BPF_CORE_READ(task, mm, env_start);
	end = BPF_CORE_READ(task, mm, env_end);
	record->environment[0] = from;
	record->environment[1] = end;
	next = put_environment(space, at, from, end);
	if (next & ENV_CUT)
		record->head.flags |= FLAG_ENV_CUT;
	next &= ROOM;
	record->env = next - at;
	send_by(&record->head, next, !can_wait(record));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct record_exit record = {};
	int status;

	/* Only the last thread ends the process. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0 || !in_scope())
		return 0;
	*writing_of(bpf_get_current_pid_tgid()) = 0;
	*reading_of(bpf_get_current_pid_tgid()) = 0;
	status = BPF_CORE_READ(task, exit_code);
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		status = BPF_CORE_READ(task, signal, group_exit_code);
	fill_head(&record.head, task, RECORD_EXIT);
	record.status = status;
	record.cpu = BPF_CORE_READ(task, signal, sum_sched_runtime) +
		     BPF_CORE_READ(task, se.sum_exec_runtime);
	record.peak = BPF_CORE_READ(task, signal, maxrss);
	send(&record.head, sizeof(record));
	return 0;
}

/*
 * The name of a control group comes with its making: that of a service which ends at once is gone
 * before user mode can ask for it.
 */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_group, struct cgroup *group, const char *path)
{
	struct scratch *space = scratch();
	struct record_group *record;
	long length;

	if (!space || !group_is_unified(group) || !group_in_scope(group))
		return 0;
	record = (struct record_group *)space->data;
	length = bpf_probe_read_kernel_str(record->path, sizeof(record->path), path);
	/* One that fills its room may have been cut; user mode asks for it then. */
	if (length <= 0 || length >= MAX_GROUP)
		return 0;
	fill_head(&record->head, (struct task_struct *)bpf_get_current_task_btf(), RECORD_GROUP);
	record->cgroup = READ(struct kernfs_node, READ(struct cgroup, group, kn), id);
	record->length = length;
	record->pad = 0;
	send(&record->head, offsetof(struct record_group, path) + (__u32)length);
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_move, struct cgroup *group, const char *path, struct task_struct *task)
{
	struct record_exit record = {};

	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid) || !group_in_scope(group))
		return 0;
	fill_head(&record.head, task, RECORD_MOVED);
	send_by(&record.head, sizeof(record), true);
	return 0;
}

#endif
