//! A process that holds a secret, and what may be read of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use metsuke_enforce::EnforceScope;
use metsuke_enforce::host::{self, Seen};
use metsuke_event::{BootId, ProcessKey};
use metsuke_evidence::memory::Walk;
use metsuke_evidence::scan::Scanner;
use metsuke_evidence::{Reach, Subject};
use metsuke_respond::Regions;
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::process::Running;
use metsuke_testkit::{binaries, wait};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn boot() -> BootId {
    host::boot_id().expect("Linux has one")
}

pub(crate) fn reach(group: &Cgroup) -> Reach {
    let scope = EnforceScope::cgroup(group.path()).expect("a group");
    Reach { scope, boot: boot(), roots: None, private: Vec::new() }
}

pub(crate) fn key(pid: u32) -> ProcessKey {
    Seen::look(pid).expect("runs").key(boot())
}

pub(crate) fn walk(regions: Regions, max_bytes: u64) -> Walk {
    Walk { regions, max_bytes, cpu_percent: 100, limit: LIMIT }
}

/// A shell that has read `secret` from a file, so that it stands nowhere but in its memory, and then
/// waits for a pipe that nobody opens.
pub(crate) fn keeper(group: &Cgroup, dir: &Path, secret: &str) -> Result<Running> {
    let file = dir.join("secret");
    std::fs::File::create(&file)?.write_all(format!("{secret}\n").as_bytes())?;
    let (ready, never) = (dir.join("ready"), dir.join("never"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &never,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )?;
    let script = "read -r kept < \"$1\"; : > \"$2\"; read -r more < \"$3\"; echo \"$kept$more\"";
    let mut command = group.command("/bin/sh");
    command.args(["-c", script, "keeper"]).args([&file, &ready, &never]);
    let running = Running::start("keeper", &mut command, &dir.join("log"))?;
    wait::until_true("the secret to be read", LIMIT, || Ok(ready.exists()))?;
    let stands_still = || Ok(Seen::look(running.pid()).is_some_and(|seen| seen.state == 'S'));
    wait::until_true("the keeper to wait", LIMIT, stands_still)?;
    std::fs::remove_file(&file)?;
    Ok(running)
}

pub(crate) fn subject(group: &Cgroup, running: &Running) -> Result<Subject> {
    Ok(reach(group).process(key(running.pid()))?)
}

/// The scanner; `None`, saying so, when it is not built.
pub(crate) fn scanner(test: &str) -> Option<Scanner> {
    match program() {
        Ok(program) => Some(Scanner {
            program,
            cpu_percent: 100,
            memory_bytes: 1 << 30,
            limit: Duration::from_secs(300),
        }),
        Err(error) => {
            eprintln!("NOT RUN: {test}: {error:#}");
            None
        }
    }
}

fn program() -> Result<PathBuf> {
    binaries::binary("metsuke-yara")
}
