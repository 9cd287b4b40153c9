/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What goes from the kernel to user mode. Described in docs/spec/bpf-records.md; change both. */
#ifndef METSUKE_RECORDS_H
#define METSUKE_RECORDS_H

enum record_kind {
	RECORD_FORK = 1,
	RECORD_EXEC = 2,
	RECORD_EXIT = 3,
	RECORD_MOVED = 4,
	RECORD_CREATE = 10,
	RECORD_WRITE = 11,
	RECORD_READ = 12,
	RECORD_CLOSE = 13,
	RECORD_DELETE = 14,
	RECORD_RENAME = 15,
	RECORD_LINK = 16,
	RECORD_TRUNCATE = 17,
	RECORD_CONNECT = 20,
	RECORD_ACCEPT = 21,
	RECORD_LISTEN = 22,
	RECORD_DNS = 30,
	RECORD_MODULE_LOAD = 40,
	RECORD_MODULE_UNLOAD = 41,
	RECORD_KINDS = 128,
};

/* Flags of a record. */
#define FLAG_CUT 1    /* a text was longer than its bound */
#define FLAG_SINGLE 2 /* the summary had no room: this record stands for one operation */
#define FLAG_MEMORY 4 /* the executable, or the file, lives in memory only */
#define FLAG_GONE 8   /* the executable has no name any more */
#define FLAG_SCRIPT 16 /* an interpreter was started for a script */
#define FLAG_ANSWER 32 /* DNS: received, not sent */

/* Bounds of texts, in bytes. */
#define MAX_ARGS 4096
#define MAX_ENV 4096
#define MAX_USER_PATH 2048
#define MAX_DNS 512

struct record_head {
	__u32 size; /* of the whole record */
	__u16 kind;
	__u16 flags;
	__u64 time;  /* nanoseconds since boot */
	__u64 start; /* of the process, nanoseconds since boot */
	__u32 pid;
	__u32 uid;
};

struct record_fork {
	struct record_head head; /* of the child */
	__u64 parent_start;
	__u64 cgroup;
	__u32 parent;
	__u32 session;
};

struct record_exec {
	struct record_head head;
	__u64 parent_start;
	__u64 cgroup;
	__u64 inode;
	__u64 capabilities;
	__u32 device;
	__u32 parent;
	__u32 session;
	__u32 euid;
	__u32 gid;
	__u32 login_uid;
	__u32 tty; /* major << 20 | minor; 0 for none */
	__u32 pid_namespace;
	__u32 mount_namespace;
	__u32 network_namespace;
	__u32 stdio; /* two bytes: what 0 and 1 are */
	__u16 exe;    /* lengths of the texts that follow, in this order */
	__u16 cwd;
	__u16 script;
	__u16 args;
	__u16 env;
	__u16 pad;
	char name[16];
};

struct record_exit {
	struct record_head head;
	__u32 status;
	__u32 pad;
};

struct record_file {
	struct record_head head;
	__u64 inode;
	__u64 bytes;
	__u64 length; /* of the file, after the operation */
	__u32 device;
	__u32 mode;
	__u16 base;   /* lengths of the texts that follow, in this order */
	__u16 path;
	__u16 base2;
	__u16 path2;
};

struct record_flow {
	struct record_head head;
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family;
	__u16 protocol;
	__s32 error;
	__u16 payload; /* DNS: length of the message that follows */
	__u16 pad;
};

struct record_module {
	struct record_head head;
	__u64 taints;
	char name[56];
};

/* Sums of what was not sent one by one; read and deleted by user mode. */
struct file_key {
	__u64 inode;
	__u32 device;
	__u32 pid;
	__u32 kind;
	__u32 pad;
};

struct flow_key {
	__u8 remote[16];
	__u32 pid;
	__u16 remote_port;
	__u16 local_port;
	__u16 protocol;
	__u16 kind;
};

struct sum {
	__u64 last;
	__u64 bytes;
	__u64 operations;
	__u64 length;
};

#endif
