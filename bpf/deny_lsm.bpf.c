/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Tier 1: BPF LSM programs that deny by the list of deny.h. Linux 5.18 or newer, for the content
 * of files is hashed by the kernel (IMA), also of one that nobody has seen before.
 */
#include "deny.h"

#define READING_MODULE 2 /* enum kernel_read_file_id, and LOADING_MODULE of kernel_load_data_id */
/* Newer kernels call a module that they decompress themselves something else. */
enum kernel_read_file_id___new { READING_MODULE_COMPRESSED___new = 3 };
#define VM_EXEC 4
#define PTRACE_MODE_ATTACH 2
#define BPF_PROG_LOAD 5

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct msghdr {
	void *msg_name;
	int msg_namelen;
};

#pragma clang attribute pop

/* A path being compared. Of the task, for a sleeping program may be overtaken on its processor. */
struct room {
	char raw[PATH_BYTES];
	struct path_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct room);
} rooms SEC(".maps");

/* Names of files on the list that were mapped, for there is none to be had when a mapping is made
 * executable later. The names, not what is said of them: that may change. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct file_id);
	__type(value, struct path_key);
} mapped SEC(".maps");

/* The file's path as the process sees it; NULL when it is not to be had. */
static __always_inline struct path_key *path_of(struct file *file)
{
	struct room *room = bpf_task_storage_get(&rooms, bpf_get_current_task_btf(), NULL,
						 BPF_LOCAL_STORAGE_GET_F_CREATE);
	long length;

	if (!room)
		return NULL;
	length = bpf_d_path(&file->f_path, room->raw, PATH_BYTES);
	if (length <= 0 || length > PATH_BYTES)
		return NULL;
	__builtin_memset(&room->key, 0, sizeof(room->key));
	return bpf_probe_read_kernel(room->key.text, length, room->raw) ? NULL : &room->key;
}

static __always_inline void weigh_path(struct verdict *verdict, struct file *file, __u16 operation)
{
	struct path_key *path = path_of(file);

	if (path)
		weigh(verdict, bpf_map_lookup_elem(&by_path, path), operation, SUBJECT_PATH);
}

/* Hashes a file that is open for reading and whose file system has opened it. What has none is
 * counted where it is let pass. */
static __always_inline void hash(struct file *file, struct facts *facts, bool passes)
{
	struct inode___deny *inode = (void *)BPF_CORE_READ(file, f_inode);

	if (recall(facts))
		return;
	if (facts->content.size > HASH_MAX_BYTES) {
		if (passes)
			count(COUNT_TOO_LARGE);
		return;
	}
	if (bpf_ima_file_hash(file, facts->content.sha256, SHA256_BYTES) != HASH_ALGO_SHA256) {
		if (passes)
			count(COUNT_NOT_HASHED);
		return;
	}
	facts->hashed = true;
	/* Somebody may be writing: then it is hashed again the next time. */
	if (facts->keeps && BPF_CORE_READ(inode, i_writecount.counter) <= 0)
		bpf_map_update_elem(&contents, &facts->id, &facts->content, BPF_ANY);
}

static __always_inline int tell(struct settings *set, struct verdict *verdict,
				const struct facts *facts, struct file *file, __u16 operation,
				__u8 hook)
{
	struct denial *record = record_of(set, verdict, facts);

	if (record) {
		record->operation = operation;
		record->hook = hook;
		bpf_d_path(&file->f_path, record->object, PATH_BYTES);
		bpf_ringbuf_submit(record, 0);
	}
	return verdict->disposition == DENIED ? -EPERM : 0;
}

