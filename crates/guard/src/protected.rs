//! What of the sensor's own must not be touched, and which activities touch it.
//!
//! Pure. One list for everybody who watches: fanotify on the files, the probe's activities, the
//! looks at mounts and control groups. Invariant: what the sensor itself does is no tampering.

use std::path::{Path, PathBuf};

use metsuke_event::activity::{
    Activity, FileActivity, KernelActivity, ServiceActivity, TargetActivity,
};
use metsuke_event::{Event, File};

/// What is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    /// The sensor's processes: itself and its guard.
    pub pids: Vec<u32>,
    /// Files: program, configuration, unit.
    pub files: Vec<PathBuf>,
    /// Folders with all that is in them: the state.
    pub folders: Vec<PathBuf>,
    /// The service's name, for example `metsuke-sensor.service`.
    pub unit: String,
}

/// Something that was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// What: `process`, `file`, `service`, `mount` or `bpf`.
    pub object: &'static str,
    /// How, for example `signal`, `deleted`.
    pub reason: &'static str,
    /// For people.
    pub detail: String,
}

impl Protected {
    /// Whether `path` is protected.
    pub fn holds(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file == path)
            || self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// Whether `pid` is one of the sensor's processes.
    pub fn is_own(&self, pid: u64) -> bool {
        self.pids.iter().any(|own| u64::from(*own) == pid)
    }

    /// What `event` did to the sensor, if it did something.
    pub fn touched(&self, event: &Event) -> Option<Touch> {
        if event.process.pid.is_some_and(|pid| self.is_own(pid)) {
            return None;
        }
        match &event.activity {
            Activity::Target(what, target) if target.pid.is_some_and(|pid| self.is_own(pid)) => {
                let call = target.call.as_deref().unwrap_or("an unknown call");
                let (reason, detail) = match what {
                    TargetActivity::Signal => {
                        let signal = target.signal.unwrap_or(0);
                        ("signal", format!("signal {signal} was sent to the sensor ({call})"))
                    }
                    TargetActivity::Access => {
                        ("access", format!("the sensor's process was reached into ({call})"))
                    }
                    TargetActivity::Inject => {
                        ("inject", format!("the sensor's process was changed ({call})"))
                    }
                };
                Some(Touch { object: "process", reason, detail })
            }
            Activity::File(what, file) => self.file(*what, file),
            Activity::Service(what, service) if service.name.as_deref() == Some(&self.unit) => {
                let reason = match what {
                    ServiceActivity::Stop => "service_stopped",
                    ServiceActivity::Delete => "service_removed",
                    ServiceActivity::Modify => "service_changed",
                    ServiceActivity::Create | ServiceActivity::Start => return None,
                };
                let detail = format!("the service {}: {}", self.unit, what.kind().name());
                Some(Touch { object: "service", reason, detail })
            }
            Activity::Kernel(KernelActivity::BpfDetach, kernel) => {
                let name = kernel.name.as_deref().filter(|name| name.starts_with("metsuke"))?;
                let detail = format!("the BPF program {name} was detached");
                Some(Touch { object: "bpf", reason: "detached", detail })
            }
            _ => None,
        }
    }

    fn file(&self, what: FileActivity, file: &File) -> Option<Touch> {
        let held = |path: &Option<metsuke_event::Text>| {
            path.as_deref().filter(|path| self.holds(Path::new(path))).map(str::to_owned)
        };
        if matches!(what, FileActivity::Mount | FileActivity::Unmount) {
            return self.mount(what, file.path.as_deref()?);
        }
        let path = held(&file.path).or_else(|| held(&file.old_path))?;
        let reason = match what {
            FileActivity::Read if path.ends_with("identity.json") => "key_read",
            FileActivity::Create => "created",
            FileActivity::Modify => "modified",
            FileActivity::Delete => "deleted",
            FileActivity::Rename => "renamed",
            FileActivity::Link => "linked",
            FileActivity::Attributes => "attributes",
            FileActivity::RawAccess => "raw_access",
            // Everybody may run the program, and root may read its files.
            FileActivity::Read | FileActivity::Mount | FileActivity::Unmount => return None,
        };
        Some(Touch { object: "file", reason, detail: path })
    }

