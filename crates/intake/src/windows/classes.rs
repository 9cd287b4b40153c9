//! What a Windows event is, by channel and event id: kind, Sigma categories, typed fields.
//!
//! The categories are those of the Sigma specification's taxonomy and of the queries that its
//! converters make for Sysmon and Windows.

use metsuke_event::Kind;

/// What is known of one event id of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning {
    /// Its kind, where the vocabulary has one.
    pub(crate) kind: Option<Kind>,
    /// Its Sigma categories.
    pub(crate) categories: &'static [&'static str],
    /// Whether its fields are called as Sigma calls them, so that the field table knows them.
    pub(crate) sigma_names: bool,
    /// Fields that are also a row of the table by another name: source's name, canonical name.
    pub(crate) also: &'static [(&'static str, &'static str)],
    /// Fields that Sigma has another name for in its category: source's name, Sigma's name.
    pub(crate) named: &'static [(&'static str, &'static str)],
}

const NOTHING: Meaning =
    Meaning { kind: None, categories: &[], sigma_names: false, also: &[], named: &[] };

const fn sysmon(kind: Option<Kind>, categories: &'static [&'static str]) -> Meaning {
    Meaning { kind, categories, sigma_names: true, ..NOTHING }
}

const fn named(kind: Kind, also: &'static [(&'static str, &'static str)]) -> Meaning {
    Meaning { kind: Some(kind), also, ..NOTHING }
}

const LOGON: &[(&str, &str)] = &[
    ("TargetUserName", "logon.user.name"),
    ("SubjectUserName", "logon.actor.name"),
    ("IpAddress", "logon.src_ip"),
    ("IpPort", "logon.src_port"),
    ("WorkstationName", "logon.src_host"),
    ("LogonProcessName", "logon.service"),
    ("FailureReason", "logon.reason"),
    ("AuthenticationPackageName", "logon.method"),
];
const ACCOUNT: &[(&str, &str)] = &[("TargetUserName", "account.name")];
const JOB: &[(&str, &str)] =
    &[("TaskContent", "persistence.diff"), ("SubjectUserName", "persistence.user")];
const STARTED: &[(&str, &str)] = &[
    ("NewProcessName", "process.file.path"),
    ("CommandLine", "process.cmd_line"),
    ("ProcessCommandLine", "process.cmd_line"),
    ("ParentProcessName", "process.parent_process.file.path"),
    ("NewProcessId", "process.pid"),
    ("ProcessId", "process.parent_process.pid"),
];
const ENDED: &[(&str, &str)] =
    &[("ProcessName", "process.file.path"), ("ProcessId", "process.pid")];
const ANTIVIRUS: &[(&str, &str)] = &[("ThreatName", "Signature"), ("Path", "Filename")];
const SERVICE: &[(&str, &str)] =
    &[("ServiceName", "service.name"), ("ServiceFileName", "service.cmd_line")];

/// What event `id` of `channel` by `provider` (both in lower case) is; `variant` is what its fields
/// say beside.
pub(crate) fn of(channel: &str, provider: &str, id: u64, variant: Variant) -> Meaning {
    match channel {
        "microsoft-windows-sysmon/operational" | "linux-sysmon/operational" => {
            of_sysmon(id, variant)
        }
        "security" => of_security(id),
        "system" if id == 7045 => named(Kind::ServiceCreate, SERVICE),
        "microsoft-windows-powershell/operational" | "powershellcore/operational" => match id {
            4103 => sysmon(None, &["ps_module"]),
            4104 => sysmon(Some(Kind::ScriptExecute), &["ps_script"]),
            _ => NOTHING,
        },
        "windows powershell" => match id {
            400 => Meaning { categories: &["ps_classic_start"], ..NOTHING },
            600 => Meaning { categories: &["ps_classic_provider_start"], ..NOTHING },
            800 => Meaning { categories: &["ps_classic_script"], ..NOTHING },
            _ => NOTHING,
        },
        "microsoft-windows-windows defender/operational" => match id {
            1006..=1008 | 1015 | 1116..=1119 => {
                Meaning { categories: &["antivirus"], named: ANTIVIRUS, ..NOTHING }
            }
            _ => NOTHING,
        },
        _ if provider == "microsoft-windows-kernel-file" => match id {
            12 => Meaning { categories: &["file_access"], ..NOTHING },
            19 | 27 => Meaning { categories: &["file_rename"], ..NOTHING },
            26 => Meaning { categories: &["file_delete"], ..NOTHING },
            30 => Meaning { categories: &["file_event"], ..NOTHING },
            _ => NOTHING,
        },
        _ => NOTHING,
    }
}