/* `hashed`: operations for which an unseen file is hashed. `name`: what its name says already. */
static __always_inline int decide(struct file *file, __u16 operation, __u16 hashed, __u8 hook,
				  const struct entry *name)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};
	struct facts facts = {};

	if (!set || !asks(set, operation | hashed) || !look(file, &facts))
		return 0;
	weigh(&verdict, name, operation, SUBJECT_MODULE);
	if (set->by_sha256 & hashed)
		hash(file, &facts, true);
	weigh_file(set, &verdict, &facts, operation);
	if ((set->by_sha256 & hashed) && !facts.hashed)
		weigh(&verdict, &set->unknown, operation, SUBJECT_UNKNOWN);
	if ((set->by_path & operation) && verdict.disposition != DENIED)
		weigh_path(&verdict, file, operation);
	return verdict.disposition ? tell(set, &verdict, &facts, file, operation, hook) : 0;
}

static __always_inline int check(struct file *file, __u16 operation, __u16 hashed, __u8 hook)
{
	return decide(file, operation, hashed, hook, NULL);
}

SEC("lsm.s/bprm_check_security")
int BPF_PROG(on_exec, struct linux_binprm *bprm, int earlier)
{
	/* What this program may do later is asked by its hash, so it is taken now. */
	return earlier ?: check(bprm->file, OP_EXEC, OP_EXEC | OPS_OF_ACTOR, HOOK_EXEC);
}

static __always_inline int finish(struct settings *set, struct verdict *verdict,
				  const struct facts *facts, __u16 operation, __u8 hook,
				  const char *object, __u32 target)
{
	struct denial *record;

	if (!verdict->disposition)
		return 0;
	record = record_of(set, verdict, facts);
	if (record) {
		record->operation = operation;
		record->hook = hook;
		record->target = target;
		if (object)
			bpf_probe_read_kernel_str(record->object, PATH_BYTES, object);
		bpf_ringbuf_submit(record, 0);
	}
	return verdict->disposition == DENIED ? -EPERM : 0;
}

/* Executable memory that no file is behind, or that differs from its file. */
static __always_inline int without_file(__u8 hook)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};

	if (!set || !asks(set, OP_MAP))
		return 0;
	weigh(&verdict, &set->all, OP_MAP, SUBJECT_ALL);
	weigh(&verdict, &set->anonymous, OP_MAP, SUBJECT_ANONYMOUS);
	return finish(set, &verdict, NULL, OP_MAP, hook, NULL, 0);
}

/* A file that is mapped may be made executable later, where it can be neither read nor named. */
static __always_inline void remember(struct file *file)
{
	struct settings *set = current_settings();
	struct facts facts = {};
	struct path_key *path;

	if (!set || !asks(set, OP_MAP) || !look(file, &facts))
		return;
	/* Who may write it himself would have it hashed at each mapping. */
	if ((set->by_sha256 & OP_MAP) && !(file->f_mode & FMODE_WRITE))
		hash(file, &facts, false);
	if (!(set->by_path & OP_MAP))
		return;
	path = path_of(file);
	if (path && bpf_map_lookup_elem(&by_path, path))
		bpf_map_update_elem(&mapped, &facts.id, path, BPF_ANY);
	else /* Renamed, or another file that got the inode of one that is gone. */
		bpf_map_delete_elem(&mapped, &facts.id);
}

SEC("lsm.s/mmap_file")
int BPF_PROG(on_map, struct file *file, unsigned long asked, unsigned long protection,
	     unsigned long flags, int earlier)
{
	bool executable = protection & PROT_EXEC;

	if (earlier)
		return earlier;
	if (!file)
		return executable ? without_file(HOOK_MAP) : 0;
	if (executable)
		return check(file, OP_MAP, OP_MAP, HOOK_MAP);
	remember(file);
	return 0;
}

/* Memory is made executable that was not: what is behind it cannot be hashed here, so only what is
 * known, since it was mapped at the latest. */
