/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Kernel modules loaded and removed. An object of its own: a kernel may have no modules. */
#include "text.h"

#define FINIT_MODULE 313
#define I386_FINIT_MODULE 350

static __always_inline int tell(struct module *module, __u16 kind)
{
	struct scratch *space = scratch();
	struct task_struct *task = bpf_get_current_task_btf();
	struct record_module *record;
	struct pt_regs *regs;
	struct file *file = NULL;
	__u32 at = sizeof(*record), next = at;

	if (!space || !in_scope())
		return 0;
	record = (struct record_module *)space->data;
	fill_head(&record->head, task, kind);
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	record->call = READ(struct pt_regs, regs, orig_ax);
	/* The call that loads it names the file by its descriptor. */
	if (task->thread_info.status & TS_COMPAT) {
		if (record->call == I386_FINIT_MODULE)
			file = file_of(task, READ(struct pt_regs, regs, bx));
	} else if (record->call == FINIT_MODULE) {
		file = file_of(task, READ(struct pt_regs, regs, di));
	}
	record->taints = BPF_CORE_READ(module, taints);
	bpf_probe_read_kernel_str(record->name, sizeof(record->name), &module->name);
	if (file)
		next = put_path(space, at, READ(struct file, file, f_path.dentry),
				READ(struct file, file, f_path.mnt));
	record->path = next - at;
	record->pad = 0;
	send(&record->head, next);
	return 0;
}

SEC("tp_btf/module_load")
int BPF_PROG(on_module_load, struct module *module)
{
	return tell(module, RECORD_MODULE_LOAD);
}

SEC("tp_btf/module_free")
int BPF_PROG(on_module_free, struct module *module)
{
	return tell(module, RECORD_MODULE_UNLOAD);
}

char LICENSE[] SEC("license") = "GPL";
