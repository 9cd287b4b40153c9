//! Listening sockets where the host's own tools do not look.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;

use metsuke_crossview::Scope;
use metsuke_crossview::SubjectType::Socket;
use metsuke_testkit::table::{Outcome, Table, row};
use metsuke_testkit::{Cgroup, needs};

use crate::support::{Sleeper, apart, config, look, only, works};

/// Moves the calling thread into a network of its own, which is connected to nothing.
fn own_network() -> io::Result<()> {
    // SAFETY: a plain system call on the calling thread.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn inode(listener: &TcpListener) -> io::Result<u64> {
    let path = format!("/proc/thread-self/fd/{}", listener.as_raw_fd());
    Ok(std::fs::metadata(path)?.ino())
}

#[test]
fn a_listener_in_another_network_namespace_is_told() -> anyhow::Result<()> {
    let test = "a_listener_in_another_network_namespace_is_told";
    needs!(test, Root, Cgroup);
    let group = Cgroup::create("crossview")?;
    let mut command = group.command("/bin/sleep");
    command.arg("600");
    // SAFETY: the process has one thread after fork; what it calls are system calls.
    unsafe {
        command.pre_exec(|| {
            own_network()?;
            let listener = TcpListener::bind("0.0.0.0:4444")?.into_raw_fd();
            // It is to stay open over exec.
            if libc::fcntl(listener, libc::F_SETFD, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let hidden = Sleeper::start(command, "sleep")?;
    let report = look(&config(&group, &[Socket]))?;
    if !works(&report, test, "bpf_iter_task_file") || !works(&report, test, "proc_net") {
        return Ok(());
    }
    let found = only(&report, Socket, hidden.pid());
    assert_eq!(found.technique, "foreign_namespace");
    assert!(found.subject.contains("0.0.0.0:4444"), "{found:?}");
    let reason =
        "socket foreign_namespace: address, namespace and process; containers' are not told";
    row(Table::Crossview, "listening socket in another network namespace", Outcome::Seen, reason);
    Ok(())
}

#[test]
fn a_listener_in_a_namespace_of_nobody_is_told() -> anyhow::Result<()> {
    let test = "a_listener_in_a_namespace_of_nobody_is_told";
    needs!(test, Root, Cgroup);
    let group = Cgroup::create("crossview")?;
    // The thread ends; its namespace stays, held by the socket alone.
    let hidden = apart(|| {
        own_network()?;
        TcpListener::bind("0.0.0.0:4445")
    })?;
    let open = TcpListener::bind("127.0.0.1:0")?;
    let mut config = config(&group, &[Socket]);
    config.scope = Scope::Host;
    let report = look(&config)?;
    if !works(&report, test, "bpf_iter_task_file") {
        return Ok(());
    }
    let told = |inode: u64| {
        let ending = format!("(inode {inode})");
        report.discrepancies.iter().find(|found| found.subject.contains(&ending))
    };
    let found = told(inode(&hidden)?).expect("told");
    assert_eq!(found.technique, "unreachable_namespace");
    assert!(found.missing_from.contains(&"proc_net".to_owned()), "{found:?}");
    assert!(told(inode(&open)?).is_none(), "{report:#?}");
    let reason = "socket unreachable_namespace: no /proc/net of any process lists it, the file \
                  iterator does";
    row(
        Table::Crossview,
        "listening socket in a namespace no process lives in",
        Outcome::Seen,
        reason,
    );
    Ok(())
}