SEC("lsm/file_mprotect")
int BPF_PROG(on_protect, struct vm_area_struct *area, unsigned long asked,
	     unsigned long protection, int earlier)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};
	struct facts facts = {};
	struct path_key *path;
	struct file *file;

	if (earlier || !(protection & PROT_EXEC) || (BPF_CORE_READ(area, vm_flags) & VM_EXEC))
		return earlier;
	file = BPF_CORE_READ(area, vm_file);
	if (!file)
		return without_file(HOOK_PROTECT);
	if (!set || !asks(set, OP_MAP) || !look(file, &facts))
		return 0;
	weigh_file(set, &verdict, &facts, OP_MAP);
	if ((set->by_sha256 & OP_MAP) && !facts.hashed) {
		count(COUNT_NOT_HASHED);
		weigh(&verdict, &set->unknown, OP_MAP, SUBJECT_UNKNOWN);
	}
	/* Some of its pages are the process's own by now. */
	if (BPF_CORE_READ(area, anon_vma))
		weigh(&verdict, &set->anonymous, OP_MAP, SUBJECT_ANONYMOUS);
	path = set->by_path & OP_MAP ? bpf_map_lookup_elem(&mapped, &facts.id) : NULL;
	if (path)
		weigh(&verdict, bpf_map_lookup_elem(&by_path, path), OP_MAP, SUBJECT_PATH);
	return finish(set, &verdict, &facts, OP_MAP, HOOK_PROTECT,
		      path ? path->text : (const char *)BPF_CORE_READ(file, f_path.dentry, d_name.name), 0);
}

/* Here the file system has not opened the file yet: it cannot be read, so only what is known. */
SEC("lsm/file_open")
int BPF_PROG(on_open, struct file *file, int earlier)
{
	struct settings *set = current_settings();
	struct file_id id = {};
	struct inode *inode;

	if (earlier || !set)
		return earlier;
	if (set->by_sha256 && (file->f_mode & FMODE_WRITE)) {
		inode = BPF_CORE_READ(file, f_inode);
		id.inode = BPF_CORE_READ(inode, i_ino);
		id.device = BPF_CORE_READ(inode, i_sb, s_dev);
		bpf_map_delete_elem(&contents, &id);
	}
	return check(file, OP_OPEN, 0, HOOK_OPEN);
}

/* As stored, so also when it is compressed: the kernel decompresses it later. */
static __always_inline bool is_module(int what)
{
	if (bpf_core_enum_value_exists(enum kernel_read_file_id___new,
				       READING_MODULE_COMPRESSED___new) &&
	    what == (int)bpf_core_enum_value(enum kernel_read_file_id___new,
					     READING_MODULE_COMPRESSED___new))
		return true;
	return what == READING_MODULE;
}

SEC("lsm.s/kernel_read_file")
int BPF_PROG(on_read_file, struct file *file, int what, bool contents_asked, int earlier)
{
	struct settings *set = current_settings();
	struct entry *named = NULL;
	struct module_key key = {};
	bool ended = false;

	if (earlier || !is_module(what) || !set || !asks(set, OP_MODULE))
		return earlier;
	if (set->by_module & OP_MODULE) {
		bpf_probe_read_kernel_str(key.name, MODULE_NAME_BYTES,
					  BPF_CORE_READ(file, f_path.dentry, d_name.name));
		/* The name a module has is that of its file up to the dot, as far as one can say. */
		for (int at = 0; at < MODULE_NAME_BYTES; at++) {
			ended |= key.name[at] == '.';
			if (ended)
				key.name[at] = 0;
			else if (key.name[at] == '-')
				key.name[at] = '_';
		}
		named = bpf_map_lookup_elem(&by_module, &key);
	}
	return decide(file, OP_MODULE, OP_MODULE, HOOK_READ_MODULE, named);
}

SEC("lsm/kernel_module_request")
int BPF_PROG(on_module_request, char *name, int earlier)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};
	struct module_key key = {};

	if (earlier || !set || !asks(set, OP_MODULE))
		return earlier;
	weigh(&verdict, &set->all, OP_MODULE, SUBJECT_ALL);
	bpf_probe_read_kernel_str(key.name, MODULE_NAME_BYTES, name);
	if (set->by_module & OP_MODULE)
		weigh(&verdict, bpf_map_lookup_elem(&by_module, &key), OP_MODULE, SUBJECT_MODULE);
	return finish(set, &verdict, NULL, OP_MODULE, HOOK_REQUEST_MODULE, name, 0);
}

