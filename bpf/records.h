/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What goes from the kernel to user mode. Described in docs/spec/bpf-records.md; change both. */
#ifndef METSUKE_RECORDS_H
#define METSUKE_RECORDS_H

enum record_kind {
	RECORD_FORK = 1,
	RECORD_EXEC = 2,
	RECORD_EXIT = 3,
	RECORD_MOVED = 4,
	RECORD_IDENTITY = 5,
	RECORD_RENAMED = 6,
	RECORD_NAMESPACE = 7,
	RECORD_GROUP = 8,
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
	RECORD_ACCESS = 50,
	RECORD_INJECT = 51,
	RECORD_SIGNAL = 52,
	RECORD_MAP = 53,
	RECORD_PROTECT = 54,
	RECORD_MEMORY_FILE = 55,
	RECORD_IMAGE = 56,
	RECORD_BPF = 57,
	RECORD_KEXEC = 58,
	RECORD_RING = 59,
	RECORD_SETTING = 60,
	RECORD_HARD_LINK = 70,
	RECORD_SYMLINK = 71,
	RECORD_EXCHANGE = 72,
	RECORD_MODE = 73,
	RECORD_OWNER = 74,
	RECORD_TIMES = 75,
	RECORD_XATTR = 76,
	RECORD_XATTR_REMOVED = 77,
	RECORD_FLAGS = 78,
	RECORD_MOUNT = 79,
	RECORD_UNMOUNT = 80,
	RECORD_RAW_ACCESS = 81,
	RECORD_DATAGRAMS = 82,
	RECORD_DATAGRAMS_END = 83,
	RECORD_STREAM = 84,
	RECORD_GREETING = 85,
	RECORD_UNIX = 86,
	RECORD_BIND = 87,
	RECORD_RAW_SOCKET = 88,
	RECORD_FLOW_END = 89,
	RECORD_KINDS = 128,
};

/* Flags of a record. */
#define FLAG_CUT 1    /* a text was longer than its bound */
#define FLAG_SINGLE 2 /* the summary had no room: this record stands for one operation */
#define FLAG_MEMORY 4 /* the executable, or the file, lives in memory only */
#define FLAG_GONE 8   /* the executable has no name any more */
#define FLAG_SCRIPT 16 /* an interpreter was started for a script */
#define FLAG_ANSWER 32 /* DNS: received, not sent */
#define FLAG_VIRTUAL 64 /* the target's number is that of the caller's pid namespace */
#define FLAG_UPPER 128 /* the executable lies in the upper layer of an overlay */
#define FLAG_LOWER 256 /* the executable lies in a lower layer of an overlay */
#define FLAG_ENV_CUT 512 /* not all of the environment was looked through, or kept */
#define FLAG_OUTGOING 1024 /* a flow that this host opened */
#define FLAG_LATE 2048 /* what became of a connect that had returned before */

/* Bounds of texts, in bytes. */
#define MAX_ARGS 4096
#define MAX_ENV 4096
#define MAX_VARIABLE 1024 /* of one variable */
#define MAX_VARIABLES 2048 /* looked at in one environment, or pieces */
#define PIECE 4096
#define MAX_USER_PATH 2048
#define MAX_VALUE 256
#define MAX_DNS 1232 /* what resolvers offer to take (EDNS) */
#define MAX_GREETING 2048 /* a greeting with a post-quantum key share has about 1,800 */
#define MAX_UNIX 108
#define MAX_GROUP 512 /* the path of a control group: those of Kubernetes have some 220 */
#define MAX_XATTR 64
#define MAX_GROUPS 16 /* groups of a process: more are only counted */

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
	__u64 changed; /* the executable's change time, nanoseconds since 1970 */
	__u64 length;  /* of it */
	__u64 environment[2]; /* where it begins and ends in the process's memory */
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
	__u32 user_namespace;
	__u32 cgroup_namespace;
	__u32 uts_namespace;
	__u32 ipc_namespace;
	__u32 seccomp;
	__u32 stdio; /* two bytes: what 0 and 1 are */
	__u16 exe;    /* lengths of the texts that follow, in this order */
	__u16 cwd;
	__u16 script;
	__u16 args;
	__u16 env;
	__u16 pad[3];
	char name[16];
};

