//! The gate on this kernel: executions from a file system of memory wait until their content was
//! looked at.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::{DenyList, Disposition, Entry, Mode, Operations, Subject};
use metsuke_enforce::gate::{self, GateSpec, Keeper, KeeperConfig, News};
use metsuke_testkit::table::{Outcome, Table, row};

use crate::init;
use crate::tiny::{program, put, sha256};
use crate::world::{Deed, Went, act};

const PLACE: &str = "/tmp/gated";
/// A file with the content that is denied, for the holder to hash.
const SAMPLE: &str = "/tmp/gate-sample";
/// How long news may take: the emulated machine is slow.
const TOLD: Duration = Duration::from_secs(60);

fn list() -> Result<DenyList> {
    let mut list = DenyList::default();
    let subject = Subject::Sha256(sha256(&std::fs::read(SAMPLE)?));
    list.add(Entry { subject, operations: Operations::EXEC, mode: Mode::Deny })?;
    Ok(list)
}

/// Holds it, as the process that the keeper starts.
pub(crate) fn hold() -> Result<()> {
    let inside = metsuke_enforce::scope::hierarchy().context("cgroup v2")?.join("inside");
    let spec = GateSpec {
        mounts: vec![PLACE.into()],
        private: vec!["/guest".into()],
        scope: EnforceScope::cgroup(&inside)?,
        list: list()?,
        own: Vec::new(),
        wait: TOLD,
    };
    Ok(gate::holder(spec, io::stdin().as_fd())?)
}

/// A copy that nobody has seen is not executed in the scope, and outside it is.
pub(crate) fn unseen() -> Result<()> {
    let root = metsuke_enforce::scope::hierarchy().context("cgroup v2")?;
    let (inside, outside) = (root.join("inside"), root.join("outside"));
    init::mount("tmpfs", PLACE)?;
    let bytes = program();
    put(Path::new(SAMPLE), &bytes)?;
    let (sender, news) = channel();
    let command = || {
        let mut command = Command::new("/guest");
        command.arg("gate").stdout(Stdio::null());
        command
    };
    let tell = move |one| drop(sender.send(one));
    let _keeper = Keeper::start(KeeperConfig::new(command, list()?, tell))?;
    let first = news.recv_timeout(TOLD)?;
    ensure!(first == News::Holds(1), "{first:?}");
    let path = Path::new(PLACE).join("copy");
    put(&path, &bytes)?;
    let other = Path::new(PLACE).join("other");
    put(&other, &program())?;
    ensure!(act(&inside, &Deed::Exec(other))? == Went::Done, "another content");
    let went = act(&inside, &Deed::Exec(path.clone()))?;
    ensure!(went == Went::Refused(libc::EPERM), "in the scope: {went:?}");
    match news.recv_timeout(TOLD)? {
        News::Met(told) if told.disposition == Disposition::Denied => {}
        other => bail!("told instead of the decision: {other:?}"),
    }
    ensure!(act(&outside, &Deed::Exec(path))? == Went::Done, "outside the scope");
    let name = "exec by content from a gated mount, without BPF LSM: a copy never seen before";
    row(
        Table::Support,
        name,
        Outcome::Stopped,
        "EPERM by fanotify/open_exec_perm; outside the scope allowed",
    );
    Ok(())
}
