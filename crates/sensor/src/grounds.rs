//! What the sensor stands on: its control group, its program, its state folder, the mounts its eyes
//! need. Looked at from time to time; a change that nobody announced is tampering.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use metsuke_guard::protected::Touch;

/// File systems the probe looks through.
const EYES: [&str; 2] = ["tracefs", "bpf"];

/// How it was at the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grounds {
    cgroup: String,
    /// Mounts of [`EYES`], as `type place`.
    eyes: Vec<String>,
    state: Option<(u64, u64)>,
    program_is_gone: bool,
}

impl Grounds {
    pub(crate) fn now(state: &Path) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let exe = fs::read_link("/proc/self/exe");
        Self {
            cgroup: fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
            eyes: eyes(&mounts),
            state: fs::metadata(state).ok().map(|facts| (facts.dev(), facts.ino())),
            program_is_gone: exe.is_ok_and(|exe| exe.to_string_lossy().ends_with(" (deleted)")),
        }
    }

    /// What changed since the last look.
    pub(crate) fn look(&mut self, state: &Path) -> Vec<Touch> {
        let before = std::mem::replace(self, Self::now(state));
        self.differences(&before)
    }

    fn differences(&self, before: &Self) -> Vec<Touch> {
        let mut touches = Vec::new();
        let mut tell =
            |object, reason, detail: String| touches.push(Touch { object, reason, detail });
        if self.cgroup != before.cgroup {
            let flat = |text: &str| text.trim().replace('\n', " ");
            let detail = format!("from {} to {}", flat(&before.cgroup), flat(&self.cgroup));
            tell("cgroup", "moved", detail);
        }
        for eye in before.eyes.iter().filter(|eye| !self.eyes.contains(eye)) {
            tell("mount", "unmounted", eye.clone());
        }
        if self.state != before.state {
            let reason = if self.state.is_none() { "deleted" } else { "mounted_over" };
            tell("file", reason, "the state folder is another one".to_owned());
        }
        if self.program_is_gone && !before.program_is_gone {
            let detail = "the program that runs is no longer on disk";
            tell("file", "deleted", detail.to_owned());
        }
        touches
    }
}

fn eyes(mounts: &str) -> Vec<String> {
    let eye = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let kind = right.split(' ').next().filter(|kind| EYES.contains(kind))?;
        Some(format!("{kind} {}", left.split(' ').nth(4)?))
    };
    mounts.lines().filter_map(eye).collect()
}

#[cfg(test)]
mod tests {
    use super::{Grounds, eyes};

    #[test]
    fn what_is_taken_away_is_told_what_comes_is_not() {
        let mounts = "1 2 0:3 / /sys/kernel/tracing rw - tracefs tracefs rw\n\
            4 5 0:6 / /sys/fs/bpf rw shared:1 - bpf bpf rw\n7 8 0:9 / / rw - ext4 /dev/sda rw\n";
        let before = Grounds {
            cgroup: "0::/a\n".to_owned(),
            eyes: eyes(mounts),
            state: Some((1, 2)),
            program_is_gone: false,
        };
        assert_eq!(before.eyes, ["tracefs /sys/kernel/tracing", "bpf /sys/fs/bpf"]);
        assert_eq!(before.differences(&before), []);
        let after = Grounds {
            cgroup: "0::/b\n".to_owned(),
            eyes: eyes(mounts.lines().nth(1).expect("bpf")),
            state: Some((1, 3)),
            program_is_gone: true,
        };
        let told: Vec<_> =
            after.differences(&before).into_iter().map(|t| (t.object, t.reason)).collect();
        let expected = [
            ("cgroup", "moved"),
            ("mount", "unmounted"),
            ("file", "mounted_over"),
            ("file", "deleted"),
        ];
        assert_eq!(told, expected);
        assert_eq!(before.differences(&after).len(), 2, "back in place: group and folder");
    }
}
