//! What the sensor says of its own life: started, ended, touched.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metsuke_event::activity::{Activity, SensorActivity};
use metsuke_event::{Event, Health, Process, Text, Timestamp};
use metsuke_guard::protected::Touch;

use crate::facts;

/// Why the process that acted is not described.
const ENDED: &str = "ended_before_it_was_read";
/// Why the process that acted is not known at all.
pub(crate) const NOT_TOLD: &str = "the_kernel_does_not_tell";
/// What the kernel adds to the path of a program that lies there no more (proc(5)).
const DELETED: &[u8] = b" (deleted)";

/// Where this program lies, or lay when it was started.
///
/// # Errors
/// When `/proc` does not tell.
pub(crate) fn program() -> io::Result<PathBuf> {
    std::env::current_exe().map(|told| if told.exists() { told } else { lay_at(&told) })
}

fn lay_at(told: &Path) -> PathBuf {
    let bytes = told.as_os_str().as_bytes();
    OsStr::from_bytes(bytes.strip_suffix(DELETED).unwrap_or(bytes)).into()
}

fn event(what: SensorActivity, health: Health) -> Event {
    let mut event = Event::empty(what.kind());
    event.time = facts::now();
    event.process = Arc::default();
    event.activity = Activity::Sensor(what, health);
    event
}

/// The sensor watches from now on.
pub(crate) fn started(tier: Option<u8>, reason: &'static str) -> Event {
    let health = Health {
        part: Some("sensor".into()),
        reason: Some(reason.into()),
        detail: Some(format!("version {}", facts::VERSION).into()),
        tier: tier.map(u64::from),
        ..Health::default()
    };
    own(event(SensorActivity::Start, health))
}

/// The sensor ends, and says why.
pub(crate) fn stopped(reason: &'static str, detail: &str) -> Event {
    let health = Health {
        part: Some("sensor".into()),
        reason: Some(reason.into()),
        detail: (!detail.is_empty()).then(|| detail.into()),
        ..Health::default()
    };
    own(event(SensorActivity::Stop, health))
}

/// Something of the sensor's own was touched by `actor`.
pub(crate) fn tampered(touch: Touch, time: Timestamp, actor: Arc<Process>) -> Event {
    let health = Health {
        part: Some("sensor".into()),
        reason: Some(touch.reason.into()),
        object: Some(touch.object.into()),
        detail: Some(touch.detail.into()),
        from: Some(time),
        to: Some(time),
        ..Health::default()
    };
    let mut event = event(SensorActivity::Tamper, health);
    (event.time, event.process) = (time, actor);
    event
}

/// The sensor itself as the process that acted.
fn own(mut event: Event) -> Event {
    event.process = Arc::new(actor(std::process::id()));
    event
}

/// The process `pid`, described from /proc as far as it still runs.
pub(crate) fn actor(pid: u32) -> Process {
    let mut process = Process { pid: Some(u64::from(pid)), ..Process::default() };
    let Some(seen) = metsuke_enforce::host::Seen::look(pid) else {
        process.missing = Some(ENDED.into());
        return process;
    };
    if let Ok(boot) = metsuke_probe::boot_id() {
        process.uid = Some(seen.key(boot).to_string().into());
    }
    let text = |text: String| (!text.is_empty()).then(|| Text::from(text.as_str()));
    process.exe = std::fs::read_link(format!("/proc/{pid}/exe"))
        .ok()
        .and_then(|path| text(path.to_string_lossy().into_owned()));
    process.cmd_line = text(metsuke_enforce::host::cmd_line(pid));
    process.name = std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .ok()
        .and_then(|name| text(name.trim().to_owned()));
    process
}

/// Nobody that can be named.
pub(crate) fn nobody() -> Arc<Process> {
    Arc::new(Process { missing: Some(NOT_TOLD.into()), ..Process::default() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::lay_at;

    #[test]
    fn a_program_that_is_gone_is_known_by_where_it_lay() {
        for told in ["/opt/x", "/opt/x (deleted)"] {
            assert_eq!(lay_at(Path::new(told)), Path::new("/opt/x"));
        }
    }
}
