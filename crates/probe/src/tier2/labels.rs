//! Names of what kernel records give as numbers: system calls, requests, types of programs.
//!
//! Numbers of the user-mode interface (`linux/bpf.h`, `linux/ptrace.h`, the x86-64 table of system
//! calls), which never change. One that is not listed is told as its number.

use metsuke_event::Text;

/// System calls that records name, by their x86-64 numbers.
const CALLS: &[(u32, &str)] = &[
    (1, "write"),
    (9, "mmap"),
    (10, "mprotect"),
    (16, "perf_event_set_bpf"),
    (18, "pwrite64"),
    (20, "writev"),
    (56, "clone"),
    (62, "kill"),
    (105, "setuid"),
    (106, "setgid"),
    (113, "setreuid"),
    (114, "setregid"),
    (116, "setgroups"),
    (117, "setresuid"),
    (119, "setresgid"),
    (122, "setfsuid"),
    (123, "setfsgid"),
    (126, "capset"),
    (129, "rt_sigqueueinfo"),
    (157, "prctl"),
    (175, "init_module"),
    (176, "delete_module"),
    (200, "tkill"),
    (234, "tgkill"),
    (246, "kexec_load"),
    (272, "unshare"),
    (297, "rt_tgsigqueueinfo"),
    (308, "setns"),
    (310, "process_vm_readv"),
    (311, "process_vm_writev"),
    (313, "finit_module"),
    (319, "memfd_create"),
    (320, "kexec_file_load"),
    (329, "pkey_mprotect"),
    (424, "pidfd_send_signal"),
    (425, "io_uring_setup"),
    (438, "pidfd_getfd"),
    (447, "memfd_secret"),
];

/// The name of system call `number`.
pub(super) fn call(number: u32) -> Text {
    let found = CALLS.iter().find(|(known, _)| *known == number);
    found.map_or_else(|| format!("system_call_{number}").into(), |(_, name)| (*name).into())
}

/// How a process reached into another one: `call` is 0 for the memory file of procfs.
pub(super) fn reach(number: u16, request: u16) -> Text {
    match (number, request) {
        (0, _) => "proc_mem".into(),
        (101, 16) => "ptrace_attach".into(),
        (101, 0x4206) => "ptrace_seize".into(),
        (101, 4..=6) => "ptrace_poke".into(),
        (101, 13 | 15 | 0x4205) => "ptrace_setregs".into(),
        (101, request) => format!("ptrace_{request}").into(),
        (number, _) => call(u32::from(number)),
    }
}

/// What a call to bpf(2), or another that attaches programs, did.
pub(super) fn bpf(number: u32, command: u32) -> Text {
    match (number, command) {
        (321, 5) => "bpf_prog_load".into(),
        (321, 6) => "bpf_obj_pin".into(),
        (321, 8) => "bpf_prog_attach".into(),
        (321, 9) => "bpf_prog_detach".into(),
        (321, 17) => "bpf_raw_tracepoint_open".into(),
        (321, 28) => "bpf_link_create".into(),
        (321, 34) => "bpf_link_detach".into(),
        (54, 26) => "setsockopt_attach_filter".into(),
        (54, _) => "setsockopt_attach_bpf".into(),
        (number, _) => call(number),
    }
}

/// Types of BPF programs (`enum bpf_prog_type`).
const PROGRAMS: [&str; 33] = [
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// The name of a type of BPF programs; `None` for all ones.
pub(super) fn program(number: u32) -> Option<Text> {
    named(&PROGRAMS, number)
}

/// Ways to attach BPF programs (`enum bpf_attach_type`).
const ATTACHMENTS: [&str; 59] = [
    "cgroup_inet_ingress",
    "cgroup_inet_egress",
    "cgroup_inet_sock_create",
    "cgroup_sock_ops",
    "sk_skb_stream_parser",
    "sk_skb_stream_verdict",
    "cgroup_device",
    "sk_msg_verdict",
    "cgroup_inet4_bind",
    "cgroup_inet6_bind",
    "cgroup_inet4_connect",
    "cgroup_inet6_connect",
    "cgroup_inet4_post_bind",
    "cgroup_inet6_post_bind",
    "cgroup_udp4_sendmsg",
    "cgroup_udp6_sendmsg",
    "lirc_mode2",
    "flow_dissector",
    "cgroup_sysctl",
    "cgroup_udp4_recvmsg",
    "cgroup_udp6_recvmsg",
    "cgroup_getsockopt",
    "cgroup_setsockopt",
    "trace_raw_tp",
    "trace_fentry",
    "trace_fexit",
    "modify_return",
    "lsm_mac",
    "trace_iter",
    "cgroup_inet4_getpeername",
    "cgroup_inet6_getpeername",
    "cgroup_inet4_getsockname",
    "cgroup_inet6_getsockname",
    "xdp_devmap",
    "cgroup_inet_sock_release",
    "xdp_cpumap",
    "sk_lookup",
    "xdp",
    "sk_skb_verdict",
    "sk_reuseport_select",
    "sk_reuseport_select_or_migrate",
    "perf_event",
    "trace_kprobe_multi",
    "lsm_cgroup",
    "struct_ops",
    "netfilter",
    "tcx_ingress",
    "tcx_egress",
    "trace_uprobe_multi",
    "cgroup_unix_connect",
    "cgroup_unix_sendmsg",
    "cgroup_unix_recvmsg",
    "cgroup_unix_getpeername",
    "cgroup_unix_getsockname",
    "netkit_primary",
    "netkit_peer",
    "trace_kprobe_session",
    "trace_uprobe_session",
    "attach_type",
];

/// The name of a way to attach; `None` for all ones.
pub(super) fn attachment(number: u32) -> Option<Text> {
    named(&ATTACHMENTS, number)
}

fn named(names: &[&str], number: u32) -> Option<Text> {
    if number == u32::MAX {
        return None;
    }
    let name = names.get(usize::try_from(number).ok()?);
    Some(name.map_or_else(|| number.to_string().into(), |name| (*name).into()))
}

/// What stands behind memory (`enum backing` of `bpf/memory.h`); `None` when it was not learnt.
pub(super) fn backing(number: u16) -> Option<Text> {
    const NAMES: [&str; 7] = ["", "anonymous", "file", "written_file", "memfd", "stack", "heap"];
    let name = NAMES.get(usize::from(number))?;
    (!name.is_empty()).then(|| (*name).into())
}

/// A protection as in `rwx`.
pub(super) fn protection(bits: u16) -> Text {
    let letter = |bit: u16, letter: char| if bits & bit == 0 { '-' } else { letter };
    [letter(1, 'r'), letter(2, 'w'), letter(4, 'x')].iter().collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::{CALLS, attachment, backing, bpf, call, program, protection, reach};

    #[test]
    fn numbers_and_names() {
        assert!(CALLS.is_sorted_by_key(|(number, _)| number), "in order, each once");
        assert_eq!(&*call(311), "process_vm_writev");
        assert_eq!(&*call(999), "system_call_999");
        assert_eq!(&*reach(0, 0), "proc_mem");
        assert_eq!(&*reach(101, 0x4206), "ptrace_seize");
        assert_eq!(&*bpf(54, 26), "setsockopt_attach_filter");
        assert_eq!(program(29).as_deref(), Some("lsm"));
        assert_eq!(program(29_000).as_deref(), Some("29000"));
        assert_eq!(program(u32::MAX), None);
        assert_eq!(attachment(10).as_deref(), Some("cgroup_inet4_connect"));
        assert_eq!((backing(4).as_deref(), backing(0)), (Some("memfd"), None));
        assert_eq!(&*protection(5), "r-x");
    }
}
