//! Events for tests: what is said is set, the rest is plausible.

use std::sync::Arc;

use metsuke_event::{Activity, BootId, EndpointId, Event, Kind, Process, ProcessKey, Timestamp};

/// Builds events of one process on one endpoint.
#[derive(Clone, Debug)]
pub struct ProcessBuilder {
    endpoint: EndpointId,
    boot: BootId,
    process: Process,
    time: Timestamp,
    seq: u64,
}

impl ProcessBuilder {
    /// A process `pid` that runs `exe`, child of nobody, at the beginning of 2026.
    pub fn new(pid: u32, exe: &str) -> Self {
        let boot = BootId::from_u128(1);
        let key = ProcessKey { boot, pid, start_ticks: u64::from(pid) };
        let name = exe.rsplit('/').next().unwrap_or(exe);
        let process = Process {
            uid: Some(key.to_string().into()),
            pid: Some(u64::from(pid)),
            exe: Some(exe.into()),
            name: Some(name.chars().take(15).collect::<String>().into()),
            cmd_line: Some(exe.into()),
            user_name: Some("demo".into()),
            user_id: Some(1000),
            storyline: Some(key.to_string().into()),
            ..Process::default()
        };
        let time = Timestamp::from_millis(1_767_225_600_000);
        Self { endpoint: EndpointId::from_u128(1), boot, process, time, seq: 0 }
    }

    /// Sets the command line.
    #[must_use]
    pub fn cmd_line(mut self, cmd_line: &str) -> Self {
        self.process.cmd_line = Some(cmd_line.into());
        self
    }

    /// Makes it a child of `parent`, in its storyline.
    #[must_use]
    pub fn child_of(mut self, parent: &Self) -> Self {
        let from = &parent.process;
        self.process.parent_uid.clone_from(&from.uid);
        self.process.parent_pid = from.pid;
        self.process.parent_exe.clone_from(&from.exe);
        self.process.parent_name.clone_from(&from.name);
        self.process.parent_cmd_line.clone_from(&from.cmd_line);
        self.process.storyline.clone_from(&from.storyline);
        self
    }

    /// Places it on `endpoint`.
    #[must_use]
    pub const fn on(mut self, endpoint: EndpointId) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// The next event: `kind`, one millisecond and one number after the one before.
    pub fn event(&mut self, kind: Kind) -> Event {
        self.seq += 1;
        self.time = self.time.plus_nanos(1_000_000);
        let mut event = Event::empty(kind);
        event.id.endpoint = self.endpoint;
        event.id.boot = self.boot;
        event.id.seq = self.seq;
        event.time = self.time;
        event.host = Some("host".into());
        event.process = Arc::new(self.process.clone());
        event
    }

    /// A file event on `path`.
    pub fn file(&mut self, kind: Kind, path: &str) -> Event {
        let mut event = self.event(kind);
        if let Activity::File(_, file) = &mut event.activity {
            file.path = Some(path.into());
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, ProcessBuilder};

    #[test]
    fn children_share_the_storyline_and_numbers_grow() {
        let parent = ProcessBuilder::new(10, "/bin/sh");
        let mut child = ProcessBuilder::new(11, "/usr/bin/id").child_of(&parent);
        let (first, second) = (child.event(Kind::ProcessExec), child.file(Kind::FileRead, "/a"));
        assert_eq!(first.process.storyline, parent.process.uid);
        assert!(second.id.seq > first.id.seq && second.time > first.time);
    }
}
