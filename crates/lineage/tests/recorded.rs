//! Recorded processes get identities, parents and storylines as a sensor would have given them.

use std::sync::Arc;

use metsuke_event::{BootId, EndpointId, Event, Kind, Process, Timestamp, ValueRef};
use metsuke_lineage::{Recorded, Tree};

const HOUR: i64 = 3_600_000;

/// An event at `millis` of a recorded host.
fn event(kind: Kind, millis: i64, process: Process) -> Event {
    let mut event = Event::empty(kind);
    event.id.endpoint = EndpointId::from_u128(7);
    event.id.boot = BootId::from_u128(1);
    event.time = Timestamp::from_millis(1_772_359_200_000 + millis);
    event.process = Arc::new(process);
    event
}

/// A start as Sysmon tells it.
fn sysmon(
    millis: i64,
    (uid, pid, exe): (&str, u64, &str),
    (parent, ppid, by): (&str, u64, &str),
) -> Event {
    let process = Process {
        uid: Some(uid.into()),
        pid: Some(pid),
        exe: Some(exe.into()),
        parent_uid: Some(parent.into()),
        parent_pid: Some(ppid),
        parent_exe: Some(by.into()),
        ..Process::default()
    };
    event(Kind::ProcessExec, millis, process)
}

/// A start, or something else, that knows numbers only.
fn numbered(kind: Kind, millis: i64, (pid, exe): (u64, &str), parent: Option<u64>) -> Event {
    let process =
        Process { pid: Some(pid), exe: Some(exe.into()), parent_pid: parent, ..Process::default() };
    event(kind, millis, process)
}

fn identified(mut events: Vec<Event>) -> Vec<Event> {
    let mut recorded = Recorded::default();
    for event in &mut events {
        recorded.identify(event);
    }
    events
}

fn uid(event: &Event) -> &str {
    event.process.uid.as_deref().expect("identified")
}

fn storyline(event: &Event) -> &str {
    event.process.storyline.as_deref().expect("identified")
}

#[test]
fn sysmon_storylines_begin_below_the_desktop() {
    let events = identified(vec![
        sysmon(0, ("{w}", 10, "C:\\winword.exe"), ("{e}", 5, "C:\\Windows\\explorer.exe")),
        sysmon(1, ("{p}", 11, "C:\\powershell.exe"), ("{w}", 10, "C:\\winword.exe")),
        sysmon(2, ("{n}", 12, "C:\\net.exe"), ("{p}", 11, "C:\\powershell.exe")),
        sysmon(3, ("{o}", 13, "C:\\outlook.exe"), ("{e}", 5, "C:\\Windows\\explorer.exe")),
        sysmon(4, ("{c}", 14, "C:\\whoami.exe"), ("{unseen}", 9, "C:\\cmd.exe")),
        sysmon(5, ("{d}", 15, "C:\\ipconfig.exe"), ("{unseen}", 9, "C:\\cmd.exe")),
    ]);
    let told: Vec<(&str, &str)> =
        events.iter().map(|event| (uid(event), storyline(event))).collect();
    assert_eq!(
        told,
        [
            ("{w}", "{w}"),
            ("{p}", "{w}"),
            ("{n}", "{w}"),
            ("{o}", "{o}"),
            // A parent that nobody saw is the root of what it started.
            ("{c}", "{unseen}"),
            ("{d}", "{unseen}"),
        ]
    );
    let tree = Tree::build(100, &events);
    let line: Vec<&str> = tree.ancestors("{n}").map(|node| &*node.uid).collect();
    assert_eq!(line, ["{p}", "{w}", "{e}"]);
}

#[test]
fn two_logs_of_one_start_mean_one_process() {
    let own = numbered(Kind::ProcessExec, 0, (11, "C:\\powershell.exe"), Some(10));
    let same = sysmon(40, ("{p}", 11, "C:\\PowerShell.exe"), ("{w}", 10, "C:\\winword.exe"));
    let child = sysmon(90, ("{n}", 12, "C:\\net.exe"), ("{p}", 11, "C:\\powershell.exe"));
    let mut script = event(Kind::ScriptExecute, 95, Process::default());
    script.unmapped.push("Channel", ValueRef::Text("Microsoft-Windows-PowerShell/Operational"));
    script.unmapped.push("Execution_ProcessID", ValueRef::U64(11));
    let mut audit = event(Kind::Imported, 96, Process::default());
    audit.unmapped.push("Channel", ValueRef::Text("Security"));
    audit.unmapped.push("ProcessId", ValueRef::Text("0xc"));
    let events = identified(vec![own, same, child, script, audit]);
    assert_eq!(uid(&events[0]), uid(&events[1]));
    assert_eq!(events[1].unmapped.get("ProcessGuid"), Some(ValueRef::Text("{p}")));
    assert_eq!(events[2].process.parent_uid.as_deref(), Some(uid(&events[0])));
    assert_eq!(uid(&events[3]), uid(&events[0]));
    assert_eq!(uid(&events[4]), "{n}");
    let one = storyline(&events[0]);
    assert!(events.iter().all(|event| storyline(event) == one));
}

