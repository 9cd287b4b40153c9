//! The records of one audit event as activities.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use metsuke_event::field::by_name;
use metsuke_event::logsource::LogSource;
use metsuke_event::value::Text;
use metsuke_event::{Kind, Value};

use crate::auditd::line::{Line, unhex};
use crate::auditd::syscalls;
use crate::bounds;
use crate::builder::Builder;
use crate::json::{SourcesOf, System};
use crate::record::{Record, Sources};

/// What the records of an event say together.
struct Whole<'l> {
    syscall: Option<&'l Line>,
    call: Option<Text>,
    cwd: Option<&'l Text>,
    title: Option<&'l Text>,
    removed: Option<&'l Text>,
    has_execve: bool,
    failed: bool,
}

impl<'l> Whole<'l> {
    fn of(lines: &'l [Line]) -> Self {
        let first = |kind: &str| lines.iter().find(|line| *line.kind == *kind);
        let syscall = first("SYSCALL");
        let call = syscall.and_then(|line| {
            let named = line.get("SYSCALL").cloned();
            let by_number = || {
                let arch = line.get("arch")?;
                syscalls::name(arch, line.get("syscall")?).map(Text::from)
            };
            // A log that was already interpreted has the name itself.
            let plain = || line.get("syscall").cloned().filter(|name| name.parse::<u32>().is_err());
            named.or_else(by_number).or_else(plain)
        });
        let removed =
            lines.iter().find(|line| line.get("nametype").is_some_and(|t| **t == *"DELETE"));
        Self {
            syscall,
            call,
            cwd: first("CWD").and_then(|line| line.get("cwd")),
            title: first("PROCTITLE").and_then(|line| line.get("proctitle")),
            removed: removed.and_then(|line| line.get("name")),
            has_execve: first("EXECVE").is_some(),
            failed: syscall.and_then(|line| line.get("success")).is_some_and(|it| **it == *"no"),
        }
    }

    fn calls(&self, names: &[&str]) -> bool {
        self.call.as_deref().is_some_and(|call| names.contains(&call))
    }
}

/// Adds a record for each line of one event.
pub(super) fn records(sources: &mut SourcesOf, lines: &[Line], out: &mut Vec<Record>) {
    let whole = Whole::of(lines);
    for line in lines.iter().filter(|line| *line.kind != *"EOE") {
        let kind = kind(line, &whole);
        let mut builder = Builder::new(kind.unwrap_or(Kind::Imported));
        builder.time(Some(line.stamp.time));
        let host = line.stamp.node.as_ref();
        builder.host(host.cloned());
        actor(&mut builder, line, &whole);
        match kind {
            Some(Kind::ProcessExec) => exec(&mut builder, line, &whole),
            Some(Kind::FileCreate | Kind::FileDelete | Kind::FileRename) => {
                file(&mut builder, line, &whole);
            }
            Some(_) => object(&mut builder, line),
            None => {}
        }
        builder.imported("auditd", &line.kind);
        keep(&mut builder, line, &whole);
        let sources = of_kind(sources, kind);
        out.push(Record { event: builder.done(), sources, number: line.number });
    }
}

fn of_kind(sources: &mut SourcesOf, kind: Option<Kind>) -> Sources {
    let service = Some("auditd");
    match kind {
        Some(kind) => {
            let of = |source: &LogSource<'static>| LogSource { service, ..*source };
            sources.get(kind, System::Linux).iter().map(of).collect()
        }
        None => [LogSource { product: Some("linux"), category: None, service }].into(),
    }
}

/// What happened, by this record; `None` where another record says it, or nothing is known of it.
fn kind(line: &Line, whole: &Whole<'_>) -> Option<Kind> {
    let is = |name: &str, value: &str| line.get(name).is_some_and(|found| **found == *value);
    let good = is("res", "success") || is("res", "yes") || is("res", "1");
    match &*line.kind {
        _ if whole.failed => None,
        "EXECVE" => Some(Kind::ProcessExec),
        "SYSCALL" if !whole.has_execve && whole.calls(&["execve", "execveat"]) => {
            Some(Kind::ProcessExec)
        }
        "SOCKADDR" if whole.calls(&["connect"]) => Some(Kind::NetworkConnect),
        "SOCKADDR" if whole.calls(&["accept", "accept4"]) => Some(Kind::NetworkAccept),
        "SOCKADDR" if whole.calls(&["bind"]) => Some(Kind::NetworkBind),
        "PATH" if is("nametype", "CREATE") => {
            let renamed = whole.calls(&["rename", "renameat", "renameat2"]);
            Some(if renamed { Kind::FileRename } else { Kind::FileCreate })
        }
        "PATH" if is("nametype", "DELETE") => {
            (!whole.calls(&["rename", "renameat", "renameat2"])).then_some(Kind::FileDelete)
        }
        "KERN_MODULE" if whole.calls(&["delete_module"]) => Some(Kind::ModuleUnload),
        "KERN_MODULE" => Some(Kind::ModuleLoad),
        "USER_LOGIN" if good => Some(Kind::UserLogon),
        "USER_LOGIN" | "USER_AUTH" | "USER_ERR" if !good => Some(Kind::UserLogonFailed),
        "USER_LOGOUT" | "USER_END" => Some(Kind::UserLogoff),
        "ADD_USER" | "ADD_GROUP" => Some(Kind::AccountCreate),
        "DEL_USER" | "DEL_GROUP" => Some(Kind::AccountDelete),
        "USER_MGMT" | "GRP_MGMT" | "USER_CHAUTHTOK" | "USER_ACCT_LOCK" => Some(Kind::AccountModify),
        "SERVICE_START" => Some(Kind::ServiceStart),
        "SERVICE_STOP" => Some(Kind::ServiceStop),
        _ => None,
    }
}

