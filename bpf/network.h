/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Flows and DNS, from the sockets behind descriptors. */
#ifndef METSUKE_NETWORK_H
#define METSUKE_NETWORK_H

#include "calls.h"
#include "file.h"

/* struct mmsghdr: a message header and its length. */
#define MESSAGE_STRIDE 64
/* Messages looked at in one sendmmsg or recvmmsg: a resolver sends two. */
#define MAX_MESSAGES 4

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_key);
	__type(value, struct sum);
} flows SEC(".maps");

static __always_inline bool is_dns(__u16 port)
{
	for (int i = 0; i < DNS_PORTS; i++)
		if (port && config.dns_ports[i] == port)
			return true;
	return false;
}

static __always_inline struct sock *socket_of(int fd, short *type)
{
	struct file *file = file_of(bpf_get_current_task_btf(), fd);
	struct socket *socket;

	if (!file || (mode_of(file) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = READ(struct file, file, private_data);
	*type = READ(struct socket, socket, type);
	return READ(struct socket, socket, sk);
}

/* Both ends as the socket knows them; false for families other than IP. */
static __always_inline bool fill_ends(struct record_flow *record, struct sock *sk)
{
	record->family = READ(struct sock, sk, __sk_common.skc_family);
	record->local_port = READ(struct sock, sk, __sk_common.skc_num);
	record->remote_port = __builtin_bswap16(READ(struct sock, sk, __sk_common.skc_dport));
	record->protocol = READ(struct sock, sk, sk_protocol);
	if (record->family == AF_INET) {
		bpf_probe_read_kernel(record->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(record->remote, 4, &sk->__sk_common.skc_daddr);
		return true;
	}
	if (record->family != AF_INET6)
		return false;
	bpf_probe_read_kernel(record->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
	bpf_probe_read_kernel(record->remote, 16, &sk->__sk_common.skc_v6_daddr);
	return true;
}

/* The other end as the caller named it, which a failed or unconnected socket does not keep. */
static __always_inline bool fill_remote(struct record_flow *record, __u64 address)
{
	struct user_sockaddr given = {};

	if (!address || bpf_probe_read_user(&given, 8, (const void *)address))
		return false;
	record->remote_port = __builtin_bswap16(given.port);
	if (given.family == AF_INET) {
		record->family = AF_INET;
		__builtin_memset(record->remote, 0, 16);
		__builtin_memcpy(record->remote, given.rest, 4);
		return true;
	}
	if (given.family != AF_INET6 || bpf_probe_read_user(&given, 28, (const void *)address))
		return false;
	record->family = AF_INET6;
	__builtin_memcpy(record->remote, given.rest + 4, 16);
	return true;
}

/* Sends the first flow of a process with another end, and sums up those that follow. */
static __always_inline void tell_flow(struct record_flow *record, __u16 kind)
{
	struct flow_key key = {};
	struct sum *sum, first = {};

	__builtin_memcpy(key.remote, record->remote, 16);
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.remote_port = kind == RECORD_ACCEPT ? 0 : record->remote_port;
	key.local_port = kind == RECORD_CONNECT ? 0 : record->local_port;
	key.protocol = record->protocol;
	key.kind = kind;
	sum = bpf_map_lookup_elem(&flows, &key);
	if (sum) {
		__sync_fetch_and_add(&sum->operations, 1);
		sum->last = bpf_ktime_get_boot_ns();
		return;
	}
	first.last = bpf_ktime_get_boot_ns();
	first.operations = 1;
	fill_head(&record->head, bpf_get_current_task_btf(), kind);
	if (bpf_map_update_elem(&flows, &key, &first, BPF_ANY))
		record->head.flags |= FLAG_SINGLE;
	send(&record->head, sizeof(*record));
}

/* connect, accept, listen: `fd` is the flow's socket. */
static __noinline int flow(int fd, __u64 address, long result, __u32 kind)
{
	struct record_flow record = {};
	struct sock *sk;
	short type;

	if (!in_scope())
		return 0;
	sk = socket_of(fd, &type);
	if (!sk || !fill_ends(&record, sk))
		return 0;
	if (kind == RECORD_CONNECT && !fill_remote(&record, address))
		return 0;
	/* A datagram socket's connect only remembers an address; a resolver's is told as DNS. */
	if (type == SOCK_DGRAM && is_dns(record.remote_port))
		return 0;
	record.error = result < 0 && result != -EINPROGRESS ? -result : 0;
	tell_flow(&record, kind);
	return 0;
}

/* A datagram sent or received: DNS, or the first one to a destination. */
static __noinline int datagram(int fd, __u64 buffer, long length, __u64 address, __u32 flags)
{
	struct scratch *space = scratch();
	struct record_flow *record;
	struct sock *sk;
	short type;
	__u32 next;

	if (length <= 0 || !in_scope() || !space)
		return 0;
	sk = socket_of(fd, &type);
	if (!sk || type != SOCK_DGRAM)
		return 0;
	record = (struct record_flow *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	if (!fill_ends(record, sk))
		return 0;
	if (address && !fill_remote(record, address) && !record->remote_port)
		return 0;
	if (!is_dns(record->remote_port)) {
		/* A name server answering is no flow that it opened. */
		if (address && !(flags & FLAG_ANSWER) && !is_dns(record->local_port))
			tell_flow(record, RECORD_CONNECT);
		return 0;
	}
	fill_head(&record->head, bpf_get_current_task_btf(), RECORD_DNS);
	record->head.flags = flags;
	next = put_bytes(space, sizeof(*record), buffer, length, MAX_DNS);
	record->payload = next - sizeof(*record);
	send(&record->head, next);
	return 0;
}

/* The same for a message header: its first vector holds what DNS needs. */
static __noinline int message(int fd, __u64 header, long length, __u32 flags)
{
	struct user_message given = {};
	struct user_vector vector = {};

	if (length <= 0 || !in_scope())
		return 0;
	if (bpf_probe_read_user(&given, sizeof(given), (const void *)header))
		return 0;
	if (bpf_probe_read_user(&vector, sizeof(vector), (const void *)given.vectors))
		return 0;
	if (vector.length < (__u64)length)
		length = vector.length;
	return datagram(fd, vector.base, length, given.name, flags);
}

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

/* Group of socket calls, and of writes to sockets. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_network, struct pt_regs *regs, long result)
{
	struct call call;

	read_call(&call, regs, result);
	switch (call.number) {
	case CALL_connect:
		return flow(call.a, call.b, call.result, RECORD_CONNECT);
	case CALL_accept:
	case CALL_accept4:
		return flow(call.result, 0, 0, RECORD_ACCEPT);
	case CALL_listen:
		return flow(call.a, 0, 0, RECORD_LISTEN);
	case CALL_write:
		return datagram(call.a, call.b, call.result, 0, 0);
	case CALL_sendto:
		return datagram(call.a, call.b, call.result, call.e, 0);
	case CALL_recvfrom:
		return datagram(call.a, call.b, call.result, call.e, FLAG_ANSWER);
	case CALL_sendmsg:
		return message(call.a, call.b, call.result, 0);
	case CALL_recvmsg:
		return message(call.a, call.b, call.result, FLAG_ANSWER);
	case CALL_sendmmsg:
		return messages(call.a, call.b, call.result, 0);
	case CALL_recvmmsg:
		return messages(call.a, call.b, call.result, FLAG_ANSWER);
	}
	return 0;
}

#endif
