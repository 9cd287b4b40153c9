//! What is done to the kernel: BPF programs, another kernel, settings. Done by direct system calls
//! in a control group, and where it matters in namespaces, of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only for system calls without a wrapper"
)]

mod support;

use std::ffi::{CStr, CString};
use std::fs;
use std::path::Path;

use metsuke_event::{Activity, Event, Kernel, Kind};
use support::actor::{Actor, call, fd};
use support::{Group, Shown, Table, Watch, pid_is, row};

fn kernel(event: &Event) -> &Kernel {
    match &event.activity {
        Activity::Kernel(_, kernel) => kernel,
        other => panic!("{other:?}"),
    }
}

fn called(name: &str) -> impl Fn(&Event) -> bool + '_ {
    move |event| kernel(event).call.as_deref() == Some(name)
}

fn u(value: impl TryInto<u64>) -> u64 {
    value.try_into().ok().unwrap()
}

fn bpf(command: u64, attributes: &mut [u8]) -> i64 {
    let (at, size) = (attributes.as_mut_ptr() as u64, attributes.len() as u64);
    call(libc::SYS_bpf, [command, at, size, 0, 0, 0])
}

fn put(attributes: &mut [u8], at: usize, bytes: &[u8]) {
    attributes[at..at + bytes.len()].copy_from_slice(bytes);
}

fn word(value: i64) -> [u8; 4] {
    u32::try_from(value).unwrap().to_ne_bytes()
}

/// Loads a program for packets of control groups that lets everything pass.
fn load() -> i64 {
    // r0 = 1; exit.
    let instructions: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];
    let mut attributes = [0; 128];
    put(&mut attributes, 0, &word(8));
    put(&mut attributes, 4, &word(2));
    put(&mut attributes, 8, &(instructions.as_ptr() as u64).to_ne_bytes());
    put(&mut attributes, 16, &(c"GPL".as_ptr() as u64).to_ne_bytes());
    put(&mut attributes, 48, b"lets_pass");
    put(&mut attributes, 68, &word(1));
    bpf(5, &mut attributes)
}

/// The number the kernel gave a program.
fn id_of(program: i64) -> u32 {
    let mut information = [0_u8; 8];
    let mut attributes = [0; 16];
    put(&mut attributes, 0, &word(program));
    put(&mut attributes, 4, &word(8));
    put(&mut attributes, 8, &(information.as_mut_ptr() as u64).to_ne_bytes());
    assert_eq!(bpf(15, &mut attributes), 0);
    u32::from_ne_bytes(information[4..].try_into().unwrap())
}

