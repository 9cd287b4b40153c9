//! A BPF program that nobody owns up to.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;

use metsuke_crossview::Scope;
use metsuke_crossview::SubjectType::Bpf;
use metsuke_testkit::table::{Outcome, Table, row};
use metsuke_testkit::{Cgroup, needs};

use crate::support::{config, look, works};

/// Loads a program that returns 0 and is attached to nothing; gives it with its id.
fn load() -> io::Result<(OwnedFd, u32)> {
    const TRACEPOINT: u32 = 5;
    let code = [
        // r0 = 0; exit
        libbpf_sys::bpf_insn { code: 0xb7, ..Default::default() },
        libbpf_sys::bpf_insn { code: 0x95, ..Default::default() },
    ];
    // SAFETY: name, licence and code outlive the call; two instructions are given.
    let fd = unsafe {
        libbpf_sys::bpf_prog_load(
            TRACEPOINT,
            c"metsuke_test".as_ptr(),
            c"GPL".as_ptr(),
            code.as_ptr(),
            2,
            std::ptr::null_mut(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let info = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{fd}"))?;
    let id = info.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
    Ok((program, id.ok_or_else(|| io::Error::other("its fdinfo has no id"))?))
}

/// Sends a descriptor, which then lives in the socket's queue and in no table of a process.
fn send(socket: &UnixDatagram, descriptor: &OwnedFd) -> io::Result<()> {
    let byte = [0_u8];
    let mut part = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: 1 };
    let mut room = [0_u64; 4];
    // SAFETY: all zero is a valid empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = room.as_mut_ptr().cast();
    // SAFETY: the control buffer has room for a header and one descriptor, and is aligned for it;
    // everything pointed to outlives the call.
    let sent = unsafe {
        message.msg_controllen = libc::CMSG_SPACE(4) as usize;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(head).cast::<i32>().write_unaligned(descriptor.as_raw_fd());
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0)
    };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn a_program_that_nobody_owns_up_to_is_told() -> anyhow::Result<()> {
    let test = "a_program_that_nobody_owns_up_to_is_told";
    needs!(test, Root, Cgroup);
    let group = Cgroup::create("crossview")?;
    let ((hidden, hidden_id), (_open, open_id)) = match load().and_then(|one| Ok((one, load()?))) {
        Ok(programs) => programs,
        Err(error) => {
            metsuke_testkit::not_run::not_run(test, &format!("no BPF program is taken: {error}"));
            return Ok(());
        }
    };
    let (one, other) = UnixDatagram::pair()?;
    send(&one, &hidden)?;
    drop(hidden);
    let mut config = config(&group, &[Bpf]);
    config.scope = Scope::Host;
    let report = look(&config)?;
    if !works(&report, test, "bpf_ids") {
        return Ok(());
    }
    let told = |id: u32| {
        let start = format!("program {id}");
        let is_it = |subject: &str| {
            subject
                .strip_prefix(&start)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        report.discrepancies.iter().find(|found| is_it(&found.subject))
    };
    let found = told(hidden_id).expect("told");
    assert_eq!((found.technique.as_str(), found.of), ("no_owner", Bpf));
    assert_eq!(found.missing_from, ["owners"]);
    assert!(found.detail.contains("user 0 loaded it"), "{found:?}");
    assert!(told(open_id).is_none(), "one in a process's table is owned: {report:#?}");
    drop(other);
    let reason = "bpf no_owner: no descriptor, pinned name, link, control group or program array \
                  leads to it; told with loader, time and tag";
    row(Table::Crossview, "BPF program nobody owns up to", Outcome::Seen, reason);
    Ok(())
}
