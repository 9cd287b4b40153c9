/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Whose a socket is, from its first use to its end: bytes, duration, late refusals. */
#ifndef METSUKE_SOCKETS_H
#define METSUKE_SOCKETS_H

#include "file.h"

#define TCP_SYN_SENT 2
#define TCP_CLOSE 7
/* In sock_common's flags: the other end has said that it is done, which counts as a byte. */
#define FLAG_SOCK_DONE 2

/* Writes at the beginning of a flow that are looked at for a TLS greeting: after a proxy's or a
 * mail server's preamble there are a few. */
#define MAX_LOOKS 8

/* A TCP socket of a process in scope. */
struct owner {
	__u64 start; /* of the process */
	__u64 opened;
	__u32 pid;
	__u32 uid;
	__u16 outgoing;
	__u16 pending; /* connect returned before the other end answered */
	__u32 looks;
};

/*
 * By the socket's address, which the kernel gives to another one only after the end was seen. When
 * there is no room the flow's end is not told, and counted as lost.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct owner);
} owners SEC(".maps");

/* Sockets of datagrams, by address; deleted by user mode when it tells their end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct datagrams);
} datagram_sockets SEC(".maps");

/* Descriptors of those, so that their close is seen. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u64);
} datagram_descriptors SEC(".maps");

/* Ends of flows, one entry per process and other end since user mode last took it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct flow_key);
	__type(value, struct end_sum);
} ends SEC(".maps");

/*
 * How many sockets whose reads matter there are by the lowest bits of a process's id (see `writing`
 * in file.h): DNS over TCP, and datagrams. All other reads leave after this glance.
 */
__u32 reading[WRITER_SLOTS];

static __always_inline __u32 *reading_of(__u64 pid_tgid)
{
	return &reading[(pid_tgid >> 32) & (WRITER_SLOTS - 1)];
}

/* Both ends as the socket knows them; false for families other than IP. */
static __always_inline bool fill_ends(struct record_flow *record, struct sock *sk)
{
	__be32 address;

	record->family = READ(struct sock, sk, __sk_common.skc_family);
	record->local_port = READ(struct sock, sk, __sk_common.skc_num);
	record->remote_port = __builtin_bswap16(READ(struct sock, sk, __sk_common.skc_dport));
	record->protocol = READ(struct sock, sk, sk_protocol);
	if (record->family == AF_INET) {
		address = READ(struct sock, sk, __sk_common.skc_rcv_saddr);
		__builtin_memcpy(record->local, &address, sizeof(address));
		address = READ(struct sock, sk, __sk_common.skc_daddr);
		__builtin_memcpy(record->remote, &address, sizeof(address));
		return true;
	}
	if (record->family != AF_INET6)
		return false;
	bpf_probe_read_kernel(record->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
	bpf_probe_read_kernel(record->remote, 16, &sk->__sk_common.skc_v6_daddr);
	return true;
}

static __always_inline void fill_flow_key(struct flow_key *key, struct record_flow *record,
					  __u32 pid, __u16 kind, bool outgoing, bool incoming)
{
	__builtin_memcpy(key->remote, record->remote, 16);
	key->pid = pid;
	key->remote_port = incoming ? 0 : record->remote_port;
	key->local_port = outgoing ? 0 : record->local_port;
	key->protocol = record->protocol;
	key->kind = kind;
}

/* The current process has taken `sk` in hand. */
static __always_inline void own(struct sock *sk, bool outgoing)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct owner owner = {};
	__u64 at = (__u64)sk;

	owner.start = READ(struct task_struct, TASK(task, group_leader), start_boottime);
	owner.opened = bpf_ktime_get_boot_ns();
	owner.pid = task->tgid;
	owner.uid = READ(struct cred, TASK(task, cred), uid.val);
	owner.outgoing = outgoing;
	if (bpf_map_update_elem(&owners, &at, &owner, BPF_ANY))
		count_lost(RECORD_FLOW_END);
}

