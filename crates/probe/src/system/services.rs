//! Services started and stopped: under systemd by the control groups it gives them, under sysv by
//! the scripts of /etc/init.d being run.
//!
//! Invariant: a service that goes on in the same control group is not told to have stopped.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metsuke_event::activity::{Activity, ServiceActivity};
use metsuke_event::{Process, Service, Timestamp};

use crate::system::Told;
use crate::system::persistence::UNIT_FOLDERS;

/// Services known at once; a host has a few hundred.
const MAX_SERVICES: usize = 4_096;

/// A control group that a process left is looked at after this long, in nanoseconds: between its
/// steps (`ExecStartPre`, `ExecStart`) a service has no process either, and a process that is told to
/// end is counted by its group for a moment more.
const EMPTY_NANOS: u64 = 1_000_000_000;

/// Found not empty, it is looked at again after twice as long, up to this.
const LAST_LOOK_NANOS: u64 = 64 * EMPTY_NANOS;

/// Signals by which a service that is told to stop ends: hang-up, interrupt, pipe, terminate
/// (systemd.service(5), `SuccessExitStatus`).
const CLEAN_SIGNALS: [u64; 4] = [1, 2, 13, 15];

/// How systemd itself enters a service's control group before it runs the service.
const EXECUTOR: &str = "/systemd-executor";

#[derive(Debug)]
struct Running {
    /// Inode of the control group: another one means another start.
    group: u64,
    main: Arc<Process>,
    main_ended: bool,
    failed: bool,
    left: Option<Left>,
}

/// The latest end of a process of a service whose main process has ended.
#[derive(Debug)]
struct Left {
    time: Timestamp,
    by: Arc<Process>,
    /// When to look whether the group is empty, and how long was waited for that.
    due: u64,
    wait: u64,
}

#[derive(Debug)]
pub(super) struct Services {
    root: Option<PathBuf>,
    systemd: bool,
    running: HashMap<String, Running>,
    /// The latest group of each name that was seen to be made: it may be gone when it is asked for.
    made: HashMap<String, u64>,
    next: u64,
    refused: u64,
}

impl Services {
    /// `root` is where the control groups (v2) are.
    pub(super) fn new(root: Option<PathBuf>) -> Self {
        let systemd = Path::new("/run/systemd/system").is_dir();
        Self {
            root,
            systemd,
            running: HashMap::new(),
            made: HashMap::new(),
            next: u64::MAX,
            refused: 0,
        }
    }

    /// Services that found no room: their starts and stops are not told.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// A control group was made.
    pub(super) fn made(&mut self, id: u64, path: &str) {
        // Groups below a service's own are none of their own.
        let Some((group, _)) = group_of(path).filter(|(group, _)| *group == path) else { return };
        if self.made.len() >= MAX_SERVICES {
            // What is there can be asked for.
            self.made.clear();
        }
        self.made.insert(group.to_owned(), id);
    }

    /// A process that ran before anything was watched.
    pub(super) fn known(&mut self, process: &Arc<Process>) {
        let Some((group, _)) = process.cgroup.as_deref().and_then(group_of) else { return };
        if let Some(inode) = self.inode(group) {
            self.enter(group, inode, process);
        }
    }

