//! Logons by libpam, by wtmp and btmp, by messages to the audit subsystem, in a room of the test's
//! own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe to call libpam, which is loaded when it is there, and netlink"
)]

mod support;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::path::Path;
use std::ptr;

use metsuke_event::coverage::Outcome;
use metsuke_event::{Activity, Event, Kind, Logon};
use support::room::Room;
use support::{Group, ROLE, Shown, Table, Watch, pid_is, row};

/// Not a test of its own: what the others have done in their rooms.
#[test]
fn helper() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    for line in std::io::stdin().lock().lines() {
        match line.unwrap().as_str() {
            "pam good" => pam("permit"),
            "pam bad" => pam("deny"),
            "wtmp" => {
                append("/var/log/wtmp", 7, "pts/77", "metsuke-u");
                append("/var/log/wtmp", 8, "pts/77", "");
            }
            "btmp" => append("/var/log/btmp", 6, "ssh:notty", "metsuke-u"),
            "audit" => println!("\nenabled {}", tell_audit()),
            other => panic!("no step {other}"),
        }
        println!("\ndone");
    }
}

#[repr(C)]
struct Conversation {
    talk: extern "C" fn(c_int, *const *const c_void, *mut *mut c_void, *mut c_void) -> c_int,
    data: *mut c_void,
}

extern "C" fn silent(
    _: c_int,
    _: *const *const c_void,
    _: *mut *mut c_void,
    _: *mut c_void,
) -> c_int {
    19
}

/// A logon and logoff of root, from an address, at a terminal, decided by `pam_{module}.so`.
fn pam(module: &str) {
    type Start =
        extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut *mut c_void) -> c_int;
    type Set = extern "C" fn(*mut c_void, c_int, *const c_void) -> c_int;
    type Do = extern "C" fn(*mut c_void, c_int) -> c_int;
    let rules: String = ["auth", "account", "session"]
        .iter()
        .flat_map(|kind| [*kind, " required pam_", module, ".so\n"])
        .collect();
    std::fs::write("/etc/pam.d/metsuke-login", rules).unwrap();
    // SAFETY: a library of the system and symbols of it; checked before use.
    let symbol = |name: &CStr| unsafe {
        let library = libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null());
        let found = libc::dlsym(library, name.as_ptr());
        assert!(!found.is_null(), "{name:?}");
        found
    };
    // SAFETY: the signatures of pam(3); every pointer given outlives the calls.
    unsafe {
        let start: Start = std::mem::transmute(symbol(c"pam_start"));
        let set: Set = std::mem::transmute(symbol(c"pam_set_item"));
        let act = |name: &CStr| std::mem::transmute::<*mut c_void, Do>(symbol(name));
        let talk = Conversation { talk: silent, data: ptr::null_mut() };
        let mut handle = ptr::null_mut();
        let begun =
            start(c"metsuke-login".as_ptr(), c"root".as_ptr(), &raw const talk, &raw mut handle);
        assert_eq!(begun, 0);
        assert_eq!(set(handle, 4, c"192.0.2.9".as_ptr().cast()), 0);
        assert_eq!(set(handle, 3, c"/dev/pts/66".as_ptr().cast()), 0);
        let result = act(c"pam_authenticate")(handle, 0);
        assert_eq!(result == 0, module == "permit");
        if result == 0 {
            assert_eq!(act(c"pam_acct_mgmt")(handle, 0), 0);
            assert_eq!(act(c"pam_open_session")(handle, 0), 0);
            assert_eq!(act(c"pam_close_session")(handle, 0), 0);
        }
        act(c"pam_end")(handle, result);
    }
}

/// Appends a record of utmp(5).
fn append(path: &str, kind: i16, line: &str, user: &str) {
    let mut record = vec![0_u8; 384];
    record[..2].copy_from_slice(&kind.to_ne_bytes());
    record[4..8].copy_from_slice(&std::process::id().to_ne_bytes());
    record[8..8 + line.len()].copy_from_slice(line.as_bytes());
    record[44..44 + user.len()].copy_from_slice(user.as_bytes());
    record[348..352].copy_from_slice(&[192, 0, 2, 8]);
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(&record).unwrap();
}

/// Tells the audit subsystem of a failed logon; gives whether it is switched on. Nothing is set.
fn tell_audit() -> u32 {
    let message = |kind: u16, text: &[u8]| {
        let length = u32::try_from(16 + text.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(text);
        bytes
    };
    // SAFETY: buffers of the lengths given, a descriptor of our own that is closed at our end.
    unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 9);
        assert!(fd >= 0);
        let send = |bytes: &[u8]| libc::send(fd, bytes.as_ptr().cast(), bytes.len(), 0);
        assert!(send(&message(1000, &[])) > 0);
        let mut answer = [0_u8; 512];
        let got = libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0);
        // struct audit_status after the header: mask, enabled.
        let enabled = match u16::from_ne_bytes([answer[4], answer[5]]) {
            1000 if got >= 24 => u32::from_ne_bytes(answer[20..24].try_into().unwrap()),
            _ => 0,
        };
        let text = b"op=login acct=\"metsuke-a\" exe=\"/usr/sbin/sshd\" hostname=? \
                     addr=192.0.2.7 terminal=ssh res=failed\0";
        assert!(send(&message(1112, text)) > 0);
        enabled
    }
}

