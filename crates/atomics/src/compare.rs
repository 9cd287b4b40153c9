//! Which deeds of a test the sensor did not tell.

use std::collections::HashSet;

use metsuke_event::activity::{Activity, FileActivity, NetworkActivity};
use metsuke_event::{Event, Kind};

use crate::truth::Deed;

/// Bytes of a command line that are compared; the sensor cuts long ones.
const COMPARED: usize = 1_000;

/// What the sensor told of one test, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Told {
    lines: HashSet<String>,
    written: HashSet<String>,
    deleted: HashSet<String>,
    renamed: HashSet<String>,
    linked: HashSet<String>,
    attributes: HashSet<String>,
    connected: HashSet<(String, u16)>,
    /// Connections summed up: destinations by address only.
    pub(crate) count: usize,
}

impl Told {
    pub(crate) fn new(events: &[Event]) -> Self {
        let mut told = Self { count: events.len(), ..Self::default() };
        for event in events {
            told.add(event);
        }
        told
    }

    fn add(&mut self, event: &Event) {
        match &event.activity {
            Activity::Process(_) if event.activity.kind() == Kind::ProcessExec => {
                self.lines.insert(event.process.cmd_line.as_deref().unwrap_or_default().to_owned());
            }
            Activity::File(what, file) => {
                let path = file.path.as_deref().unwrap_or_default().to_owned();
                let base = base(&path);
                match what {
                    FileActivity::Create | FileActivity::Modify => {
                        self.linked.insert(base);
                        self.written.insert(path);
                    }
                    FileActivity::Delete => drop(self.deleted.insert(base)),
                    FileActivity::Rename => drop(self.renamed.insert(base)),
                    FileActivity::Link => drop(self.linked.insert(base)),
                    FileActivity::Attributes => drop(self.attributes.insert(base)),
                    _ => {}
                }
            }
            Activity::Network(NetworkActivity::Connect, network) => {
                let address = network.dst_ip.map(|ip| ip.to_string()).unwrap_or_default();
                let port = network.dst_port.and_then(|port| u16::try_from(port).ok());
                self.connected.insert((address, port.unwrap_or_default()));
            }
            _ => {}
        }
    }

    /// Whether the sensor told `deed`.
    pub(crate) fn has(&self, deed: &Deed) -> bool {
        match deed {
            Deed::Exec { path, args } => self.lines.iter().any(|line| is_line(line, path, args)),
            Deed::Write(path) => self.written.contains(path),
            Deed::Delete(name) => self.deleted.contains(name),
            Deed::Rename(name) => self.renamed.contains(name),
            Deed::Link(name) => self.linked.contains(name),
            Deed::Attributes(name) => self.attributes.contains(name),
            Deed::Connect(address, port) => self.connected.contains(&(address.clone(), *port)),
        }
    }
}

/// A command line is argv[0] and the arguments; a script's has its interpreter and its own path
/// before them.
fn is_line(line: &str, path: &str, args: &str) -> bool {
    let cut = |text: &str| -> String { text.chars().take(COMPARED).collect() };
    let (_, after) = line.split_once(' ').unwrap_or((line, ""));
    let script = if args.is_empty() { path.to_owned() } else { format!("{path} {args}") };
    // Arguments are joined with the blanks at their end taken away.
    let (args, script) = (args.trim_end(), script.trim_end());
    cut(after).trim_end() == cut(args).trim_end() || cut(line).ends_with(&cut(script))
}

fn base(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::is_line;

    #[test]
    fn command_lines_are_told_apart() {
        assert!(is_line("sh -c id", "/bin/sh", "-c id"));
        assert!(is_line("id", "/usr/bin/id", ""));
        assert!(is_line("/bin/sh ./a.sh x", "./a.sh", "x"));
        assert!(!is_line("sh -c id", "/bin/sh", "-c whoami"));
        assert!(!is_line("cat /etc/passwd", "/bin/cat", "/etc/shadow"));
    }
}
