//! Windows event logs: what is read of them, and that no damage stops the rest.

mod support;

use metsuke_event::{Event, FIELDS};
use metsuke_intake::evtx::{HEADER_BYTES, Reader};
use metsuke_intake::{Output, Record, bounds};
use proptest::prelude::*;
use support::evtx::{Written, chunk, log, wide};

const TIME: u64 = 133_800_000_000_000_000;

fn read(log: &[u8]) -> Output {
    let mut out = Output::default();
    Reader::new().chunk(HEADER_BYTES as u64, &log[HEADER_BYTES..], &mut out);
    out
}

fn sysmon(id: u16, nested: bool, data: Vec<(&str, u8, Vec<u8>)>) -> Written<'_> {
    Written {
        channel: "Microsoft-Windows-Sysmon/Operational",
        provider: "Microsoft-Windows-Sysmon",
        id,
        time: TIME,
        data,
        nested,
    }
}

fn exec(nested: bool) -> Written<'static> {
    sysmon(
        1,
        nested,
        vec![
            ("UtcTime", 1, wide("2024-12-30 02:40:00.000")),
            ("ProcessGuid", 0x0f, (0..16).collect()),
            ("ProcessId", 8, 4711_u32.to_le_bytes().to_vec()),
            ("Image", 1, wide("C:\\Windows\\System32\\cmd.exe")),
            ("CommandLine", 1, wide("cmd /c echo \u{e9}\u{1f600}")),
            ("Hashes", 1, wide("SHA256=AA,IMPHASH=BB")),
            ("LogonId", 0x15, 0x3e7_u64.to_le_bytes().to_vec()),
            ("Threat Name", 1, wide("x")),
            ("Empty", 1, vec![]),
            ("Null", 0, vec![]),
        ],
    )
}

fn logon() -> Written<'static> {
    Written {
        channel: "Security",
        provider: "Microsoft-Windows-Security-Auditing",
        id: 4624,
        time: TIME,
        data: vec![
            ("TargetUserName", 1, wide("joe")),
            ("IpAddress", 1, wide("192.0.2.7")),
            ("LogonType", 8, 3_u32.to_le_bytes().to_vec()),
        ],
        nested: true,
    }
}

fn classic() -> Written<'static> {
    Written {
        channel: "Windows PowerShell",
        provider: "PowerShell",
        id: 400,
        time: TIME,
        data: vec![("", 0x81, wide("a\0b\0")), ("", 1, wide("HostName=ConsoleHost"))],
        nested: false,
    }
}

/// Fields that are set, then those kept, a line each.
fn shown(event: &Event) -> String {
    let typed = FIELDS.iter().filter(|spec| spec.id.0 > 2 && !matches!(spec.id.0, 4..=7));
    let typed = typed.filter_map(|spec| Some((spec.name.to_owned(), event.get(spec.id)?)));
    let typed = typed.map(|(name, value)| (name, value.to_text().into_owned()));
    let kept = support::kept(event).into_iter().map(|(name, value)| (format!("+ {name}"), value));
    let lines = typed.chain(kept).map(|(name, value)| format!("{name} = {value}\n"));
    lines.collect()
}

fn one(out: &Output) -> &Record {
    assert_eq!(out.problems, []);
    assert_eq!(out.records.len(), 1);
    &out.records[0]
}

