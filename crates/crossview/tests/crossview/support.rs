//! What the tests share: a look, and finding what it told.

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use metsuke_crossview::{Config, Found, Report, Scope, SubjectType, run};
use metsuke_testkit::Cgroup;

/// A pause long enough for two passes to be two; nothing here depends on it.
const GAP: Duration = Duration::from_millis(50);

/// What to look at, within a group of the test's own.
pub(crate) fn config(group: &Cgroup, subjects: &[SubjectType]) -> Config {
    Config {
        subjects: subjects.to_vec(),
        gap: GAP,
        directories: Vec::new(),
        ..Config::new(Scope::Cgroup(group.path().to_owned()))
    }
}

/// Looks.
pub(crate) fn look(config: &Config) -> anyhow::Result<Report> {
    Ok(run(config)?)
}

/// What was told of a process.
pub(crate) fn of_pid(report: &Report, of: SubjectType, pid: u32) -> Vec<&Found> {
    let is_it = |found: &&Found| {
        found.of == of && found.process.as_ref().is_some_and(|process| process.pid == pid)
    };
    report.discrepancies.iter().filter(is_it).collect()
}

/// The only thing told of a process.
pub(crate) fn only(report: &Report, of: SubjectType, pid: u32) -> Found {
    match of_pid(report, of, pid).as_slice() {
        [one] => (*one).clone(),
        other => panic!("told of {pid}: {other:#?}; all of {report:#?}"),
    }
}

/// Whether a view could look here; without it a NOT RUN line.
pub(crate) fn works(report: &Report, test: &str, view: &str) -> bool {
    let refused = report.views.iter().find(|one| one.name == view);
    match refused.map(|view| view.refused.as_ref()) {
        Some(None) => true,
        Some(Some(reason)) => {
            metsuke_testkit::not_run::not_run(test, &format!("{view}: {reason}"));
            false
        }
        None => panic!("there is no view {view}: {:#?}", report.views),
    }
}

/// A child that is ended with the test.
pub(crate) struct Sleeper(Child);

impl Sleeper {
    /// Runs `command` and waits until it runs the program `name`.
    pub(crate) fn start(mut command: Command, name: &str) -> anyhow::Result<Self> {
        let sleeper = Self(command.spawn()?);
        let comm = format!("/proc/{}/comm", sleeper.pid());
        metsuke_testkit::wait::until_true("the child to run", Duration::from_secs(60), || {
            Ok(std::fs::read_to_string(&comm).is_ok_and(|comm| comm.trim() == name))
        })?;
        Ok(sleeper)
    }

    /// An ordinary one in a group.
    pub(crate) fn plain(group: &Cgroup) -> anyhow::Result<Self> {
        let mut command = group.command("/bin/sleep");
        command.arg("600");
        Self::start(command, "sleep")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives the calling thread a mount namespace of its own, from which nothing gets out.
pub(crate) fn private_mounts() -> io::Result<()> {
    // SAFETY: plain system calls on the calling thread; the texts are constants with their NUL.
    unsafe {
        if libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS) != 0 {
            return Err(io::Error::last_os_error());
        }
        let all = libc::MS_REC | libc::MS_PRIVATE;
        let root = c"/".as_ptr();
        if libc::mount(std::ptr::null(), root, std::ptr::null(), all, std::ptr::null()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Mounts an empty file system over the entry of a process, or binds `other`'s entry over it.
pub(crate) fn cover(pid: u32, other: Option<u32>) -> io::Result<()> {
    let text = |path: String| std::ffi::CString::new(path).map_err(io::Error::other);
    let goal = text(format!("/proc/{pid}"))?;
    let source = text(other.map_or("none".to_owned(), |other| format!("/proc/{other}")))?;
    let flags = if other.is_some() { libc::MS_BIND } else { 0 };
    // SAFETY: every text ends with a NUL and outlives the call.
    let result = unsafe {
        libc::mount(source.as_ptr(), goal.as_ptr(), c"tmpfs".as_ptr(), flags, std::ptr::null())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs `body` on a thread of its own, whose namespaces end with it.
pub(crate) fn apart<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(body).join().expect("the thread's own panic is told"))
}

/// Compiles a C file to a shared library; the reason when this machine has no compiler.
pub(crate) fn library(source: &str, folder: &Path) -> Result<std::path::PathBuf, String> {
    let (code, output) = (folder.join("hide.c"), folder.join("hide.so"));
    std::fs::write(&code, source).map_err(|error| error.to_string())?;
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&output, &code])
        .arg("-ldl")
        .output()
        .map_err(|error| format!("no C compiler: {error}"))?;
    if done.status.success() {
        Ok(output)
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}
