/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Tier 1, tried only: a BPF LSM program that allows everything. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("lsm/bprm_check_security")
int BPF_PROG(on_exec_check, struct linux_binprm *bprm, int earlier)
{
	return earlier;
}

char LICENSE[] SEC("license") = "GPL";