#[test]
fn a_number_means_who_had_it_then() {
    let exit = |millis, pid| {
        event(Kind::ProcessExit, millis, Process { pid: Some(pid), ..Process::default() })
    };
    let act =
        |millis| event(Kind::FileCreate, millis, Process { pid: Some(20), ..Process::default() });
    let events = identified(vec![
        numbered(Kind::ProcessExec, 0, (20, "C:\\a.exe"), Some(4)),
        act(5_000),
        exit(9_000, 20),
        numbered(Kind::ProcessExec, 60_000, (20, "C:\\b.exe"), Some(4)),
        act(61_000),
        // Another file of the same host, read later, tells of an earlier time.
        act(6_000),
        act(30_000),
    ]);
    assert_eq!(uid(&events[1]), uid(&events[0]));
    assert_eq!(uid(&events[2]), uid(&events[0]));
    assert_ne!(uid(&events[3]), uid(&events[0]));
    assert_eq!(uid(&events[4]), uid(&events[3]));
    assert_eq!(uid(&events[5]), uid(&events[0]));
    assert!(uid(&events[6]) != uid(&events[0]) && uid(&events[6]) != uid(&events[3]));
}

#[test]
fn a_process_of_linux_runs_another_program_and_stays_itself() {
    let events = identified(vec![
        numbered(Kind::Imported, 0, (30, "/usr/bin/bash"), Some(29)),
        numbered(Kind::ProcessExec, 0, (30, "/usr/bin/bash"), Some(29)),
        numbered(Kind::ProcessExec, 300, (30, "/usr/bin/curl"), Some(29)),
        numbered(Kind::ProcessExec, 400, (31, "/usr/bin/sh"), Some(30)),
        numbered(Kind::ProcessExec, 500, (40, "/usr/bin/id"), Some(29)),
        // Hours later the number was used again.
        numbered(Kind::ProcessExec, 5 * HOUR, (30, "/usr/bin/ls"), Some(29)),
        // Below init everything is a storyline of its own.
        numbered(Kind::ProcessExec, 6 * HOUR, (50, "/usr/sbin/cron"), Some(1)),
    ]);
    assert_eq!(uid(&events[0]), uid(&events[1]));
    assert_eq!(uid(&events[1]), uid(&events[2]));
    assert_eq!(events[3].process.parent_uid.as_deref(), Some(uid(&events[0])));
    assert!(events[..5].iter().all(|event| storyline(event) == storyline(&events[0])));
    assert_ne!(uid(&events[5]), uid(&events[0]));
    assert_eq!(storyline(&events[6]), uid(&events[6]));
}

#[test]
fn what_has_its_identity_keeps_it_and_hosts_do_not_mix() {
    let own = Process {
        uid: Some("b-1-2".into()),
        storyline: Some("b-1-1".into()),
        pid: Some(1),
        ..Process::default()
    };
    let mut other = numbered(Kind::FileCreate, 10, (20, "C:\\a.exe"), None);
    other.id.endpoint = EndpointId::from_u128(8);
    let events = identified(vec![
        event(Kind::FileCreate, 0, own),
        numbered(Kind::ProcessExec, 0, (20, "C:\\a.exe"), None),
        other,
        event(Kind::UserLogon, 1, Process::default()),
    ]);
    assert_eq!((uid(&events[0]), storyline(&events[0])), ("b-1-2", "b-1-1"));
    assert_ne!(uid(&events[1]), uid(&events[2]));
    assert!(events[3].process.uid.is_none() && events[3].process.storyline.is_none());
}

#[test]
fn is_bounded_and_counts() {
    let mut recorded = Recorded::new(10);
    for number in 0..100 {
        let millis = i64::try_from(number).expect("small") * 5_000;
        let mut start = numbered(Kind::ProcessExec, millis, (100 + number, "C:\\a.exe"), None);
        recorded.identify(&mut start);
        assert!(start.process.uid.is_some());
    }
    assert_eq!(recorded.forgotten(), 90);
}