    /// A file system put over the sensor's files, or taken from under its eyes.
    fn mount(&self, what: FileActivity, path: &str) -> Option<Touch> {
        const EYES: [&str; 4] =
            ["/sys/kernel/tracing", "/sys/kernel/debug/tracing", "/sys/fs/bpf", "/proc"];
        let place = Path::new(path);
        let covers = |own: &PathBuf| own.starts_with(place);
        let is_ours = self.holds(place) || self.files.iter().chain(&self.folders).any(covers);
        let touched = match what {
            FileActivity::Mount => path != "/" && is_ours,
            _ => EYES.contains(&path) || (path != "/" && is_ours),
        };
        let reason = if what == FileActivity::Mount { "mounted_over" } else { "unmounted" };
        touched.then(|| Touch { object: "mount", reason, detail: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use metsuke_event::activity::Activity;
    use metsuke_event::{Event, Kind, Process};

    use super::{Protected, Touch};

    fn protected() -> Protected {
        Protected {
            pids: vec![7, 8],
            files: vec![PathBuf::from("/usr/bin/metsuke-sensor")],
            folders: vec![PathBuf::from("/var/lib/metsuke")],
            unit: "metsuke-sensor.service".to_owned(),
        }
    }

    fn event(kind: Kind, actor: u64, set: impl FnOnce(&mut Activity)) -> Event {
        let mut event = Event::empty(kind);
        event.process = Arc::new(Process { pid: Some(actor), ..Process::default() });
        set(&mut event.activity);
        event
    }

    fn on_file(kind: Kind, actor: u64, path: &str, old: Option<&str>) -> Option<&'static str> {
        let event = event(kind, actor, |activity| {
            let Activity::File(_, file) = activity else { panic!("a file's") };
            file.path = Some(path.into());
            file.old_path = old.map(Into::into);
        });
        protected().touched(&event).map(|Touch { reason, .. }| reason)
    }

    #[test]
    fn its_files_are_its_own_and_no_others() {
        let program = "/usr/bin/metsuke-sensor";
        assert_eq!(on_file(Kind::FileDelete, 9, program, None), Some("deleted"));
        assert_eq!(on_file(Kind::FileDelete, 7, program, None), None, "its own doing");
        assert_eq!(on_file(Kind::FileDelete, 9, "/usr/bin/metsuke-sensor2", None), None);
        assert_eq!(
            on_file(Kind::FileModify, 9, "/var/lib/metsuke/spool/1", None),
            Some("modified")
        );
        assert_eq!(on_file(Kind::FileModify, 9, "/var/lib/metsuke2/x", None), None);
        assert_eq!(on_file(Kind::FileRename, 9, "/tmp/x", Some(program)), Some("renamed"));
        assert_eq!(on_file(Kind::FileRead, 9, program, None), None);
        let key = "/var/lib/metsuke/identity.json";
        assert_eq!(on_file(Kind::FileRead, 9, key, None), Some("key_read"));
        assert_eq!(on_file(Kind::FileMount, 9, "/var/lib", None), Some("mounted_over"));
        assert_eq!(on_file(Kind::FileMount, 9, "/mnt", None), None);
        assert_eq!(on_file(Kind::FileUnmount, 9, "/sys/kernel/tracing", None), Some("unmounted"));
    }

    #[test]
    fn what_is_done_to_its_processes_is_told_with_the_signal() {
        let at = |kind, actor, pid| {
            let event = event(kind, actor, |activity| {
                let Activity::Target(_, target) = activity else { panic!("a target's") };
                target.pid = Some(pid);
                target.signal = Some(19);
                target.call = Some("kill".into());
            });
            protected().touched(&event)
        };
        let touch = at(Kind::ProcessSignal, 9, 8).expect("its guard");
        assert_eq!((touch.object, touch.reason), ("process", "signal"));
        assert!(touch.detail.contains("19"), "{}", touch.detail);
        assert_eq!(at(Kind::ProcessSignal, 9, 10), None);
        assert_eq!(at(Kind::ProcessSignal, 8, 7), None, "its guard's doing");
        assert_eq!(at(Kind::ProcessInject, 9, 7).map(|touch| touch.reason), Some("inject"));
    }
}