/* init_module(2): from memory, so there is no file and its content is not known. */
SEC("lsm/kernel_load_data")
int BPF_PROG(on_load_data, int what, bool contents_asked, int earlier)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};

	if (earlier || what != READING_MODULE || !set || !asks(set, OP_MODULE))
		return earlier;
	weigh(&verdict, &set->all, OP_MODULE, SUBJECT_ALL);
	weigh(&verdict, &set->memfd, OP_MODULE, SUBJECT_MEMFD);
	weigh(&verdict, &set->unknown, OP_MODULE, SUBJECT_UNKNOWN);
	return finish(set, &verdict, NULL, OP_MODULE, HOOK_LOAD_MODULE, NULL, 0);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(on_ptrace, struct task_struct *child, unsigned int mode, int earlier)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};
	struct facts facts = {};

	if (earlier || !(mode & PTRACE_MODE_ATTACH) || !set || !asks(set, OP_PTRACE))
		return earlier;
	weigh_actor(set, &verdict, &facts, OP_PTRACE);
	return finish(set, &verdict, &facts, OP_PTRACE, HOOK_PTRACE, child->comm, child->tgid);
}

SEC("lsm/bpf")
int BPF_PROG(on_bpf, int command, void *attributes, unsigned int size, int earlier)
{
	struct settings *set = current_settings();
	struct verdict verdict = {};
	struct facts facts = {};

	if (earlier || command != BPF_PROG_LOAD || !set || !asks(set, OP_BPF))
		return earlier;
	weigh_actor(set, &verdict, &facts, OP_BPF);
	return finish(set, &verdict, &facts, OP_BPF, HOOK_BPF, NULL, 0);
}

static __always_inline int to_address(const void *address, __u8 hook)
{
	struct settings *set = current_settings();
	struct user_sockaddr to = {};
	struct verdict verdict = {};
	struct facts facts = {};
	struct endpoint end = {};
	struct denial *record;

	if (!set || !asks(set, OP_CONNECT) ||
	    bpf_probe_read_kernel(&to.family, sizeof(to.family), address))
		return 0;
	if (to.family == AF_INET) {
		if (bpf_probe_read_kernel(&to, 8, address))
			return 0;
		end.address[10] = end.address[11] = 0xff;
		__builtin_memcpy(end.address + 12, to.rest, 4);
	} else if (to.family == AF_INET6) {
		if (bpf_probe_read_kernel(&to, sizeof(to), address))
			return 0;
		__builtin_memcpy(end.address, to.rest + 4, 16);
	} else {
		return 0;
	}
	end.port = __builtin_bswap16(to.port);
	weigh_actor(set, &verdict, &facts, OP_CONNECT);
	weigh_destination(set, &verdict, &end);
	if (!verdict.disposition)
		return 0;
	record = record_of(set, &verdict, &facts);
	if (record) {
		record->operation = OP_CONNECT;
		record->hook = hook;
		record->port = end.port;
		__builtin_memcpy(record->address, end.address, 16);
		bpf_ringbuf_submit(record, 0);
	}
	return verdict.disposition == DENIED ? -EPERM : 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(on_connect, struct socket *socket, void *address, int length, int earlier)
{
	return earlier ?: to_address(address, HOOK_CONNECT);
}

/* A datagram may name its destination without a connect. */
SEC("lsm/socket_sendmsg")
int BPF_PROG(on_send, struct socket *socket, struct msghdr *message, int size, int earlier)
{
	void *name = earlier ? NULL : BPF_CORE_READ(message, msg_name);

	return name ? to_address(name, HOOK_SEND) : earlier;
}

char LICENSE[] SEC("license") = "GPL";