    /// A process runs a new executable.
    pub(super) fn exec(&mut self, process: &Arc<Process>, time: Timestamp, told: &mut Vec<Told>) {
        if !self.systemd {
            told.extend(init_script(process).map(|(what, service)| Told {
                time,
                process: Arc::clone(process),
                activity: Activity::Service(what, service),
            }));
        }
        let Some((group, name)) = process.cgroup.as_deref().and_then(group_of) else { return };
        if process.exe.as_deref().is_some_and(|exe| exe.ends_with(EXECUTOR)) {
            return;
        }
        let Some(inode) = self.inode(group) else { return };
        if let Some(running) = self.running.get_mut(group) {
            if running.group == inode {
                running.left = None;
                if running.main_ended {
                    (running.main, running.main_ended) = (Arc::clone(process), false);
                    running.failed = false;
                }
                return;
            }
            let (time, by) = match &running.left {
                Some(left) => (left.time, Arc::clone(&left.by)),
                None => (time, Arc::clone(&running.main)),
            };
            told.push(stopped(name, running, time, by));
            self.running.remove(group);
        }
        if self.enter(group, inode, process) {
            let service = Service {
                command: process.cmd_line.clone(),
                user: process.user_name.clone(),
                state: Some("active".into()),
                pid: process.pid,
                ..described(name)
            };
            let activity = Activity::Service(ServiceActivity::Start, service);
            told.push(Told { time, process: Arc::clone(process), activity });
        }
    }

    /// A process ended.
    pub(super) fn exit(&mut self, process: &Arc<Process>, time: Timestamp, now: u64) {
        let Some((group, _)) = process.cgroup.as_deref().and_then(group_of) else { return };
        let Some(running) = self.running.get_mut(group) else { return };
        if running.main.uid == process.uid {
            running.main_ended = true;
            running.failed = match process.exit_signal {
                Some(signal) => !CLEAN_SIGNALS.contains(&signal),
                None => process.exit_code.is_some_and(|code| code != 0),
            };
        }
        if running.main_ended {
            let due = now.saturating_add(EMPTY_NANOS);
            running.left = Some(Left { time, by: Arc::clone(process), due, wait: EMPTY_NANOS });
            self.next = self.next.min(due);
        }
    }

    /// Tells which services have had no process for a while at `now`.
    pub(super) fn round(&mut self, now: u64, told: &mut Vec<Told>) {
        if now < self.next {
            return;
        }
        self.next = u64::MAX;
        let root = self.root.as_deref();
        let (next, made) = (&mut self.next, &mut self.made);
        self.running.retain(|group, running| {
            let Some(mut left) = running.left.take() else { return true };
            if left.due <= now {
                if root.is_none_or(|root| is_empty(root, group)) {
                    let name = group.rsplit('/').next().unwrap_or_default();
                    told.push(stopped(name, running, left.time, left.by));
                    if made.get(group) == Some(&running.group) {
                        made.remove(group);
                    }
                    return false;
                }
                left.wait *= 2;
                if left.wait > LAST_LOOK_NANOS {
                    return true;
                }
                left.due = now.saturating_add(left.wait);
            }
            *next = (*next).min(left.due);
            running.left = Some(left);
            true
        });
    }

    fn enter(&mut self, group: &str, inode: u64, process: &Arc<Process>) -> bool {
        if self.running.contains_key(group) {
            return false;
        }
        if self.running.len() >= MAX_SERVICES {
            self.refused += 1;
            return false;
        }
        let main = Arc::clone(process);
        let running = Running { group: inode, main, main_ended: false, failed: false, left: None };
        self.running.insert(group.to_owned(), running);
        true
    }

    fn inode(&self, group: &str) -> Option<u64> {
        if let Some(id) = self.made.get(group) {
            return Some(*id);
        }
        let path = self.root.as_deref()?.join(group.trim_start_matches('/'));
        fs::metadata(path).ok().map(|meta| meta.ino())
    }
}

/// Whether no process is left in a group or below it; one that is gone is empty.
fn is_empty(root: &Path, group: &str) -> bool {
    let path = root.join(group.trim_start_matches('/')).join("cgroup.events");
    fs::read_to_string(path).map_or(true, |text| text.lines().any(|line| line == "populated 0"))
}

fn stopped(name: &str, running: &Running, time: Timestamp, by: Arc<Process>) -> Told {
    let service = Service {
        command: running.main.cmd_line.clone(),
        user: running.main.user_name.clone(),
        state: Some(if running.failed { "failed" } else { "inactive" }.into()),
        pid: running.main.pid,
        ..described(name)
    };
    Told { time, process: by, activity: Activity::Service(ServiceActivity::Stop, service) }
}