#[test]
fn bpf_programs_are_told() {
    const EGRESS: i64 = 1;
    let test = "bpf_programs_are_told";
    let Some(group) = Group::make(test) else { return };
    let folder = fs::File::open(&group.0).unwrap();
    let mut actor = Actor::fork(&group, || {
        let program = load();
        assert!(program >= 0, "{program}");
        let mut attributes = [0; 32];
        put(&mut attributes, 0, &word(i64::try_from(fd(&folder)).unwrap()));
        put(&mut attributes, 4, &word(program));
        put(&mut attributes, 8, &word(EGRESS));
        assert_eq!(bpf(8, &mut attributes.clone()), 0, "attach");
        assert_eq!(bpf(9, &mut attributes.clone()), 0, "detach");
        put(&mut attributes, 0, &word(program));
        put(&mut attributes, 4, &word(i64::try_from(fd(&folder)).unwrap()));
        let link = bpf(28, &mut attributes);
        assert!(link >= 0, "{link}");
        let mut attributes = [0; 16];
        put(&mut attributes, 0, &word(link));
        assert_eq!(bpf(34, &mut attributes), 0, "link detach");
        id_of(program).to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let id = u32::from_ne_bytes(actor.act().try_into().unwrap());
    for (kind, name) in [
        (Kind::BpfLoad, "bpf_prog_load"),
        (Kind::BpfAttach, "bpf_prog_attach"),
        (Kind::BpfDetach, "bpf_prog_detach"),
        (Kind::BpfAttach, "bpf_link_create"),
        (Kind::BpfDetach, "bpf_link_detach"),
    ] {
        let event = watch.of(kind, name, called(name));
        assert!(pid_is(&event, actor.pid()));
        let told = kernel(&event);
        assert_eq!(told.id, Some(u64::from(id)), "{name}");
        assert_eq!(told.name.as_deref(), Some("lets_pass"), "{name}");
        assert_eq!((told.kind.as_deref(), told.size), (Some("cgroup_skb"), Some(2)), "{name}");
        if !matches!(name, "bpf_prog_load" | "bpf_link_detach") {
            assert_eq!(told.attach_type.as_deref(), Some("cgroup_inet_egress"), "{name}");
            assert_eq!(told.target.as_deref(), group.0.to_str(), "{name}");
        }
    }
    actor.end();
    row(
        Table::Coverage,
        "eBPF Event",
        Shown::Seen,
        "bpf.load, bpf.attach, bpf.detach: id, name, type",
    );
}

/// Makes a mount namespace of the caller's own, with a bpffs at `place`.
fn own_bpffs(place: &CStr) -> bool {
    let alone = u(libc::MS_REC | libc::MS_PRIVATE);
    let (root, kind) = (c"/".as_ptr() as u64, c"bpf".as_ptr() as u64);
    call(libc::SYS_unshare, [u(libc::CLONE_NEWNS), 0, 0, 0, 0, 0]) == 0
        && call(libc::SYS_mount, [0, root, 0, alone, 0, 0]) == 0
        && call(libc::SYS_mount, [kind, place.as_ptr() as u64, kind, 0, 0, 0]) == 0
}

/// Makes a map of one element.
fn map() -> i64 {
    let mut attributes = [0; 64];
    for (at, value) in [(0, 2), (4, 4), (8, 8), (12, 1)] {
        put(&mut attributes, at, &word(value));
    }
    put(&mut attributes, 28, b"holds_one");
    bpf(0, &mut attributes)
}

#[test]
fn pins_are_told() {
    let test = "pins_are_told";
    let Some(group) = Group::make(test) else { return };
    let (dir, folder) = (tempfile::tempdir().unwrap(), fs::File::open(&group.0).unwrap());
    let text = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let place = text(dir.path());
    let names = ["program", "map", "link"].map(|name| text(&dir.path().join(name)));
    let mut actor = Actor::fork(&group, || {
        if !own_bpffs(&place) {
            return Vec::new();
        }
        let program = load();
        let mut attributes = [0; 32];
        put(&mut attributes, 0, &word(program));
        put(&mut attributes, 4, &word(i64::try_from(fd(&folder)).unwrap()));
        put(&mut attributes, 8, &word(1));
        for (object, name) in [program, map(), bpf(28, &mut attributes)].into_iter().zip(&names) {
            assert!(object >= 0, "{object}");
            let mut attributes = [0; 16];
            put(&mut attributes, 0, &(name.as_ptr() as u64).to_ne_bytes());
            put(&mut attributes, 8, &word(object));
            assert_eq!(bpf(6, &mut attributes), 0, "{name:?}");
        }
        id_of(program).to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Ok(program) = <[u8; 4]>::try_from(actor.act()) else {
        eprintln!("NOT RUN: {test}: no bpffs can be mounted in a namespace here");
        return;
    };
    let program = Some(u64::from(u32::from_ne_bytes(program)));
    for (path, (target, name)) in
        names.iter().zip([("program", "lets_pass"), ("map", "holds_one"), ("link", "lets_pass")])
    {
        let event = watch.of(Kind::BpfAttach, target, |event| {
            called("bpf_obj_pin")(event) && kernel(event).target.as_deref() == Some(target)
        });
        assert!(pid_is(&event, actor.pid()));
        let told = kernel(&event);
        assert_eq!(told.path.as_deref(), path.to_str().ok());
        assert_eq!(told.name.as_deref(), Some(name));
        assert_eq!(told.id == program, target != "map", "{told:?}");
        assert_eq!(told.kind.as_deref(), (target != "map").then_some("cgroup_skb"));
    }
    actor.end();
}

#[test]
fn filters_of_sockets_are_told() {
    let test = "filters_of_sockets_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let instructions = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0xffff }];
        let filter = libc::sock_fprog { len: 1, filter: instructions.as_ptr().cast_mut() };
        let (level, name) = (u(libc::SOL_SOCKET), u(libc::SO_ATTACH_FILTER));
        let size = u(size_of_val(&filter));
        let arguments = [fd(&socket), level, name, (&raw const filter) as u64, size, 0];
        assert_eq!(call(libc::SYS_setsockopt, arguments), 0);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let event = watch.of(Kind::BpfAttach, "the filter", called("setsockopt_attach_filter"));
    assert!(pid_is(&event, actor.pid()));
    assert_eq!(kernel(&event).target.as_deref(), Some("socket"));
}

/// Neither call can do anything: no image is named. The attempt is what is told.
#[test]
fn another_kernel_is_told() {
    /// No initial RAM disk; the flag beside it says so (`KEXEC_FILE_NO_INITRAMFS`).
    const NO_INITRD: u64 = u64::MAX;
    let test = "another_kernel_is_told";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let image = fs::canonicalize(dir.path()).unwrap().join("no-kernel");
    fs::write(&image, "none").unwrap();
    let mut actor = Actor::fork(&group, || {
        let file = fs::File::open(&image).unwrap();
        let line = c"quiet".as_ptr() as u64;
        let failed = call(libc::SYS_kexec_file_load, [fd(&file), NO_INITRD, 6, line, 1 << 2, 0]);
        assert!(failed < 0, "not a kernel");
        failed.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let failed = i64::from_ne_bytes(actor.act().try_into().unwrap());
    let event = watch.of(Kind::KernelExec, "the attempt", called("kexec_file_load"));
    assert!(pid_is(&event, actor.pid()));
    let told = kernel(&event);
    assert_eq!(told.path.as_deref(), image.to_str());
    assert_eq!((told.value.as_deref(), told.error), (Some("quiet"), Some(-failed)));
}

#[test]
fn settings_of_interest_are_told() {
    let test = "settings_of_interest_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        // Settings of a network namespace of its own.
        assert_eq!(call(libc::SYS_unshare, [u(libc::CLONE_NEWNET), 0, 0, 0, 0, 0]), 0);
        fs::write("/proc/sys/net/ipv4/ip_forward", "1\n").unwrap();
        fs::write("/proc/sys/net/ipv4/tcp_fin_timeout", "61\n").unwrap();
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let event = watch.of(Kind::KernelSetting, "the setting", |_| true);
    assert!(pid_is(&event, actor.pid()));
    let told = kernel(&event);
    assert_eq!(told.name.as_deref(), Some("net.ipv4.ip_forward"));
    assert_eq!((told.value.as_deref(), told.call.as_deref()), (Some("1"), Some("write")));
    assert_eq!(told.path.as_deref(), Some("/proc/sys/net/ipv4/ip_forward"));
    watch.of(Kind::FileModify, "one that is only a file", |event| {
        support::path_is(event, "/proc/sys/net/ipv4/tcp_fin_timeout".as_ref())
    });
    actor.end();
    let all = watch.stop();
    let settings = all.iter().filter(|event| event.activity.kind() == Kind::KernelSetting);
    assert_eq!(settings.count(), 1);
}
