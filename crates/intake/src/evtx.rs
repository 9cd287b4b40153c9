//! EVTX, the format of Windows event logs since Vista: a header of 4,096 bytes, then chunks of
//! 65,536 with records in binary XML. Each chunk stands alone, so a file is read chunk by chunk.
//!
//! The format is known from public descriptions ("Windows XML Event Log (EVTX) format" of libevtx;
//! [MS-EVEN6] 2.2.12 for the tokens). This is a reader of our own: it compiles a template of binary
//! XML once per chunk and reads values straight into fields, without text of XML or JSON between.

mod cursor;
mod names;
mod template;
mod unfold;
mod value;

use crate::record::{Output, Place};
use crate::windows::Mapper;
use cursor::Cursor;
use names::Names;
use template::Templates;

/// Bytes of a file's header.
pub const HEADER_BYTES: usize = 4_096;
/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = 65_536;
/// Bytes of a chunk's own header, that [`ChunkHeader::read`] needs.
pub const CHUNK_HEADER_BYTES: usize = 512;
/// What a file begins with.
pub const MAGIC: &[u8; 8] = b"ElfFile\0";

const CHUNK_MAGIC: &[u8; 8] = b"ElfChnk\0";
const RECORD_MAGIC: [u8; 4] = [0x2a, 0x2a, 0, 0];
/// Magic, size, number, time; and the size again at the end.
const RECORD_HEADER: usize = 24;

/// What stands at the beginning of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Number of its first record.
    pub first: u64,
    /// Number of its last record.
    pub last: u64,
    /// Where its records end.
    end: usize,
    /// CRC-32 of its records.
    crc: u32,
}

impl ChunkHeader {
    /// Reads the header of a chunk; `None` when it is none.
    pub fn read(chunk: &[u8]) -> Option<Self> {
        if !chunk.starts_with(CHUNK_MAGIC) || chunk.len() < CHUNK_HEADER_BYTES {
            return None;
        }
        let cursor = Cursor::new(chunk);
        Some(Self {
            first: cursor.u64_at(8)?,
            last: cursor.u64_at(16)?,
            end: cursor.u32_at(48)? as usize,
            crc: cursor.u32_at(52)?,
        })
    }
}

/// Reads chunks into records; keeps names and classes for the next one, of any file.
#[derive(Debug, Default)]
pub struct Reader {
    names: Names,
    mapper: Mapper,
}

impl Reader {
    /// A reader that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the chunk at `offset` of its file. `chunk` should have [`CHUNK_BYTES`] bytes; a
    /// shorter one is read as far as it goes, and named. One of zeros only was never used.
    pub fn chunk(&mut self, offset: u64, chunk: &[u8], out: &mut Output) {
        let chunk = &chunk[..chunk.len().min(CHUNK_BYTES)];
        let Some(header) = ChunkHeader::read(chunk) else {
            if chunk.iter().any(|byte| *byte != 0) {
                out.problem(Place::Offset(offset), "no chunk of records stands here");
            }
            return;
        };
        if chunk.len() < CHUNK_BYTES {
            let reason = format!("the chunk is cut short, at {} bytes", chunk.len());
            out.problem(Place::Offset(offset), reason);
        }
        let whole = (CHUNK_HEADER_BYTES..=chunk.len()).contains(&header.end);
        let end = if whole { header.end } else { chunk.len() };
        let sound = crc32fast::hash(&chunk[CHUNK_HEADER_BYTES..end]) == header.crc;
        let problems = out.problems.len();
        let mut templates = Templates::new(chunk);
        let mut at = CHUNK_HEADER_BYTES;
        let (mut found, mut skipped) = (0_u64, None);
        while at + RECORD_HEADER <= end {
            let Some(size) = record_size(&chunk[at..end]) else {
                // Not a record: look for where the next one begins.
                skipped.get_or_insert(at);
                let next = memchr::memmem::find(&chunk[at + 1..end], &RECORD_MAGIC);
                let Some(next) = next else { break };
                at += 1 + next;
                continue;
            };
            if let Some(from) = skipped.take() {
                tell_skipped(out, offset, from, at);
            }
            found += 1;
            self.record(&mut templates, at, size, out);
            at += size;
        }
        if let Some(from) = skipped {
            tell_skipped(out, offset, from, end);
        }
        let wanted = header.last.checked_sub(header.first).map_or(0, |more| more.saturating_add(1));
        if !sound && (found < wanted || out.problems.len() > problems) {
            let reason = format!(
                "the chunk's records do not have the checksum of its header; {found} of {wanted} \
                 records were found"
            );
            out.problem(Place::Offset(offset), reason);
        }
    }

    fn record(&mut self, templates: &mut Templates<'_>, at: usize, size: usize, out: &mut Output) {
        let cursor = Cursor::new(templates.chunk);
        let number = cursor.u64_at(at + 8).unwrap_or_default();
        let written = cursor.u64_at(at + 16).and_then(value::filetime);
        let body = (at + RECORD_HEADER, at + size - 4);
        match unfold::record(templates, &mut self.names, body) {
            Ok(mut raw) => {
                raw.number = number;
                raw.time = raw.time.or(written);
                if raw.cut {
                    let reason = "it unfolds to more than is kept; the rest of it is left out";
                    out.problem(Place::Record(number), reason);
                }
                out.records.push(self.mapper.record(raw.event()));
            }
            Err(broken) => out.problem(Place::Record(number), broken.to_string()),
        }
    }
}

/// The size of the record that `bytes` begin with.
fn record_size(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&RECORD_MAGIC) {
        return None;
    }
    let size = Cursor::new(bytes).u32_at(4)? as usize;
    (RECORD_HEADER + 4..=bytes.len()).contains(&size).then_some(size)
}

fn tell_skipped(out: &mut Output, offset: u64, from: usize, to: usize) {
    let reason = format!("{} bytes that are no record are passed over", to - from);
    out.problem(Place::Offset(offset + from as u64), reason);
}
