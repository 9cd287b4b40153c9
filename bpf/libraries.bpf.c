/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Calls of libraries (uprobes): logons by libpam, lines typed at a prompt of readline.
 *
 * An object of its own with its own queue: a kernel may refuse uprobes, and every tier can use it.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* What was called. */
#define CALL_AUTHENTICATE 1
#define CALL_ACCOUNT 2
#define CALL_OPEN 3
#define CALL_CLOSE 4
#define CALL_LINE 5
#define CALLS 6

#define MAX_LINE 4096

struct call_head {
	__u64 time;  /* nanoseconds since boot */
	__u64 start; /* of the process, nanoseconds since boot */
	__u32 pid;
	__u32 call;
	__s32 result;
	__u32 pad;
};

struct record_logon {
	struct call_head head;
	char service[64];
	char user[64];
	char remote_host[128];
	char remote_user[64];
	char terminal[64];
};

struct record_line {
	struct call_head head;
	char text[MAX_LINE];
};

/*
 * The first members of struct pam_handle of Linux-PAM: authtok, caller_is, pam_conversation,
 * oldauthtok, prompt, service_name, user, rhost, ruser, tty; unchanged since its version 1.0.
 */
#define PAM_SERVICE 40
#define PAM_USER 48
#define PAM_REMOTE_HOST 56
#define PAM_REMOTE_USER 64
#define PAM_TERMINAL 72

/* Registers at a call and its return; the flavour's ending is cut off by the loader. */
struct pt_regs___call {
	unsigned long di, ax;
} __attribute__((preserve_access_index));

/* Set before loading. */
struct scope {
	__u64 id;
	__u32 level; /* 0: the whole host */
	__u32 self;
};

const volatile struct scope scope SEC(".rodata.scope") = {};

/* Lines and logons are rare: this holds some sixty of the longest lines. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} calls_told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CALLS);
	__type(key, __u32);
	__type(value, __u64);
} calls_lost SEC(".maps");

struct open_call {
	__u64 handle;
	__u32 call;
	__u32 pad;
};

/* Calls that have not returned, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct open_call);
} open_calls SEC(".maps");

static __always_inline bool watched(void)
{
	if (scope.level && bpf_get_current_ancestor_cgroup_id(scope.level) != scope.id)
		return false;
	return bpf_get_current_pid_tgid() >> 32 != scope.self;
}

static __always_inline void fill(struct call_head *head, __u32 call, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	head->time = bpf_ktime_get_boot_ns();
	head->start = BPF_CORE_READ(task, group_leader, start_boottime);
	head->pid = bpf_get_current_pid_tgid() >> 32;
	head->call = call;
	head->result = result;
	head->pad = 0;
}

static __always_inline void lose(__u32 call)
{
	__u64 *count = bpf_map_lookup_elem(&calls_lost, &call);

	if (count)
		(*count)++;
}

static __always_inline int called(__u64 handle, __u32 call)
{
	struct open_call open = { .handle = handle, .call = call };
	__u64 thread = bpf_get_current_pid_tgid();

	if (watched())
		bpf_map_update_elem(&open_calls, &thread, &open, BPF_ANY);
	return 0;
}

SEC("uprobe")
int on_authenticate(struct pt_regs___call *regs)
{
	return called(regs->di, CALL_AUTHENTICATE);
}

SEC("uprobe")
int on_account(struct pt_regs___call *regs)
{
	return called(regs->di, CALL_ACCOUNT);
}

SEC("uprobe")
int on_open(struct pt_regs___call *regs)
{
	return called(regs->di, CALL_OPEN);
}

SEC("uprobe")
int on_close(struct pt_regs___call *regs)
{
	return called(regs->di, CALL_CLOSE);
}

#define TEXT(to, handle, offset)                                                                   \
	({                                                                                         \
		__u64 text = 0;                                                                    \
		(to)[0] = 0;                                                                       \
		bpf_probe_read_user(&text, sizeof(text), (const void *)((handle) + (offset)));     \
		if (text)                                                                          \
			bpf_probe_read_user_str((to), sizeof(to), (const void *)text);             \
	})

SEC("uretprobe")
int on_logon_return(struct pt_regs___call *regs)
{
	__u64 thread = bpf_get_current_pid_tgid(), handle;
	struct open_call *open = bpf_map_lookup_elem(&open_calls, &thread);
	struct record_logon *record;
	__u32 call;

	if (!open)
		return 0;
	handle = open->handle;
	call = open->call;
	bpf_map_delete_elem(&open_calls, &thread);
	record = bpf_ringbuf_reserve(&calls_told, sizeof(*record), 0);
	if (!record) {
		lose(call);
		return 0;
	}
	fill(&record->head, call, (int)regs->ax);
	TEXT(record->service, handle, PAM_SERVICE);
	TEXT(record->user, handle, PAM_USER);
	TEXT(record->remote_host, handle, PAM_REMOTE_HOST);
	TEXT(record->remote_user, handle, PAM_REMOTE_USER);
	TEXT(record->terminal, handle, PAM_TERMINAL);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("uretprobe")
int on_line(struct pt_regs___call *regs)
{
	struct record_line *record;
	__u64 line = regs->ax;

	if (!line || !watched())
		return 0;
	record = bpf_ringbuf_reserve(&calls_told, sizeof(*record), 0);
	if (!record) {
		lose(CALL_LINE);
		return 0;
	}
	record->text[0] = 0;
	fill(&record->head, CALL_LINE,
	     bpf_probe_read_user_str(record->text, sizeof(record->text), (const void *)line));
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
