//! Which Sigma log sources an activity belongs to: a set, for one activity may be several.

use crate::activity::{Event, Kind};
use crate::value::ValueRef;

/// A Sigma log source: what a rule asks for, or one of those an activity has. In a rule an unset
/// part asks for nothing; in an activity an unset part is simply not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSource<'a> {
    /// `product`, for example `linux`.
    pub product: Option<&'a str>,
    /// `category`, for example `process_creation`.
    pub category: Option<&'a str>,
    /// `service`, for example `auditd`.
    pub service: Option<&'a str>,
}

impl LogSource<'_> {
    /// Whether a rule with this log source wants activities of `source`.
    pub fn accepts(&self, source: &LogSource<'_>) -> bool {
        let agrees = |wanted: Option<&str>, has: Option<&str>| {
            wanted.is_none_or(|wanted| has == Some(wanted))
        };
        agrees(self.product, source.product)
            && agrees(self.category, source.category)
            && agrees(self.service, source.service)
    }
}

const fn linux(category: &'static str) -> LogSource<'static> {
    LogSource { product: Some("linux"), category: Some(category), service: None }
}

/// The log sources of an activity of `kind` seen by the sensor on Linux; an imported record has
/// none by its kind, its reader knows them. `network_connection`
/// includes accepted and listening sockets (`Initiated` tells them apart). Fork, exit and health
/// are the product's own categories `process_fork`, `process_termination`, `sensor_health`.
pub const fn of_kind(kind: Kind) -> &'static [LogSource<'static>] {
    match kind {
        Kind::ProcessFork => const { &[linux("process_fork")] },
        Kind::ProcessExec => const { &[linux("process_creation")] },
        Kind::ProcessExit => const { &[linux("process_termination")] },
        Kind::FileCreate => const { &[linux("file_event"), linux("file_create")] },
        Kind::FileModify => const { &[linux("file_event"), linux("file_change")] },
        Kind::FileDelete => const { &[linux("file_delete")] },
        Kind::FileRename => const { &[linux("file_rename")] },
        Kind::FileRead => const { &[linux("file_access")] },
        Kind::NetworkConnect => const { &[linux("network_connection")] },
        Kind::NetworkAccept => const { &[linux("network_connection"), linux("network_accept")] },
        Kind::NetworkListen => const { &[linux("network_listen")] },
        Kind::DnsQuery => {
            const {
                &[
                    linux("dns_query"),
                    LogSource { product: None, category: Some("dns"), service: None },
                ]
            }
        }
        Kind::ModuleLoad => const { &[linux("driver_load")] },
        Kind::ModuleUnload => const { &[linux("driver_unload")] },
        Kind::SensorHealth => const { &[linux("sensor_health")] },
        _ => of_wider_kind(kind),
    }
}

