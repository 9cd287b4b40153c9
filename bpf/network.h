/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Flows, DNS and TLS greetings, from the sockets behind descriptors. */
#ifndef METSUKE_NETWORK_H
#define METSUKE_NETWORK_H

#include "calls.h"
#include "sockets.h"

/* struct mmsghdr: a message header and its length. */
#define MESSAGE_STRIDE 64
/* Messages looked at in one sendmmsg or recvmmsg: a resolver sends two. */
#define MAX_MESSAGES 4
/* Vectors looked at in one call: DNS over TCP sends its length in one, its message in another. */
#define MAX_VECTORS 3
/* With the flags of a record: not the first vector of its call. Never sent. */
#define FLAG_PIECE 0x10000

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

/* The first eight bytes of an address that the caller gave: family, port, and IPv4's address. */
static __always_inline __u64 read_address(__u64 address)
{
	__u64 begin = 0;

	if (address)
		bpf_probe_read_user(&begin, sizeof(begin), (const void *)address);
	return begin;
}

/*
 * The other end as the caller named it, which a failed or unconnected socket does not keep; `begin` is
 * what `read_address` gave.
 */
static __always_inline bool fill_remote(struct record_flow *record, __u64 address, __u64 begin)
{
	struct user_sockaddr given = {};

	__builtin_memcpy(&given, &begin, sizeof(begin));
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

	fill_flow_key(&key, record, bpf_get_current_pid_tgid() >> 32, kind, kind == RECORD_CONNECT,
		      kind == RECORD_ACCEPT);
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
	/* A sum that nobody knows of would swallow what follows. */
	if (!send(&record->head, sizeof(*record)))
		bpf_map_delete_elem(&flows, &key);
}

/* A TCP connect has returned: its answer may come later. */
static __always_inline void connected(struct sock *sk, long result)
{
	struct owner *owner;
	__u64 at = (__u64)sk;

	if (result != -EINPROGRESS)
		return;
	owner = bpf_map_lookup_elem(&owners, &at);
	if (owner)
		owner->pending = 1;
}

/* connect, accept, listen, bind: `fd` is the flow's socket, `begin` as in `fill_remote`. */
__noinline int flow(int fd, __u64 address, long result, __u32 kind, __u64 begin)
{
	struct record_flow record = {};
	struct user_sockaddr given = {};
	struct sock *sk;
	short type;

	if (!in_scope())
		return 0;
	sk = socket_of(fd, &type);
	if (!sk || !fill_ends(&record, sk))
		return 0;
	record.type = type;
	/* Asked for port 0: the kernel chose one, each time another. */
	__builtin_memcpy(&given, &begin, sizeof(begin));
	if (kind == RECORD_BIND && !given.port)
		record.local_port = 0;
	if (kind == RECORD_CONNECT) {
		/* Asked again while the first attempt is under way, or after it. */
		if (result == -EALREADY || result == -EISCONN ||
		    !fill_remote(&record, address, begin))
			return 0;
		if (record.protocol == IPPROTO_TCP) {
			connected(sk, result);
			if (is_dns(record.remote_port))
				__sync_fetch_and_add(reading_of(bpf_get_current_pid_tgid()), 1);
		}
	}
	if (kind == RECORD_ACCEPT && record.protocol == IPPROTO_TCP)
		own(sk, false);
	/* A datagram socket's connect only remembers an address; a resolver's is told as DNS. */
	if (type == SOCK_DGRAM && is_dns(record.remote_port))
		return 0;
	record.error = result < 0 && result != -EINPROGRESS ? -result : 0;
	tell_flow(&record, kind);
	return 0;
}

/* socket: one that sees or makes packets past the transport. */
static __noinline int made_socket(__u32 family, __u32 type, __u32 protocol)
{
	struct record_flow record = {};

	type &= SOCK_TYPE_MASK;
	record.family = family;
	record.type = type;
	record.protocol = family == AF_PACKET ? __builtin_bswap16(protocol) : protocol;
	/* So that their sums are told apart. */
	record.local_port = family;
	tell_flow(&record, RECORD_RAW_SOCKET);
	return 0;
}

struct unix_key {
	__u32 pid;
	char name[MAX_UNIX];
};

