//! Any bytes as a raw log of auditd: every line is a record or a named problem, or belongs to neither
//! because it is empty or ends an event.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metsuke_intake::{Format, Lines, Output, bounds};

fuzz_target!(|data: &[u8]| {
    let mut lines = Lines::new(Format::Auditd);
    let mut out = Output::default();
    let mut count = 0;
    for line in data.split(|byte| *byte == b'\n') {
        lines.line(line, &mut out);
        count += 1;
    }
    lines.end(&mut out);
    assert!(out.records.len() + out.problems.len() <= count);
    for record in &out.records {
        assert!(record.event.unmapped.len() <= bounds::FIELDS);
    }
});