/// The log sources that Sigma has no common name for on Linux, by the product's own categories, and
/// those of Sigma that Windows rules know (`process_access`, `image_load`, `process_tampering`).
const fn of_wider_kind(kind: Kind) -> &'static [LogSource<'static>] {
    match kind {
        Kind::ProcessSetUser | Kind::ProcessRename | Kind::ProcessNamespace => {
            const { &[linux("process_transition")] }
        }
        Kind::ProcessAccess => const { &[linux("process_access")] },
        Kind::ProcessInject => const { &[linux("process_tampering"), linux("process_access")] },
        Kind::ProcessSignal => const { &[linux("process_signal")] },
        Kind::MemoryMap | Kind::MemoryProtect => const { &[linux("memory_executable")] },
        Kind::MemoryFile => const { &[linux("memory_file")] },
        Kind::ImageLoad => const { &[linux("image_load")] },
        Kind::FileLink => {
            const { &[linux("file_event"), linux("file_create"), linux("file_link")] }
        }
        Kind::FileAttributes => const { &[linux("file_attributes")] },
        Kind::FileMount | Kind::FileUnmount => const { &[linux("mount")] },
        Kind::FileRawAccess => const { &[linux("raw_access_thread"), linux("raw_access")] },
        Kind::NetworkBind => const { &[linux("network_bind")] },
        Kind::NetworkClose => const { &[linux("network_close")] },
        Kind::NetworkRaw => const { &[linux("raw_socket")] },
        Kind::TlsHello => const { &[linux("tls")] },
        Kind::BpfLoad | Kind::BpfAttach | Kind::BpfDetach => const { &[linux("bpf")] },
        Kind::KernelExec => const { &[linux("kexec")] },
        Kind::KernelSetting => const { &[linux("kernel_setting")] },
        Kind::KernelRing => const { &[linux("io_uring")] },
        Kind::ScriptExecute => const { &[linux("script")] },
        Kind::UserLogon | Kind::UserLogoff | Kind::UserLogonFailed => {
            const { &[linux("authentication")] }
        }
        Kind::AccountCreate | Kind::AccountModify | Kind::AccountDelete => {
            const { &[linux("account")] }
        }
        Kind::JobCreate | Kind::JobModify | Kind::JobDelete => {
            const { &[linux("scheduled_job"), linux("persistence")] }
        }
        Kind::PersistenceCreate | Kind::PersistenceModify | Kind::PersistenceDelete => {
            const { &[linux("persistence")] }
        }
        Kind::ServiceCreate
        | Kind::ServiceModify
        | Kind::ServiceDelete
        | Kind::ServiceStart
        | Kind::ServiceStop => const { &[linux("service")] },
        Kind::Denial => const { &[linux("prevention")] },
        Kind::Discrepancy => const { &[linux("discrepancy")] },
        Kind::SensorStart | Kind::SensorStop | Kind::SensorTamper => const { &[linux("sensor")] },
        _ => &[],
    }
}

/// The log sources of `event`.
pub fn of_event(event: &Event) -> &'static [LogSource<'static>] {
    of_kind(event.activity.kind())
}

/// The name under which an imported event keeps its log sources beside its fields, so that what is
/// stored can be matched again.
pub const KEPT: &str = "log_sources";

/// `sources` as text: `product/category/service`, `*` for a part that is not there, joined by blanks.
pub fn to_text(sources: &[LogSource<'_>]) -> String {
    let one = |source: &LogSource<'_>| {
        let parts = [source.product, source.category, source.service];
        parts.map(|part| part.unwrap_or("*")).join("/")
    };
    sources.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The log sources that `text` names, as [`to_text`] writes them; what is none is passed over.
pub fn from_text(text: &str) -> impl Iterator<Item = LogSource<'_>> {
    text.split(' ').filter_map(|source| {
        let mut parts = source.split('/').map(|part| (part != "*").then_some(part));
        let source =
            LogSource { product: parts.next()?, category: parts.next()?, service: parts.next()? };
        parts.next().is_none().then_some(source)
    })
}

/// The log sources that an imported event kept; `None` when those of its kind are meant.
pub fn kept(event: &Event) -> Option<Vec<LogSource<'_>>> {
    match event.unmapped.get(KEPT)? {
        ValueRef::Text(text) => Some(from_text(text).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LogSource, kept, to_text};
    use crate::activity::{Event, Kind};
    use crate::value::ValueRef;

    #[test]
    fn log_sources_are_kept_and_read_again() {
        let of = |category, service| LogSource { product: Some("windows"), category, service };
        let sources = [of(Some("process_creation"), Some("sysmon")), of(None, None)];
        let text = to_text(&sources);
        assert_eq!(text, "windows/process_creation/sysmon windows/*/*");
        let mut event = Event::empty(Kind::ProcessExec);
        assert_eq!(kept(&event), None);
        event.unmapped.push(KEPT, ValueRef::Text(&format!("{text} broken a/b/c/d")));
        assert_eq!(kept(&event).as_deref(), Some(&sources[..]));
    }
}