/* Unix sockets that a process has connected to: told once, as long as it is remembered. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct unix_key);
	__type(value, __u8);
} unix_told SEC(".maps");

/* connect to a Unix socket: the name as the caller gave it. */
__noinline int connect_unix(int fd, __u64 address, __u32 length, long result)
{
	struct scratch *space = scratch();
	struct record_file *record;
	struct unix_key key = {};
	__u32 at = sizeof(*record), next;
	short type = 0;
	__u8 told = 1;

	if (!space || length <= 2)
		return 0;
	length -= 2;
	if (length > MAX_UNIX)
		length = MAX_UNIX;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	if (bpf_probe_read_user(key.name, length, (const void *)(address + 2)))
		return 0;
	if (bpf_map_update_elem(&unix_told, &key, &told, BPF_NOEXIST))
		return 0;
	socket_of(fd, &type);
	record = (struct record_file *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, bpf_get_current_task_btf(), RECORD_UNIX);
	record->length = type;
	record->mode = result < 0 ? -result : 0;
	next = at;
	if (key.name[0])
		next = put_base(space, at, AT_FDCWD, address + 2);
	record->base = next - at;
	at = next & ROOM;
	next = put_bytes(space, at, address + 2, length, MAX_UNIX);
	record->path = next - at;
	send(&record->head, next);
	return 0;
}

/* Adds a datagram to its socket's sum; the first one sends a record. */
static __always_inline void count_datagram(struct record_flow *record, struct sock *sk, int fd,
					   __u64 length, bool received)
{
	__u64 at = (__u64)sk, descriptor_at = descriptor(fd);
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct datagrams *sum = bpf_map_lookup_elem(&datagram_sockets, &at), new = {};
	struct record_end *opened = (struct record_end *)record;

	if (sum && sum->pid == pid) {
		if (received)
			__sync_fetch_and_add(&sum->received, length);
		else
			__sync_fetch_and_add(&sum->sent, length);
		sum->last = bpf_ktime_get_boot_ns();
		return;
	}
	new.first = new.last = bpf_ktime_get_boot_ns();
	new.sent = received ? 0 : length;
	new.received = received ? length : 0;
	new.pid = pid;
	if (bpf_map_update_elem(&datagram_sockets, &at, &new, BPF_ANY)) {
		count_lost(RECORD_DATAGRAMS);
		return;
	}
	if (!bpf_map_update_elem(&datagram_descriptors, &descriptor_at, &at, BPF_ANY))
		__sync_fetch_and_add(reading_of(descriptor_at), 1);
	fill_head(&record->head, bpf_get_current_task_btf(), RECORD_DATAGRAMS);
	record->head.flags = received ? 0 : FLAG_OUTGOING;
	record->payload = sizeof(at);
	opened->end.sent = at;
	send(&record->head, sizeof(*record) + sizeof(at));
	record->payload = 0;
	record->head.flags = 0;
}

/* Bytes that went over a TCP socket: DNS, or perhaps a TLS greeting. */
static __always_inline int streamed(struct scratch *space, struct sock *sk, __u64 buffer,
				    __u64 length, __u32 flags)
{
	struct record_flow *record = (struct record_flow *)space->data;
	struct owner *owner;
	__u64 at = (__u64)sk;
	__u8 begin[6] = {};
	__u32 next;

	if (is_dns(record->remote_port)) {
		fill_head(&record->head, bpf_get_current_task_btf(), RECORD_STREAM);
		record->head.flags = flags;
		record->error = length > 0x7fffffff ? 0x7fffffff : length;
		next = put_bytes(space, sizeof(*record), buffer, length, MAX_DNS);
		record->payload = next - sizeof(*record);
		send(&record->head, next);
		return 0;
	}
	if (flags & FLAG_ANSWER)
		return 0;
	owner = bpf_map_lookup_elem(&owners, &at);
	if (!owner || owner->looks >= MAX_LOOKS)
		return 0;
	owner->looks++;
	if (length < sizeof(begin) ||
	    bpf_probe_read_user(begin, sizeof(begin), (const void *)buffer))
		return 0;
	/* A handshake record of TLS that holds a client's greeting. */
	if (begin[0] != 22 || begin[1] != 3 || begin[5] != 1)
		return 0;
	owner->looks = MAX_LOOKS;
	fill_head(&record->head, bpf_get_current_task_btf(), RECORD_GREETING);
	next = put_bytes(space, sizeof(*record), buffer, length, MAX_GREETING);
	record->payload = next - sizeof(*record);
	send(&record->head, next);
	return 0;
}

/* Whom a socket that is not connected has asked last: an answer may be taken without its sender. */
struct resolver {
	__u8 address[16];
	__u16 port;
	__u16 family;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, struct resolver);
} asked SEC(".maps");