#[test]
fn a_process_of_sysmon_has_typed_fields_and_its_own() {
    let out = read(&log(&[exec(false)]));
    let record = one(&out);
    assert_eq!(record.event.activity.kind().name(), "process.exec");
    assert_eq!(record.event.time.to_string(), "2024-12-30T02:40:00Z");
    insta::assert_snapshot!(shown(&record.event), @r#"
    device.hostname = pc7.example
    process.uid = {03020100-0504-0706-0809-0A0B0C0D0E0F}
    process.pid = 4711
    process.file.path = C:\Windows\System32\cmd.exe
    process.cmd_line = cmd /c echo é😀
    + Provider_Name = Microsoft-Windows-Sysmon
    + EventID = 1
    + Channel = Microsoft-Windows-Sysmon/Operational
    + Computer = pc7.example
    + UserID = S-1-5-18
    + UtcTime = 2024-12-30 02:40:00.000
    + Hashes = SHA256=AA,IMPHASH=BB
    + LogonId = 0x3e7
    + ThreatName = x
    + Empty =
    "#);
    let sources: Vec<_> = record.sources.iter().map(|one| (one.category, one.service)).collect();
    assert_eq!(sources, [(Some("process_creation"), Some("sysmon"))]);
    let nested = read(&log(&[exec(true)]));
    assert_eq!(shown(&one(&nested).event), shown(&record.event), "the same, however it is written");
}

#[test]
fn a_logon_is_typed_beside_its_own_names() {
    let out = read(&log(&[logon()]));
    let record = one(&out);
    assert_eq!(record.event.activity.kind().name(), "user.logon");
    insta::assert_snapshot!(shown(&record.event), @r#"
    device.hostname = pc7.example
    logon.user.name = joe
    logon.src_ip = 192.0.2.7
    + Provider_Name = Microsoft-Windows-Security-Auditing
    + EventID = 4624
    + Channel = Security
    + Computer = pc7.example
    + UserID = S-1-5-18
    + TargetUserName = joe
    + IpAddress = 192.0.2.7
    + LogonType = 3
    "#);
}

#[test]
fn names_of_the_antivirus_category_stand_beside_those_of_defender() {
    let event = Written {
        channel: "Microsoft-Windows-Windows Defender/Operational",
        provider: "Microsoft-Windows-Windows Defender",
        id: 1116,
        time: TIME,
        data: vec![("Threat Name", 1, wide("Virus:DOS/EICAR_Test_File"))],
        nested: true,
    };
    let out = read(&log(&[event]));
    let record = one(&out);
    let kept = support::kept(&record.event);
    for name in ["ThreatName", "Signature"] {
        let value = "Virus:DOS/EICAR_Test_File".to_owned();
        assert!(kept.contains(&(name.to_owned(), value)), "{kept:?}");
    }
    let source = &record.sources[0];
    assert_eq!((source.category, source.service), (Some("antivirus"), Some("windefend")));
}

#[test]
fn data_without_names_is_one_field() {
    let out = read(&log(&[classic()]));
    let record = one(&out);
    insta::assert_snapshot!(shown(&record.event), @r#"
    device.hostname = pc7.example
    imported.log = Windows PowerShell
    imported.type = 400
    + Provider_Name = PowerShell
    + EventID = 400
    + Channel = Windows PowerShell
    + Computer = pc7.example
    + UserID = S-1-5-18
    + Data = a
    b
    HostName=ConsoleHost
    "#);
    assert_eq!(record.sources[0].category, Some("ps_classic_start"));
}

#[test]
fn a_broken_record_is_named_and_the_others_are_read() {
    let mut log = log(&[exec(false), exec(true), logon()]);
    let magic = [0x2a, 0x2a, 0, 0];
    let second = HEADER_BYTES + 512 + 24;
    let at = second + memchr::memmem::find(&log[second..], &magic).expect("a second record");
    log[at + 24 + 4] = 0x7f;
    let out = read(&log);
    assert_eq!(out.records.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 3]);
    let said: Vec<String> = out.problems.iter().map(ToString::to_string).collect();
    assert!(said[0].starts_with("record 2: its binary XML has an unknown token 0x7f"), "{said:?}");
    assert!(said[1].contains("2 of 3") || said[1].contains("checksum"), "{said:?}");
    // A size that leads nowhere: the next record is looked for.
    log[at + 4] = 0xff;
    log[at + 7] = 0xff;
    let out = read(&log);
    assert_eq!(out.records.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 3]);
    assert!(out.problems[0].to_string().contains("no record"), "{:?}", out.problems);
}

#[test]
fn chunks_cut_short_or_never_used_are_told_apart() {
    let log = log(&[exec(false), logon()]);
    let out = read(&log[..HEADER_BYTES + 700]);
    assert!(out.problems[0].to_string().contains("cut short, at 700 bytes"), "{:?}", out.problems);
    let mut out = Output::default();
    Reader::new().chunk(0, &[0; 1024], &mut out);
    assert_eq!((out.records.len(), out.problems.len()), (0, 0));
    Reader::new().chunk(0, &[1; 1024], &mut out);
    assert_eq!((out.records.len(), out.problems.len()), (0, 1));
}

#[test]
fn what_unfolds_to_too_much_is_cut_and_named() {
    // 300 elements that all have the value of the first, of 20,000 characters.
    let mut event = exec(false);
    event.data = vec![("A", 1, wide(&"x".repeat(20_000)))];
    event.data.extend((0..300).map(|_| ("=again", 1, vec![])));
    let out = read(&log(&[event, logon()]));
    assert_eq!(out.records.len(), 2);
    assert!(out.problems[0].to_string().starts_with("record 1: it unfolds to more"), "{out:?}");
    let kept = support::kept(&out.records[0].event);
    let kept: usize = kept.iter().map(|(_, value)| value.len()).sum();
    assert!(kept < 2 * bounds::UNFOLDED_BYTES, "{kept}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mangled_logs_are_read_or_named(
        changes in proptest::collection::vec((512_usize..6_000, any::<u8>()), 1..40),
        cut in 0_usize..70_000,
    ) {
        let mut bytes = chunk(&[exec(false), exec(true), logon(), classic(), exec(true)]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(1));
        let mut out = Output::default();
        let mut reader = Reader::new();
        reader.chunk(4_096, &bytes, &mut out);
        for problem in &out.problems {
            prop_assert!(!problem.to_string().is_empty());
        }
        prop_assert!(out.records.len() <= 6_000);
        // What was learnt of it does not spoil what comes after.
        let mut out = Output::default();
        reader.chunk(0, &chunk(&[logon()]), &mut out);
        prop_assert_eq!(out.records.len(), 1);
        prop_assert!(out.problems.is_empty());
    }
}
