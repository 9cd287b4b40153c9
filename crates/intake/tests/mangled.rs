//! Lines in disorder, and lines that are broken: bounded, and read or named.

mod support;

use metsuke_intake::{Format, Lines, Output, bounds};
use proptest::prelude::*;
use support::read_lines;

#[test]
fn interleaved_audit_events_are_bounded() {
    let mut lines = Lines::new(Format::Auditd);
    let mut out = Output::default();
    for serial in 0..10_000 {
        let line = format!("type=SYSCALL msg=audit(1.000:{serial}): pid=1");
        lines.line(line.as_bytes(), &mut out);
        assert!(out.records.len() + bounds::OPEN_AUDIT_EVENTS >= serial);
    }
    lines.end(&mut out);
    assert_eq!(out.records.len(), 10_000);
    assert!(out.records.is_sorted_by_key(|record| record.number));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mangled_lines_are_read_or_named(
        which in 0_usize..6,
        changes in proptest::collection::vec((0_usize..400, any::<u8>()), 0..8),
        format in 0_usize..6,
    ) {
        const LINES: [&str; 6] = [
            r#"{"Channel":"Security","EventID":4624,"TargetUserName":"a","IpAddress":"::1","@timestamp":"2026-03-01T10:00:00Z"}"#,
            r#"{"winlog":{"channel":"System","event_id":7045,"event_data":{"ServiceName":"a"}}}"#,
            r#"{"event":{"category":["file"],"type":["creation"]},"file":{"path":"/a","size":"x"},"host":{"os":{"type":"linux"}}}"#,
            r#"{"class_uid":1001,"activity_id":1,"time":1,"file":{"path":"/a","hashes":[{"algorithm_id":3,"value":"a"}]},"actor":{"process":{"pid":"x"}}}"#,
            r#"{"class":"file.read","time":"2026-03-01T10:00:00Z","file.path":"/etc/shadow","process.pid":3}"#,
            "node=a type=EXECVE msg=audit(1772359200.250:11): argc=2 a0=\"sh\" a1=2D63 a2_len=4 a2[0]=6161 a2[1]=62",
        ];
        let formats =
            [Format::Auto, Format::Jsonl, Format::Auditd, Format::Ecs, Format::Ocsf, Format::Native];
        let mut bytes = LINES[which].as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let out = read_lines(formats[format], [&*bytes]);
        prop_assert!(out.records.len() + out.problems.len() <= 1);
    }
}