static __always_inline void remember_resolver(struct record_flow *record, struct sock *sk)
{
	struct resolver resolver = { .port = record->remote_port, .family = record->family };
	__u64 at = (__u64)sk;

	__builtin_memcpy(resolver.address, record->remote, 16);
	bpf_map_update_elem(&asked, &at, &resolver, BPF_ANY);
}

static __always_inline void recall_resolver(struct record_flow *record, struct sock *sk)
{
	__u64 at = (__u64)sk;
	struct resolver *resolver = bpf_map_lookup_elem(&asked, &at);

	if (!resolver)
		return;
	record->remote_port = resolver->port;
	record->family = resolver->family;
	__builtin_memcpy(record->remote, resolver->address, 16);
}

/*
 * Bytes sent or received: DNS, a TLS greeting, or datagrams. Global, as are those that call it in
 * loops, and so verified once.
 */
__noinline int transfer(int fd, __u64 buffer, long length, __u64 address, __u32 flags)
{
	struct scratch *space = scratch();
	bool received = flags & FLAG_ANSWER;
	struct record_flow *record;
	struct sock *sk;
	short type;
	__u32 next;

	if (length <= 0 || !space)
		return 0;
	sk = socket_of(fd, &type);
	if (!sk)
		return 0;
	record = (struct record_flow *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	if (!fill_ends(record, sk))
		return 0;
	record->type = type;
	if (type == SOCK_STREAM && record->protocol == IPPROTO_TCP)
		return streamed(space, sk, buffer, length, flags & FLAG_ANSWER);
	if ((type != SOCK_DGRAM && type != SOCK_RAW) || flags & FLAG_PIECE)
		return 0;
	if (address && !fill_remote(record, address, read_address(address)) && !record->remote_port)
		return 0;
	if (received && !record->remote_port)
		recall_resolver(record, sk);
	if (type == SOCK_DGRAM && is_dns(record->remote_port)) {
		if (address && !received)
			remember_resolver(record, sk);
		fill_head(&record->head, bpf_get_current_task_btf(), RECORD_DNS);
		record->head.flags = flags;
		next = put_bytes(space, sizeof(*record), buffer, length, MAX_DNS);
		record->payload = next - sizeof(*record);
		send(&record->head, next);
		return 0;
	}
	/* A name server answering is no flow that it opened. */
	if (is_dns(record->local_port))
		return 0;
	count_datagram(record, sk, fd, length, received);
	if (address && !received)
		tell_flow(record, RECORD_CONNECT);
	return 0;
}

/* The same for vectors: datagrams by the first one, streams by the first few. */
__noinline int vectors(int fd, __u64 vectors, long length, __u64 address, __u32 flags)
{
	struct user_vector vector;
	__u64 part;

	for (int i = 0; i < MAX_VECTORS && length > 0; i++) {
		if (bpf_probe_read_user(&vector, sizeof(vector), (const void *)vectors))
			return 0;
		part = vector.length < (__u64)length ? vector.length : length;
		if (part)
			transfer(fd, vector.base, part, address, flags);
		length -= part;
		flags |= FLAG_PIECE;
		vectors += sizeof(vector);
	}
	return 0;
}

__noinline int message(int fd, __u64 header, long length, __u32 flags)
{
	struct user_message given = {};

	if (length <= 0 || bpf_probe_read_user(&given, sizeof(given), (const void *)header))
		return 0;
	return vectors(fd, given.vectors, length, given.name, flags);
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
	__u64 begin;

	read_call(&call, regs, result);
	switch (call.number) {
	case CALL_connect:
		begin = read_address(call.b);
		if ((__u16)begin == AF_UNIX)
			return connect_unix(call.a, call.b, call.c, call.result);
		return flow(call.a, call.b, call.result, RECORD_CONNECT, begin);
	case CALL_accept:
	case CALL_accept4:
		return flow(call.result, 0, 0, RECORD_ACCEPT, 0);
	case CALL_listen:
		return flow(call.a, 0, 0, RECORD_LISTEN, 0);
	case CALL_bind:
		return flow(call.a, call.b, 0, RECORD_BIND, read_address(call.b));
	case CALL_socket:
		return made_socket(call.a, call.b, call.c);
	case CALL_read:
		return transfer(call.a, call.b, call.result, 0, FLAG_ANSWER);
	case CALL_write:
		return transfer(call.a, call.b, call.result, 0, 0);
	case CALL_writev:
		return call.compat ? 0 : vectors(call.a, call.b, call.result, 0, 0);
	case CALL_sendto:
		return transfer(call.a, call.b, call.result, call.e, 0);
	case CALL_recvfrom:
		return transfer(call.a, call.b, call.result, call.e, FLAG_ANSWER);
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
