//! Lines of text: every form of JSON and logs of auditd, as records.

mod support;

use std::fmt::Write;

use metsuke_event::{Event, FIELDS, ecs, ocsf};
use metsuke_intake::{Format, Output, Record, bounds};
use serde_json::json;
use support::read;

/// What is known of the records, a block each.
fn shown(out: &Output) -> String {
    let mut text: String = out.records.iter().map(record).collect();
    text.extend(out.problems.iter().map(|problem| format!("! {problem}\n")));
    text
}

fn record(record: &Record) -> String {
    let event = &record.event;
    let sources: Vec<String> = record
        .sources
        .iter()
        .map(|one| {
            let parts = [one.product, one.category, one.service];
            parts.map(|part| part.unwrap_or("*")).join("/")
        })
        .collect();
    let kind = event.activity.kind().name();
    let mut text = format!("# {} {} {kind} [{}]\n", record.number, event.time, sources.join(", "));
    for spec in FIELDS.iter().filter(|spec| spec.id.0 > 7) {
        if let Some(value) = event.get(spec.id) {
            let _ = writeln!(text, "{} = {}", spec.name, value.to_text());
        }
    }
    for (name, value) in support::kept(event) {
        let _ = writeln!(text, "+ {name} = {value}");
    }
    text
}

#[test]
fn windows_events_as_nxlog_writes_them() {
    let line = json!({
        "EventTime": "2026-03-01 10:00:00", "@timestamp": "2026-03-01T10:00:01.5Z",
        "Hostname": "pc7", "Channel": "Security", "EventID": 4688,
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "NewProcessName": "C:\\Windows\\System32\\whoami.exe", "NewProcessId": "0x10",
        "ProcessId": "0x4", "CommandLine": "whoami /all", "List": ["a", 1], "Nothing": null
    });
    insta::assert_snapshot!(shown(&read(Format::Auto, &line.to_string())), @r#"
    # 1 2026-03-01T10:00:01.500Z process.exec [windows/process_creation/security]
    device.hostname = pc7
    process.pid = 16
    process.file.path = C:\Windows\System32\whoami.exe
    process.cmd_line = whoami /all
    process.parent_process.pid = 4
    + @timestamp = 2026-03-01T10:00:01.5Z
    + Channel = Security
    + CommandLine = whoami /all
    + EventID = 4688
    + EventTime = 2026-03-01 10:00:00
    + Hostname = pc7
    + List = a
    1
    + NewProcessId = 0x10
    + NewProcessName = C:\Windows\System32\whoami.exe
    + ProcessId = 0x4
    + Provider_Name = Microsoft-Windows-Security-Auditing
    "#);
}

#[test]
fn windows_events_as_winlogbeat_and_xml_have_them() {
    let beat = json!({
        "@timestamp": "2026-03-01T10:00:00.000Z", "event": {"code": 3, "kind": "event"},
        "winlog": {
            "channel": "Microsoft-Windows-Sysmon/Operational", "event_id": "3",
            "provider_name": "Microsoft-Windows-Sysmon", "computer_name": "pc7",
            "event_data": {
                "Image": "C:\\a.exe", "Initiated": "false", "SourceIp": "10.0.0.1",
                "SourceIsIpv6": "false", "DestinationIp": "0:0:0:0:0:0:0:1", "DestinationPort": "443"
            }
        }
    });
    let xml = json!({"Event": {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": {"Name": "Service Control Manager"}},
            "EventID": {"#attributes": {"Qualifiers": 16384}, "#text": 7045},
            "TimeCreated": {"#attributes": {"SystemTime": "2026-03-01T10:00:00.000000Z"}},
            "Channel": "System", "Computer": "pc7"
        },
        "EventData": {"ServiceName": "updater", "ImagePath": "C:\\u.exe"}
    }});
    insta::assert_snapshot!(shown(&read(Format::Auto, &format!("{beat}\n{xml}"))), @r#"
    # 1 2026-03-01T10:00:00Z network.accept [windows/network_connection/sysmon]
    device.hostname = pc7
    process.file.path = C:\a.exe
    src_endpoint.ip = 10.0.0.1
    dst_endpoint.port = 443
    connection_info.initiated = false
    + Channel = Microsoft-Windows-Sysmon/Operational
    + Computer = pc7
    + DestinationIp = 0:0:0:0:0:0:0:1
    + SourceIsIpv6 = false
    + EventID = 3
    + Provider_Name = Microsoft-Windows-Sysmon
    # 2 2026-03-01T10:00:00Z service.create [windows/*/system]
    device.hostname = pc7
    service.name = updater
    + ImagePath = C:\u.exe
    + ServiceName = updater
    + Channel = System
    + Computer = pc7
    + EventID = 7045
    + Provider_Name = Service Control Manager
    "#);
}

#[test]
fn ecs_of_an_agent() {
    let start = json!({
        "@timestamp": "2026-03-01T10:00:00Z", "host": {"name": "web", "os": {"type": "linux"}},
        "event": {"category": ["process"], "type": ["start"], "action": "exec"},
        "process": {
            "pid": 7, "executable": "/usr/bin/id", "command_line": "id -u",
            "parent": {"executable": "/bin/sh"}, "args": ["id", "-u"]
        },
        "user": {"name": "root", "id": "0"}
    });
    let registry = json!({
        "@timestamp": "2026-03-01T10:00:00Z", "host.os.type": "windows", "host.name": "pc7",
        "event.category": "registry", "event.type": "change",
        "registry.path": "HKLM\\Software\\Run\\x", "process.executable": "C:\\a.exe"
    });
    let nothing = json!({"event": {"category": ["web"], "type": ["info"]}});
    let text = format!("{start}\n{registry}\n{nothing}");
    insta::assert_snapshot!(shown(&read(Format::Auto, &text)), @r#"
    # 1 2026-03-01T10:00:00Z process.exec [linux/process_creation/*]
    device.hostname = web
    process.pid = 7
    process.file.path = /usr/bin/id
    process.cmd_line = id -u
    process.user.name = root
    process.user.uid = 0
    process.parent_process.file.path = /bin/sh
    + @timestamp = 2026-03-01T10:00:00Z
    + event.action = exec
    + event.category = process
    + event.type = start
    + host.name = web
    + host.os.type = linux
    + process.args = id
    -u
    # 2 2026-03-01T10:00:00Z imported.event [windows/registry_set/*, windows/registry_event/*]
    device.hostname = pc7
    process.file.path = C:\a.exe
    imported.log = registry
    imported.type = change
    + @timestamp = 2026-03-01T10:00:00Z
    + event.category = registry
    + event.type = change
    + host.name = pc7
    + host.os.type = windows
    + TargetObject = HKLM\Software\Run\x
    ! line 3: `event.category` (web) and `event.type` (info) name no activity that is known
    "#);
}

#[test]
fn ocsf_of_another_product() {
    let line = json!({
        "class_uid": 1007, "activity_id": 1, "category_uid": 1, "time": 1_772_359_200_000_i64,
        "device": {"hostname": "pc7", "os": {"name": "Windows 11", "type_id": 100}},
        "process": {
            "pid": 7, "cmd_line": "a.exe -x", "file": {"path": "C:\\a.exe", "name": "a.exe"},
            "user": {"name": "joe", "uid": "S-1-5-21-1"}, "integrity": "High"
        },
        "metadata": {"version": "1.4.0", "product": {"name": "Else"}}
    });
    insta::assert_snapshot!(shown(&read(Format::Ocsf, &line.to_string())), @r#"
    # 1 2026-03-01T10:00:00Z process.exec [windows/process_creation/*]
    device.hostname = pc7
    process.pid = 7
    process.file.path = C:\a.exe
    process.cmd_line = a.exe -x
    process.user.name = joe
    + process.user.uid = S-1-5-21-1
    + device.os.name = Windows 11
    + device.os.type_id = 100
    + metadata.product.name = Else
    + process.integrity = High
    "#);
}

#[test]
fn our_own_lines_come_back_as_they_went() {
    let mut event = Event::empty(metsuke_event::Kind::FileDelete);
    event.time = "2026-03-01T10:00:00Z".parse().expect("a time");
    event.host = Some("web".into());
    event.id.seq = 9;
    event.process = std::sync::Arc::new(metsuke_event::entity::Process {
        exe: Some("/usr/bin/rm".into()),
        pid: Some(7),
        ..Default::default()
    });
    let mut fields = serde_json::Map::new();
    for (spec, value) in event.fields() {
        let text = value.as_ref().to_text().into_owned();
        let number = text.parse::<u64>().map(serde_json::Value::from);
        fields.insert(spec.name.to_owned(), number.unwrap_or_else(|_| text.into()));
    }
    // Identities are 32 digits, and text.
    for name in ["device.uid", "device.boot_uid"] {
        fields.insert(name.to_owned(), "0".repeat(32).into());
    }
    for line in [json!(fields), ocsf::to_ocsf(&event), ecs::to_ecs(&event)] {
        let out = read(Format::Auto, &line.to_string());
        assert_eq!(out.problems, [], "{line}");
        let found = &out.records[0].event;
        let fields = |event: &Event| -> Vec<_> {
            event.fields().map(|(spec, value)| (spec.id, value)).collect()
        };
        assert_eq!(fields(found), fields(&event), "{line}");
        let kept = support::kept(found).into_iter();
        let foreign: Vec<_> = kept.filter(|(name, _)| !name.starts_with("metadata.")).collect();
        assert_eq!(foreign, [], "{line}");
        assert_eq!(out.records[0].sources[0].category, Some("file_delete"));
    }
}

#[test]
fn an_exec_of_auditd() {
    let text = "\
type=SYSCALL msg=audit(1772359200.250:11): arch=c000003e syscall=59 success=yes exit=0 a0=5 items=2 ppid=3 pid=7 auid=4294967295 uid=0 euid=0 tty=pts0 comm=\"sh\" exe=\"/bin/dash\" key=\"exec\"
type=EXECVE msg=audit(1772359200.250:11): argc=3 a0=\"sh\" a1=\"-c\" a2=6964203E202F746D702F78
type=SYSCALL msg=audit(1772359200.260:12): arch=c000003e syscall=42 success=yes exit=0 pid=8 uid=33 comm=\"nc\" exe=\"/bin/nc\"
type=CWD msg=audit(1772359200.250:11): cwd=\"/root\"
type=SOCKADDR msg=audit(1772359200.260:12): saddr=020001BBC00002070000000000000000
type=PROCTITLE msg=audit(1772359200.250:11): proctitle=7368002D63
type=EOE msg=audit(1772359200.260:12):";
    insta::assert_snapshot!(shown(&read(Format::Auto, text)), @r#"
    # 1 2026-03-01T10:00:00.250Z imported.event [linux/*/auditd]
    process.pid = 7
    process.file.path = /bin/dash
    process.name = sh
    process.working_directory = /root
    process.user.uid = 0
    process.euid = 0
    process.tty = pts0
    process.parent_process.pid = 3
    imported.log = auditd
    imported.type = SYSCALL
    + type = SYSCALL
    + arch = c000003e
    + syscall = 59
    + success = yes
    + exit = 0
    + a0 = 5
    + items = 2
    + ppid = 3
    + pid = 7
    + auid = 4294967295
    + uid = 0
    + euid = 0
    + tty = pts0
    + comm = sh
    + exe = /bin/dash
    + key = exec
    + SYSCALL = execve
    # 2 2026-03-01T10:00:00.250Z process.exec [linux/process_creation/auditd]
    process.pid = 7
    process.file.path = /bin/dash
    process.name = sh
    process.cmd_line = sh -c id > /tmp/x
    process.working_directory = /root
    process.user.uid = 0
    process.euid = 0
    process.tty = pts0
    process.parent_process.pid = 3
    + type = EXECVE
    + argc = 3
    + a0 = sh
    + a1 = -c
    + a2 = id > /tmp/x
    # 4 2026-03-01T10:00:00.250Z imported.event [linux/*/auditd]
    process.pid = 7
    process.file.path = /bin/dash
    process.name = sh
    process.working_directory = /root
    process.user.uid = 0
    process.euid = 0
    process.tty = pts0
    process.parent_process.pid = 3
    imported.log = auditd
    imported.type = CWD
    + type = CWD
    + cwd = /root
    # 6 2026-03-01T10:00:00.250Z imported.event [linux/*/auditd]
    process.pid = 7
    process.file.path = /bin/dash
    process.name = sh
    process.working_directory = /root
    process.user.uid = 0
    process.euid = 0
    process.tty = pts0
    process.parent_process.pid = 3
    imported.log = auditd
    imported.type = PROCTITLE
    + type = PROCTITLE
    + proctitle = sh -c
    # 3 2026-03-01T10:00:00.260Z imported.event [linux/*/auditd]
    process.pid = 8
    process.file.path = /bin/nc
    process.name = nc
    process.user.uid = 33
    imported.log = auditd
    imported.type = SYSCALL
    + type = SYSCALL
    + arch = c000003e
    + syscall = 42
    + success = yes
    + exit = 0
    + pid = 8
    + uid = 33
    + comm = nc
    + exe = /bin/nc
    + SYSCALL = connect
    # 5 2026-03-01T10:00:00.260Z network.connect [linux/network_connection/auditd]
    process.pid = 8
    process.file.path = /bin/nc
    process.name = nc
    process.user.uid = 33
    dst_endpoint.ip = 192.0.2.7
    dst_endpoint.port = 443
    connection_info.initiated = true
    + type = SOCKADDR
    + saddr = 020001BBC00002070000000000000000
    "#);
}

#[test]
fn files_and_logons_of_auditd() {
    let text = "\
node=web type=SYSCALL msg=audit(1772359200.250:11): arch=c000003e syscall=264 success=yes pid=7 uid=0 comm=\"mv\" exe=\"/bin/mv\"
node=web type=CWD msg=audit(1772359200.250:11): cwd=\"/etc\"
node=web type=PATH msg=audit(1772359200.250:11): item=0 name=\"a\" inode=5 ouid=0 nametype=DELETE
node=web type=PATH msg=audit(1772359200.250:11): item=1 name=\"b c\" inode=5 ouid=0 nametype=CREATE
node=web type=EOE msg=audit(1772359200.250:11):
type=USER_LOGIN msg=audit(1772359201.000:12): pid=9 uid=0 auid=1000 ses=4 msg='op=login acct=\"joe\" exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.7 terminal=ssh res=failed'
type=NONSENSE
nothing at all";
    insta::assert_snapshot!(shown(&read(Format::Auto, text)), @r#"
    # 1 2026-03-01T10:00:00.250Z imported.event [linux/*/auditd]
    device.hostname = web
    process.pid = 7
    process.file.path = /bin/mv
    process.name = mv
    process.working_directory = /etc
    process.user.uid = 0
    imported.log = auditd
    imported.type = SYSCALL
    + type = SYSCALL
    + arch = c000003e
    + syscall = 264
    + success = yes
    + pid = 7
    + uid = 0
    + comm = mv
    + exe = /bin/mv
    + SYSCALL = renameat
    # 2 2026-03-01T10:00:00.250Z imported.event [linux/*/auditd]
    device.hostname = web
    process.pid = 7
    process.file.path = /bin/mv
    process.name = mv
    process.working_directory = /etc
    process.user.uid = 0
    imported.log = auditd
    imported.type = CWD
    + type = CWD
    + cwd = /etc
    # 3 2026-03-01T10:00:00.250Z imported.event [linux/*/auditd]
    device.hostname = web
    process.pid = 7
    process.file.path = /bin/mv
    process.name = mv
    process.working_directory = /etc
    process.user.uid = 0
    imported.log = auditd
    imported.type = PATH
    + type = PATH
    + item = 0
    + name = a
    + inode = 5
    + ouid = 0
    + nametype = DELETE
    # 4 2026-03-01T10:00:00.250Z file.rename [linux/file_rename/auditd]
    device.hostname = web
    process.pid = 7
    process.file.path = /bin/mv
    process.name = mv
    process.working_directory = /etc
    process.user.uid = 0
    file.path = /etc/b c
    file_diff.path = /etc/a
    file.inode = 5
    file.owner.uid = 0
    + type = PATH
    + item = 1
    + name = b c
    + inode = 5
    + ouid = 0
    + nametype = CREATE
    # 6 2026-03-01T10:00:01Z user.logon_failed [linux/authentication/auditd]
    process.pid = 9
    process.file.path = /usr/sbin/sshd
    process.user.uid = 0
    process.auid = 1000
    logon.user.name = joe
    logon.src_ip = 192.0.2.7
    logon.tty = ssh
    + type = USER_LOGIN
    + pid = 9
    + uid = 0
    + auid = 1000
    + ses = 4
    + op = login
    + acct = joe
    + exe = /usr/sbin/sshd
    + hostname = ?
    + addr = 192.0.2.7
    + terminal = ssh
    + res = failed
    ! line 7: neither JSON nor a record of auditd
    ! line 8: neither JSON nor a record of auditd
    "#);
}

#[test]
fn what_cannot_be_read_is_named() {
    let long = "x".repeat(bounds::LINE_BYTES + 1);
    let out = read(Format::Jsonl, &format!("{{\"a\":\n5\n{{\"a\":1}}\n{long}\n\n[\n]"));
    let said: Vec<String> = out.problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].starts_with("line 1: broken JSON"), "{said:?}");
    assert!(said[1].starts_with("line 2: "), "{said:?}");
    assert!(said[2].starts_with("line 3: an object of no form that is known"), "{said:?}");
    assert!(said[3].starts_with("line 4: longer than"), "{said:?}");
}
