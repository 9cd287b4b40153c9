//! Any bytes as lines of events, read as every format of text: a record or a named problem for each,
//! and nothing that the engine could not take.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metsuke_intake::{Format, Lines, Output, bounds};

fuzz_target!(|data: &[u8]| {
    for format in [Format::Auto, Format::Jsonl, Format::Ecs, Format::Ocsf, Format::Native] {
        let mut lines = Lines::new(format);
        let mut out = Output::default();
        for line in data.split(|byte| *byte == b'\n') {
            lines.line(line, &mut out);
        }
        lines.end(&mut out);
        for record in &out.records {
            assert!(record.event.unmapped.len() <= 2 * bounds::FIELDS);
            for (_, value) in &record.event.unmapped {
                assert!(value.as_ref().to_text().len() <= bounds::LINE_BYTES);
            }
        }
    }
});