struct record_exit {
	struct record_head head;
	__u64 cpu;  /* nanoseconds */
	__u64 peak; /* pages resident at most */
	__u32 status;
	__u32 pad;
};

/* A control group was made, by the process of the head. */
struct record_group {
	struct record_head head;
	__u64 cgroup;
	__u32 length; /* of the path that follows, with its NUL */
	__u32 pad;
	char path[MAX_GROUP];
};

/* What a process changed about itself: who it is, its name, its namespaces; as it is afterwards. */
struct record_change {
	struct record_head head;
	__u64 capabilities;
	__u32 call;
	/*
	 * Kinds of namespaces that were asked for, as CLONE_NEW…; setfsuid, setfsgid: that id now;
	 * setgroups: how many there are now.
	 */
	__u32 asked;
	__u32 euid;
	__u32 gid;
	__u32 egid;
	__u32 namespaces[7]; /* pid mount net user cgroup uts ipc */
	char name[16];
	char old_name[16];
	__u32 groups[MAX_GROUPS]; /* of setgroups only: the first of them */
};

/* What a process did to another one. */
struct record_reach {
	struct record_head head;
	__u64 target_start; /* nanoseconds since boot; 0 where it could not be had */
	__u64 bytes;
	__u32 target;
	__u32 target_uid;
	__u16 call;   /* a system call; PROC_MEMORY for a file */
	__u16 detail; /* ptrace: request; signals: number */
	__u32 pad;
};

/* Memory made executable, a file made of memory, an executable file mapped. */
struct record_memory {
	struct record_head head;
	__u64 address;
	__u64 length;
	__u64 inode;
	__u64 operations; /* images: since last told */
	__u32 device;
	__u16 call;
	__u16 protection;
	__u16 backing;
	__u16 path; /* length of the path that follows */
	__u32 pad;
};

/* Something done to the kernel. */
struct record_kernel {
	struct record_head head;
	__u64 size;
	__u32 call;
	__u32 command; /* bpf: its command */
	__u32 id;
	__u32 type;
	__u32 attach_type;
	__u32 word; /* attach: what the caller gave as its target */
	__s32 error;
	__u16 path; /* lengths of the texts that follow, in this order */
	__u16 text;
	char name[16];
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
	__u16 payload; /* length of the bytes that follow */
	__u16 type;    /* of the socket */
};

/* What a flow came to; stands as payload behind a flow. */
struct flow_end {
	__u64 sent;
	__u64 received;
	__u64 lasted; /* nanoseconds */
};

struct record_end {
	struct record_flow flow;
	struct flow_end end;
};

struct record_module {
	struct record_head head;
	__u64 taints;
	__u32 call;
	__u16 path; /* length of the path that follows */
	__u16 pad;
	char name[56];
};

/* One content of an executable, as far as it can be told without reading it. */
struct content_key {
	__u64 inode;
	__u64 changed;
	__u64 length;
	__u64 device;
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

struct act_key {
	__u64 object;
	__u32 pid;
	__u16 kind;
	__u16 detail;
};

struct sum {
	__u64 last;
	__u64 bytes;
	__u64 operations;
	__u64 length;
};

/* Ends of flows that were not sent one by one. */
struct end_sum {
	__u64 last;
	__u64 operations;
	__u64 sent;
	__u64 received;
	__u64 longest;
};

/* Datagrams of one socket. */
struct datagrams {
	__u64 first;
	__u64 last;
	__u64 sent;
	__u64 received;
	__u32 pid;
	__u32 pad;
};

#endif
