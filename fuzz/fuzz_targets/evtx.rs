//! Any bytes as a chunk of a Windows event log: reading never panics, what it holds is bounded, and
//! the next chunk is read as if nothing had been.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metsuke_intake::evtx::Reader;
use metsuke_intake::{Output, bounds};

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new();
    let mut out = Output::default();
    // Bytes alone hardly ever make a chunk: they stand in its records, under a sound header too.
    reader.chunk(4_096, data, &mut out);
    let mut chunk = vec![0; 65_536];
    chunk[..8].copy_from_slice(b"ElfChnk\0");
    chunk[48..52].copy_from_slice(&65_536_u32.to_le_bytes());
    let room = data.len().min(65_000);
    chunk[512..512 + room].copy_from_slice(&data[..room]);
    reader.chunk(4_096, &chunk, &mut out);
    for record in &out.records {
        assert!(record.event.unmapped.len() <= bounds::FIELDS);
        assert!(!record.sources.is_empty());
    }
    for problem in &out.problems {
        assert!(!problem.to_string().is_empty());
    }
});