fn set(builder: &mut Builder, canonical: &str, value: Option<&Text>) {
    let given =
        value.filter(|value| !matches!(&***value, "" | "?" | "(null)" | "(none)" | "unset"));
    if let (Some(spec), Some(value)) = (by_name(canonical), given) {
        builder.also(spec, &Value::Text(Text::clone(value)));
    }
}

/// What is known of who acted.
fn actor(builder: &mut Builder, line: &Line, whole: &Whole<'_>) {
    const FIELDS: &[(&str, &str)] = &[
        ("pid", "process.pid"),
        ("ppid", "process.parent_process.pid"),
        ("exe", "process.file.path"),
        ("comm", "process.name"),
        ("uid", "process.user.uid"),
        ("euid", "process.euid"),
        ("gid", "process.group.uid"),
        ("tty", "process.tty"),
        ("UID", "process.user.name"),
    ];
    let from = whole.syscall.unwrap_or(line);
    for (name, canonical) in FIELDS {
        set(builder, canonical, from.get(name));
    }
    // 4294967295 stands for none.
    let login = from.get("auid").filter(|auid| ***auid != *"4294967295" && ***auid != *"-1");
    set(builder, "process.auid", login);
    set(builder, "process.working_directory", whole.cwd);
}

fn exec(builder: &mut Builder, line: &Line, whole: &Whole<'_>) {
    let mut words: Vec<&str> = Vec::new();
    if *line.kind == *"EXECVE" {
        for index in 0..bounds::AUDIT_RECORDS {
            let Some(word) = line.get(&format!("a{index}")) else { break };
            words.push(word);
        }
    }
    let joined: Text = words.join(" ").into();
    let whole_line = if joined.is_empty() { whole.title } else { Some(&joined) };
    let Some(text) = whole_line else { return };
    let cut = text.floor_char_boundary(bounds::COMMAND_LINE_BYTES);
    set(builder, "process.cmd_line", Some(&text[..cut].into()));
    if cut < text.len() {
        set(builder, "process.cmd_line_truncated", Some(&"true".into()));
    }
}

fn file(builder: &mut Builder, line: &Line, whole: &Whole<'_>) {
    let absolute = |name: &Text| -> Text {
        match whole.cwd {
            Some(cwd) if !name.starts_with('/') => {
                let name = name.strip_prefix("./").unwrap_or(name);
                format!("{}/{name}", cwd.trim_end_matches('/')).into()
            }
            _ => Text::clone(name),
        }
    };
    set(builder, "file.path", line.get("name").map(absolute).as_ref());
    set(builder, "file.inode", line.get("inode"));
    set(builder, "file.owner.uid", line.get("ouid"));
    if whole.calls(&["rename", "renameat", "renameat2"]) {
        set(builder, "file_diff.path", whole.removed.map(absolute).as_ref());
    }
}

/// What was acted upon, of the other kinds.
fn object(builder: &mut Builder, line: &Line) {
    const FIELDS: &[(&str, &str)] = &[
        ("acct", "logon.user.name"),
        ("acct", "account.name"),
        ("id", "account.uid"),
        ("addr", "logon.src_ip"),
        ("terminal", "logon.tty"),
        ("unit", "service.name"),
        ("name", "driver.file.name"),
    ];
    for (name, canonical) in FIELDS {
        set(builder, canonical, line.get(name));
    }
    let Some(saddr) = line.get("saddr").and_then(|saddr| unhex(saddr)) else { return };
    let (ip, port) = match saddr.as_slice() {
        [2, 0, high, low, a, b, c, d, ..] => {
            (IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)), [*high, *low])
        }
        [10, 0, high, low, _, _, _, _, rest @ ..] => {
            let Some(octets) = rest.first_chunk::<16>() else { return };
            (IpAddr::V6(Ipv6Addr::from(*octets)).to_canonical(), [*high, *low])
        }
        [1, 0, rest @ ..] => {
            let path = match rest {
                [0, name @ ..] => format!("@{}", text_of(name)),
                path => text_of(path),
            };
            return set(builder, "connection_info.unix_path", Some(&path.into()));
        }
        _ => return,
    };
    let port = u16::from_be_bytes(port).to_string();
    // A peer that connected to us is the source.
    let (of_ip, of_port) = match builder.kind() {
        Kind::NetworkConnect => ("dst_endpoint.ip", "dst_endpoint.port"),
        _ => ("src_endpoint.ip", "src_endpoint.port"),
    };
    set(builder, of_ip, Some(&ip.to_string().into()));
    set(builder, of_port, Some(&port.into()));
    let opened = builder.kind() == Kind::NetworkConnect;
    set(builder, "connection_info.initiated", Some(&opened.to_string().into()));
}

fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Keeps the record's own fields; with them the name of the system call, where `auditd` wrote only
/// its number. Rules ask for the fields of one record: what the others say would have one rule
/// strike for each record of the event.
fn keep(builder: &mut Builder, line: &Line, whole: &Whole<'_>) {
    builder.keep("type", &Value::Text(Text::clone(&line.kind)));
    for (name, value) in &line.fields {
        builder.keep(name, &Value::Text(Text::clone(value)));
    }
    if *line.kind == *"SYSCALL"
        && line.get("SYSCALL").is_none()
        && let Some(call) = &whole.call
    {
        builder.keep("SYSCALL", &Value::Text(Text::clone(call)));
    }
}