/// What a field of the event says about what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Variant {
    /// Nothing.
    #[default]
    Plain,
    /// A key or value of the registry was deleted.
    Deleted,
    /// The flow was accepted.
    Accepted,
}

fn of_sysmon(id: u64, variant: Variant) -> Meaning {
    match id {
        1 => sysmon(Some(Kind::ProcessExec), &["process_creation"]),
        2 => sysmon(Some(Kind::FileAttributes), &["file_change"]),
        3 if variant == Variant::Accepted => {
            sysmon(Some(Kind::NetworkAccept), &["network_connection"])
        }
        3 => sysmon(Some(Kind::NetworkConnect), &["network_connection"]),
        4 | 16 => sysmon(None, &["sysmon_status"]),
        5 => sysmon(Some(Kind::ProcessExit), &["process_termination"]),
        6 => Meaning {
            also: &[("ImageLoaded", "driver.file.path")],
            ..sysmon(Some(Kind::ModuleLoad), &["driver_load"])
        },
        7 => Meaning {
            also: &[("ImageLoaded", "driver.file.path")],
            ..sysmon(Some(Kind::ImageLoad), &["image_load"])
        },
        8 => sysmon(Some(Kind::ProcessInject), &["create_remote_thread"]),
        9 => sysmon(Some(Kind::FileRawAccess), &["raw_access_thread"]),
        10 => sysmon(Some(Kind::ProcessAccess), &["process_access"]),
        11 => sysmon(Some(Kind::FileCreate), &["file_event"]),
        12 if variant == Variant::Deleted => sysmon(None, &["registry_delete", "registry_event"]),
        12 => sysmon(None, &["registry_add", "registry_event"]),
        13 => sysmon(None, &["registry_set", "registry_event"]),
        14 => sysmon(None, &["registry_rename", "registry_event"]),
        15 => sysmon(Some(Kind::FileCreate), &["create_stream_hash"]),
        17 | 18 => sysmon(None, &["pipe_created"]),
        19..=21 => sysmon(None, &["wmi_event"]),
        22 => sysmon(Some(Kind::DnsQuery), &["dns_query"]),
        23 | 26 => sysmon(Some(Kind::FileDelete), &["file_delete"]),
        24 => sysmon(None, &["clipboard_capture"]),
        25 => sysmon(Some(Kind::ProcessInject), &["process_tampering"]),
        27 => sysmon(None, &["file_block_executable"]),
        28 => sysmon(None, &["file_block_shredding"]),
        29 => sysmon(Some(Kind::FileCreate), &["file_executable_detected"]),
        255 => sysmon(None, &["sysmon_error"]),
        _ => NOTHING,
    }
}

fn of_security(id: u64) -> Meaning {
    match id {
        4688 => Meaning { categories: &["process_creation"], ..named(Kind::ProcessExec, STARTED) },
        4689 => named(Kind::ProcessExit, ENDED),
        4624 => named(Kind::UserLogon, LOGON),
        4625 => named(Kind::UserLogonFailed, LOGON),
        4634 | 4647 => named(Kind::UserLogoff, LOGON),
        4720 | 4741 => named(Kind::AccountCreate, ACCOUNT),
        4722 | 4724 | 4725 | 4738 | 4740 | 4742 | 4767 | 4781 => {
            named(Kind::AccountModify, ACCOUNT)
        }
        4726 | 4743 => named(Kind::AccountDelete, ACCOUNT),
        4697 => named(Kind::ServiceCreate, SERVICE),
        4698 => named(Kind::JobCreate, JOB),
        4699 => named(Kind::JobDelete, JOB),
        4702 => named(Kind::JobModify, JOB),
        _ => NOTHING,
    }
}