fn logon(event: &Event) -> Option<&Logon> {
    match &event.activity {
        Activity::Logon(_, logon) => Some(logon),
        _ => None,
    }
}

#[test]
fn logons_by_libpam_are_told() {
    let test = "logons_by_libpam_are_told";
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let coverage = watch.coverage();
    let hook = coverage.hooks.iter().find(|hook| hook.hook == "uprobe/libpam").unwrap();
    if hook.outcome != Outcome::Works {
        eprintln!("NOT RUN: {test}: {:?}", hook.outcome);
        return;
    }
    let mut child = room.helper(&group, "logons");
    let pid = child.pid();
    child.step("pam good");
    child.step("pam bad");
    let mut check = |kind, reason: Option<&str>| {
        let found = watch.of(kind, kind.name(), |event| pid_is(event, pid));
        let told = logon(&found).unwrap();
        assert_eq!((told.user.as_deref(), told.user_id), (Some("root"), Some(0)));
        assert_eq!(told.service.as_deref(), Some("metsuke-login"));
        assert_eq!(told.source_ip, Some([192, 0, 2, 9].into()));
        assert_eq!(told.tty.as_deref(), Some("pts/66"));
        assert_eq!((told.reason.as_deref(), told.source.as_deref()), (reason, Some("pam")));
    };
    check(Kind::UserLogon, None);
    check(Kind::UserLogoff, None);
    check(Kind::UserLogonFailed, Some("authentication_failed"));
    child.end();
    let all = watch.stop();
    assert_eq!(all.iter().filter(|event| logon(event).is_some()).count(), 3, "each once");
    row(
        Table::Coverage,
        "User Logon",
        Shown::Seen,
        "user.logon by libpam: user, service, address, terminal",
    );
    row(
        Table::Coverage,
        "User Logoff",
        Shown::Seen,
        "user.logoff by libpam: user, service, address, terminal",
    );
    row(Table::Coverage, "Logon Failed", Shown::Seen, "user.logon_failed with the reason");
}

#[test]
fn records_of_logons_are_told() {
    let test = "records_of_logons_are_told";
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let mut child = room.helper(&group, "logons");
    let pid = child.pid();
    for (step, kinds) in
        [("wtmp", &[Kind::UserLogon, Kind::UserLogoff][..]), ("btmp", &[Kind::UserLogonFailed][..])]
    {
        child.step(step);
        for kind in kinds {
            let found = watch.of(*kind, kind.name(), |event| pid_is(event, pid));
            let told = logon(&found).unwrap();
            assert_eq!(told.user.as_deref(), Some("metsuke-u"), "{kind:?}");
            assert_eq!(told.source_ip, Some([192, 0, 2, 8].into()));
            assert_eq!(told.source.as_deref(), Some("utmp"));
        }
    }
    child.end();
    let all = watch.stop();
    assert_eq!(all.iter().filter(|event| logon(event).is_some()).count(), 3, "each once");
}

#[test]
fn messages_to_the_audit_subsystem_are_told() {
    let test = "messages_to_the_audit_subsystem_are_told";
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let mut child = room.helper(&group, "logons");
    if child.step("audit").iter().any(|line| line == "enabled 0") {
        eprintln!("NOT RUN: {test}: the audit subsystem is switched off, and is left so");
        return;
    }
    let pid = child.pid();
    let found = watch.of(Kind::UserLogonFailed, "a message", |event| pid_is(event, pid));
    let told = logon(&found).unwrap();
    assert_eq!(told.user.as_deref(), Some("metsuke-a"));
    assert_eq!((told.service.as_deref(), told.source.as_deref()), (Some("sshd"), Some("audit")));
    child.end();
}

#[test]
fn su_is_a_logon_and_a_logoff() {
    let test = "su_is_a_logon_and_a_logoff";
    if !Path::new("/usr/bin/su").exists() {
        eprintln!("NOT RUN: {test}: no su is installed");
        return;
    }
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let args = ["-s", "/bin/sh", "-c", "exit 0", "nobody"];
    let mut child = room.command(&group, "/usr/bin/su", &args).spawn().unwrap();
    let status = child.wait().unwrap();
    if !status.success() {
        eprintln!("NOT RUN: {test}: su does not work here: {status}");
        return;
    }
    for kind in [Kind::UserLogon, Kind::UserLogoff] {
        let found = watch.of(kind, kind.name(), |event| pid_is(event, child.id()));
        let told = logon(&found).unwrap();
        assert_eq!((told.user.as_deref(), told.service.as_deref()), (Some("nobody"), Some("su")));
        assert_eq!(told.actor.as_deref(), Some("root"));
    }
}
