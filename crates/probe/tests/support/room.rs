//! A room: a private mount namespace in which /etc, /var, /root and /home may be written, over the
//! host's own, without the host ever seeing it.

use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::Group;

/// Folders over which the room has a layer of its own.
const LAYERS: [&str; 4] = ["/etc", "/var", "/root", "/home"];

/// Where the layers lie; empty outside the room, where a file system of memory is mounted on it.
pub(crate) struct Room(tempfile::TempDir, fn(&Path) -> Vec<Step>);

impl Room {
    /// Makes one; `None`, saying so, when this machine does not let us mount.
    pub(crate) fn make(test: &str, group: &Group) -> Option<Self> {
        let room = Self(tempfile::tempdir().unwrap(), steps);
        let status = room.command(group, "/bin/true", &[]).status();
        if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Some(room);
        }
        eprintln!("NOT RUN: {test}: no private mount namespace with overlays: {status:?}");
        None
    }

    /// A room with a root of its own, as a container has: everything written stays in it.
    pub(crate) fn container(test: &str, group: &Group) -> Option<Self> {
        let room = Self(tempfile::tempdir().unwrap(), container_steps);
        let status = room.command(group, "/bin/true", &[]).status();
        if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Some(room);
        }
        eprintln!("NOT RUN: {test}: no root of its own over an overlay: {status:?}");
        None
    }

    /// A command that runs in the group and the room from its first instruction on.
    pub(crate) fn command(&self, group: &Group, program: &str, args: &[&str]) -> Command {
        let mut command = group.command(program, args);
        let steps = self.1(self.0.path());
        // SAFETY: between fork and exec only system calls are made, on strings made before.
        unsafe {
            command.pre_exec(move || steps.iter().try_for_each(Step::take));
        }
        command
    }

    /// Starts this test binary's `helper` in `role`; its standard input is a pipe.
    pub(crate) fn helper(&self, group: &Group, role: &str) -> Helper {
        let me = std::env::current_exe().unwrap();
        let args = ["--exact", "helper", "--nocapture", "--test-threads=1"];
        let mut command = self.command(group, me.to_str().unwrap(), &args);
        command.env(super::ROLE, role);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Helper::of(command.spawn().unwrap())
    }
}

/// A helper that takes steps when told; it is ended on drop.
pub(crate) struct Helper {
    child: Child,
    lines: Receiver<String>,
}

impl Helper {
    pub(crate) fn of(mut child: Child) -> Self {
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Ends with the helper's output, or when nobody listens any more.
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok()
        });
        Self { child, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it take a step, and waits until it says `done`; gives what it said before.
    pub(crate) fn step(&mut self, name: &str) -> Vec<String> {
        writeln!(self.child.stdin.as_mut().unwrap(), "{name}").unwrap();
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(super::PATIENCE) {
                Ok(line) if line == "done" => return said,
                Ok(line) => said.push(line),
                Err(error) => panic!("{name}: {error}; it said {said:?}"),
            }
        }
    }

    /// Lets it end by itself.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // One that has ended already cannot be ended again: nothing to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A system call of the way into the room.
pub(crate) enum Step {
    Leave,
    Enter(CString),
    /// The working directory becomes the root, and what was the root is let go.
    Turn,
    Folder(CString),
    Mount {
        source: CString,
        target: CString,
        kind: CString,
        flags: libc::c_ulong,
        data: CString,
    },
}

impl Step {
    fn take(&self) -> io::Result<()> {
        // SAFETY: system calls on C strings that live as long as `self`.
        let result = unsafe {
            match self {
                Self::Leave => libc::unshare(libc::CLONE_NEWNS),
                Self::Enter(path) => libc::chdir(path.as_ptr()),
                Self::Turn => {
                    let here = c".".as_ptr();
                    let turned = libc::syscall(libc::SYS_pivot_root, here, here);
                    if turned == 0 { libc::umount2(here, libc::MNT_DETACH) } else { -1 }
                }
                Self::Folder(path) => libc::mkdir(path.as_ptr(), 0o755),
                Self::Mount { source, target, kind, flags, data } => libc::mount(
                    source.as_ptr(),
                    target.as_ptr(),
                    kind.as_ptr(),
                    *flags,
                    data.as_ptr().cast(),
                ),
            }
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn text(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).unwrap()
}

fn mount(source: &str, target: PathBuf, kind: &str, flags: libc::c_ulong, data: String) -> Step {
    Step::Mount {
        source: text(source),
        target: text(target),
        kind: text(kind),
        flags,
        data: text(data),
    }
}

/// Into a mount namespace of its own, with a file system of memory at `base`.
fn apart(base: &Path) -> Vec<Step> {
    vec![
        Step::Leave,
        mount("none", "/".into(), "none", libc::MS_REC | libc::MS_PRIVATE, String::new()),
        mount("room", base.into(), "tmpfs", 0, "size=64m".to_owned()),
    ]
}

fn container_steps(base: &Path) -> Vec<Step> {
    let base = fs::canonicalize(base).unwrap();
    let mut steps = apart(&base);
    let (upper, work, root) = (base.join("upper"), base.join("work"), base.join("root"));
    steps.extend([&upper, &work, &root].map(|path| Step::Folder(text(path))));
    let data = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    steps.push(mount("overlay", root.clone(), "overlay", 0, data));
    steps.extend([Step::Enter(text(root)), Step::Turn, Step::Enter(text("/"))]);
    steps
}

fn steps(base: &Path) -> Vec<Step> {
    let base = fs::canonicalize(base).unwrap();
    let mut steps = apart(&base);
    for layer in LAYERS {
        let own = base.join(layer.trim_start_matches('/'));
        let (upper, work) = (own.join("upper"), own.join("work"));
        steps.extend([&own, &upper, &work].map(|path| Step::Folder(text(path))));
        let data =
            format!("lowerdir={layer},upperdir={},workdir={}", upper.display(), work.display());
        steps.push(mount("overlay", layer.into(), "overlay", 0, data));
    }
    steps
}