/* The end of a flow: the first one of a process with another end is sent, others are summed up. */
static __always_inline void tell_end(struct record_end *record, bool outgoing)
{
	struct end_sum *sum, first = {};
	struct flow_key key = {};

	fill_flow_key(&key, &record->flow, record->flow.head.pid, RECORD_FLOW_END, outgoing,
		      !outgoing);
	/* Told apart: the same other end may be called and call. */
	key.kind = outgoing ? RECORD_CONNECT : RECORD_ACCEPT;
	sum = bpf_map_lookup_elem(&ends, &key);
	if (sum) {
		__sync_fetch_and_add(&sum->operations, 1);
		__sync_fetch_and_add(&sum->sent, record->end.sent);
		__sync_fetch_and_add(&sum->received, record->end.received);
		if (record->end.lasted > sum->longest)
			sum->longest = record->end.lasted;
		sum->last = record->flow.head.time;
		return;
	}
	first.last = record->flow.head.time;
	if (bpf_map_update_elem(&ends, &key, &first, BPF_ANY))
		record->flow.head.flags |= FLAG_SINGLE;
	send(&record->flow.head, sizeof(*record));
}

static __always_inline void fill_owner(struct record_head *head, struct owner *owner, __u16 kind)
{
	head->kind = kind;
	head->time = bpf_ktime_get_boot_ns();
	head->start = owner->start;
	head->pid = owner->pid;
	head->uid = owner->uid;
}

/* A TCP socket is closed: by refusal, or after it was connected. May run in any task. */
static __always_inline void ended(struct sock *sk, int old_state)
{
	struct record_end record = {};
	struct owner *owner;
	__u64 at = (__u64)sk;

	owner = bpf_map_lookup_elem(&owners, &at);
	if (!owner)
		return;
	if (!fill_ends(&record.flow, sk))
		goto done;
	/* A port that the kernel chose may be given back already. */
	if (!record.flow.local_port)
		record.flow.local_port = __builtin_bswap16(READ(struct inet_sock, sk, inet_sport));
	record.flow.type = SOCK_STREAM;
	if (old_state == TCP_SYN_SENT) {
		if (!owner->pending)
			goto done;
		fill_owner(&record.flow.head, owner, RECORD_CONNECT);
		/* Told as it is: the attempt itself was told, and summed up, when it was made. */
		record.flow.head.flags = FLAG_SINGLE | FLAG_LATE;
		record.flow.error = READ(struct sock, sk, sk_err);
		send(&record.flow.head, sizeof(record.flow));
		goto done;
	}
	fill_owner(&record.flow.head, owner, RECORD_FLOW_END);
	if (owner->outgoing)
		record.flow.head.flags = FLAG_OUTGOING;
	record.flow.payload = sizeof(record.end);
	record.end.sent = READ(struct tcp_sock, sk, bytes_sent) -
			  READ(struct tcp_sock, sk, bytes_retrans);
	record.end.received = READ(struct tcp_sock, sk, bytes_received);
	if (record.end.received && READ(struct sock, sk, __sk_common.skc_flags) & FLAG_SOCK_DONE)
		record.end.received--;
	record.end.lasted = record.flow.head.time - owner->opened;
	tell_end(&record, owner->outgoing);
done:
	bpf_map_delete_elem(&owners, &at);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_socket_state, struct sock *sk, int old_state, int new_state)
{
	if (new_state != TCP_SYN_SENT && new_state != TCP_CLOSE)
		return 0;
	if (READ(struct sock, sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (new_state == TCP_CLOSE)
		ended(sk, old_state);
	else if (in_scope())
		own(sk, true);
	return 0;
}

/* A descriptor was closed: if it was a socket of datagrams, its sum can be told. */
static __noinline int closed_datagrams(__u64 descriptor)
{
	struct record_end record = {};
	__u64 *at = bpf_map_lookup_elem(&datagram_descriptors, &descriptor);

	if (!at)
		return 0;
	fill_head(&record.flow.head, bpf_get_current_task_btf(), RECORD_DATAGRAMS_END);
	record.flow.payload = sizeof(*at);
	record.end.sent = *at;
	send(&record.flow.head, sizeof(record.flow) + sizeof(*at));
	bpf_map_delete_elem(&datagram_descriptors, &descriptor);
	__sync_fetch_and_add(reading_of(descriptor), -1);
	return 0;
}

#endif
