/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Kernel modules loaded and removed. An object of its own: a kernel may have no modules. */
#include "shared.h"

static __always_inline int tell(struct module *module, __u16 kind)
{
	struct scratch *space = scratch();
	struct record_module *record;

	if (!space || !in_scope())
		return 0;
	record = (struct record_module *)space->data;
	fill_head(&record->head, bpf_get_current_task_btf(), kind);
	record->taints = BPF_CORE_READ(module, taints);
	bpf_probe_read_kernel_str(record->name, sizeof(record->name), &module->name);
	send(&record->head, sizeof(*record));
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
