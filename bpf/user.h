/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The user-mode interface: fixed layouts, never relocated. Included by kernel.h. */
#ifndef METSUKE_USER_H
#define METSUKE_USER_H

struct user_sockaddr {
	__u16 family;
	__be16 port;
	__u8 rest[24]; /* IPv4: 4 bytes of address; IPv6: 4 of flow information, then 16. */
};

struct user_message {
	__u64 name;
	__u32 name_length;
	__u32 pad;
	__u64 vectors;
	__u64 vector_count;
	__u64 control;
	__u64 control_length;
	__u32 flags;
	__u32 pad2;
};

struct user_bpf {
	__u32 words[4]; /* what all commands of interest have within: descriptors and attach type */
};

struct user_vector {
	__u64 base;
	__u64 length;
};

#endif