/// The innermost group of a path that belongs to a service, and the service's name.
fn group_of(path: &str) -> Option<(&str, &str)> {
    let end = path.rmatch_indices(".service").map(|(at, text)| at + text.len());
    let end =
        end.into_iter().find(|end| path[*end..].is_empty() || path[*end..].starts_with('/'))?;
    let group = &path[..end];
    Some((group, group.rsplit('/').next()?))
}

fn described(name: &str) -> Service {
    // An instance a@b.service is defined by a@.service.
    let template = name.split_once('@').map(|(stem, _)| format!("{stem}@.service"));
    let names = [Some(name.to_owned()), template];
    let path = names.iter().flatten().find_map(|name| {
        UNIT_FOLDERS
            .iter()
            .map(|folder| format!("{folder}/{name}"))
            .find(|path| fs::symlink_metadata(path).is_ok())
    });
    Service {
        name: Some(name.into()),
        path: path.map(Into::into),
        manager: Some("systemd".into()),
        ..Service::default()
    }
}

/// A script of /etc/init.d (or a link to it in rcN.d) that is run with an order.
fn init_script(process: &Process) -> Option<(ServiceActivity, Service)> {
    let script = process.script.as_deref()?;
    let (folder, name) = script.rsplit_once('/')?;
    let name = match folder {
        "/etc/init.d" => name,
        folder if folder.starts_with("/etc/rc") => name.get(3..).filter(|name| !name.is_empty())?,
        _ => return None,
    };
    let order = process.cmd_line.as_deref()?.rsplit(' ').next()?;
    let (what, state) = match order {
        "start" => (ServiceActivity::Start, "active"),
        "restart" | "force-reload" => (ServiceActivity::Start, "restarted"),
        "stop" => (ServiceActivity::Stop, "inactive"),
        _ => return None,
    };
    let service = Service {
        name: Some(name.into()),
        path: Some(script.into()),
        command: process.cmd_line.clone(),
        user: process.user_name.clone(),
        state: Some(state.into()),
        manager: Some("sysv".into()),
        ..Service::default()
    };
    Some((what, service))
}

#[cfg(test)]
mod tests {
    use metsuke_event::Process;
    use metsuke_event::activity::ServiceActivity;

    use super::{group_of, init_script};

    #[test]
    fn groups_of_services() {
        for (path, expected) in [
            ("/system.slice/a.service", Some(("/system.slice/a.service", "a.service"))),
            ("/x/a@1.service/sub/b", Some(("/x/a@1.service", "a@1.service"))),
            (
                "/user.slice/user@1.service/app.slice/b.service",
                Some(("/user.slice/user@1.service/app.slice/b.service", "b.service")),
            ),
            ("/system.slice/a.services", None),
            ("/user.slice/session-1.scope", None),
            ("/", None),
        ] {
            assert_eq!(group_of(path), expected, "{path}");
        }
    }

    #[test]
    fn orders_to_init_scripts() {
        let of = |script: &str, line: &str| {
            init_script(&Process {
                script: Some(script.into()),
                cmd_line: Some(line.into()),
                ..Process::default()
            })
            .map(|(what, service)| (what, service.name.unwrap().to_string()))
        };
        let start = Some((ServiceActivity::Start, "ssh".to_owned()));
        assert_eq!(of("/etc/init.d/ssh", "/bin/sh /etc/init.d/ssh start"), start);
        assert_eq!(of("/etc/rc2.d/S01ssh", "/bin/sh /etc/rc2.d/S01ssh start"), start);
        assert_eq!(of("/etc/init.d/ssh", "/bin/sh /etc/init.d/ssh status"), None);
        assert_eq!(of("/tmp/ssh", "/bin/sh /tmp/ssh start"), None);
    }
}
