//! Every public recording is read, or what cannot be read of it is named.

mod support;

use std::collections::BTreeMap;

use metsuke_event::ValueRef;
use metsuke_intake::Output;
use metsuke_intake::evtx::{CHUNK_BYTES, HEADER_BYTES, Reader};

#[test]
fn every_windows_log_is_read_or_named() {
    let Some(data) = support::shared_data("every_windows_log_is_read_or_named") else { return };
    let files = support::files(&data.join("evtx-attack-samples"), "evtx");
    assert!(!files.is_empty());
    let (mut records, mut typed) = (0, 0);
    let mut problems = BTreeMap::new();
    for path in &files {
        let bytes = std::fs::read(path).expect("readable");
        let mut reader = Reader::new();
        let mut out = Output::default();
        let mut offset = HEADER_BYTES;
        while offset < bytes.len() {
            let end = bytes.len().min(offset + CHUNK_BYTES);
            reader.chunk(offset as u64, &bytes[offset..end], &mut out);
            offset = end;
        }
        records += out.records.len();
        for record in &out.records {
            typed += usize::from(record.event.process.exe.is_some());
            let kept = support::kept(&record.event);
            let named = |name: &str| kept.iter().any(|(of, _)| of == name);
            assert!(named("EventID") && named("Channel"), "{}: {record:?}", path.display());
            assert!(record.event.host.is_some(), "{}: {record:?}", path.display());
            let time = record.event.get(metsuke_event::field::meta::TIME);
            assert!(matches!(time, Some(ValueRef::Time(time)) if time.as_nanos() > 0));
            assert!(!record.sources.is_empty());
        }
        if out.records.is_empty() || !out.problems.is_empty() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            problems.insert(name, out.problems.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
    }
    eprintln!("{} files, {records} records, {typed} with an executable", files.len());
    for (name, reasons) in &problems {
        eprintln!("{name}: {reasons:?}");
    }
    // Files without a record must have a problem that says so.
    assert!(problems.values().all(|reasons| !reasons.is_empty()), "{problems:?}");
    assert!(records > 8_000, "{records}");
}
