//! The memory of a process as one file, and reading it again. Format: `docs/spec/dump.md`.

use std::io::{self, Read, Write};
use std::path::Path;

use metsuke_enforce::host;
use metsuke_event::{ProcessKey, Timestamp};
use metsuke_respond::{Artifact, ArtifactKind, Evidence};
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactFile;
use crate::maps::Mapping;
use crate::memory::{self, BLOCK, Sink, Walk, Walked};
use crate::reach::Subject;

/// The first bytes of every dump.
pub const MAGIC: [u8; 8] = *b"MTKDUMP1";
/// Effort of zstd: 1 keeps up with reading.
const ZSTD_LEVEL: i32 = 1;
/// Largest header read, in bytes: a header lists every mapping.
pub const HEADER_MAX: usize = 64 << 20;
/// Longest reason of a hole read, in bytes.
const REASON_MAX: usize = 1 << 10;

const DATA: u8 = b'D';
const HOLE: u8 = b'H';
const END: u8 = b'E';

/// What stands before the memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Which process.
    pub process: ProcessKey,
    /// Its executable.
    pub exe: String,
    /// Its command line.
    pub cmd_line: String,
    /// Its control group.
    pub cgroup: String,
    /// When reading began.
    pub taken: Timestamp,
    /// Which mappings were asked for.
    pub regions: metsuke_respond::Regions,
    /// At most so many bytes were to be read.
    pub max_bytes: u64,
    /// Every mapping there was, also those not asked for.
    pub mappings: Vec<Listed>,
    /// Lines of the kernel's list that were not understood.
    pub unread_mappings: usize,
}

/// A mapping, and whether it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The mapping.
    #[serde(flatten)]
    pub mapping: Mapping,
    /// Whether it is among those asked for.
    pub chosen: bool,
}

/// What stands behind the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Bytes that stand in the dump.
    pub bytes: u64,
    /// Holes that are named.
    pub holes: u64,
    /// Bytes that were not present and are zero.
    pub absent_bytes: u64,
    /// Whether the process ended meanwhile.
    pub ended: bool,
    /// Whether bytes or time ran out.
    pub cut: bool,
}

/// One record of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Bytes at an address.
    Data {
        /// The address.
        address: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A stretch that is missing.
    Hole {
        /// Its first address.
        address: u64,
        /// Its length.
        length: u64,
        /// Why.
        reason: String,
    },
    /// The last record.
    End(Trailer),
}

/// Writes the memory of `subject` to a new file at `path`.
///
/// # Errors
/// When the process or the disk refuses; nothing is left at `path` then.
pub fn dump(subject: &Subject, path: &Path, walk: Walk, now: Timestamp) -> io::Result<Evidence> {
    let (mappings, unread_mappings) = memory::mappings(subject)?;
    let chosen: Vec<Mapping> =
        mappings.iter().filter(|mapping| mapping.is_among(walk.regions)).cloned().collect();
    let pid = subject.key.pid;
    let header = Header {
        process: subject.key,
        exe: host::exe(pid),
        cmd_line: host::cmd_line(pid),
        cgroup: host::cgroup(pid).unwrap_or_default(),
        taken: now,
        regions: walk.regions,
        max_bytes: walk.max_bytes,
        mappings: mappings
            .into_iter()
            .map(|mapping| Listed { chosen: mapping.is_among(walk.regions), mapping })
            .collect(),
        unread_mappings,
    };
    if !subject.is_alive() {
        return Err(io::Error::other("the process ended before its memory was read"));
    }
    let text = serde_json::to_vec(&header)?;
    // Room for what cannot be compressed, and for the header.
    let max = walk.max_bytes + walk.max_bytes / 128 + text.len() as u64 + (1 << 20);
    let mut file = ArtifactFile::create(path, max)?;
    file.write_all(&MAGIC)?;
    file.write_all(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes())?;
    file.write_all(&text)?;
    let mut writer = Writer { out: zstd::Encoder::new(file, ZSTD_LEVEL)?, holes: Vec::new() };
    let walked = memory::walk(subject, &chosen, walk, &mut writer)?;
    let (file, holes) = writer.end(walked)?;
    let written = file.finish()?;
    let mut evidence = Evidence::new(Artifact {
        kind: ArtifactKind::Dump,
        name: subject.key.to_string(),
        size: written.size,
        sha256: written.sha256,
    });
    for hole in &holes {
        evidence.miss(hole);
    }
    evidence.gaps_total = walked.holes;
    if walked.ended {
        evidence.miss("the process ended while its memory was read");
    }
    Ok(evidence)
}

struct Writer {
    out: zstd::Encoder<'static, ArtifactFile>,
    /// The first holes, in words.
    holes: Vec<String>,
}

impl Writer {
    fn end(mut self, walked: Walked) -> io::Result<(ArtifactFile, Vec<String>)> {
        let Walked { bytes, holes, absent_bytes, ended, cut } = walked;
        let text = serde_json::to_vec(&Trailer { bytes, holes, absent_bytes, ended, cut })?;
        self.out.write_all(&[END])?;
        self.out.write_all(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.out.write_all(&text)?;
        Ok((self.out.finish()?, self.holes))
    }
}

impl Sink for Writer {
    fn data(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&[DATA])?;
        self.out.write_all(&address.to_le_bytes())?;
        self.out.write_all(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.out.write_all(bytes)
    }

    fn hole(&mut self, address: u64, length: u64, reason: &str) -> io::Result<()> {
        if self.holes.len() < metsuke_respond::evidence::GAPS_MAX {
            self.holes.push(format!("{address:#x}, {length} bytes: {reason}"));
        }
        self.out.write_all(&[HOLE])?;
        self.out.write_all(&address.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&u32::try_from(reason.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.out.write_all(reason.as_bytes())
    }
}

/// Reads a dump, record by record.
pub struct Reader<R: Read> {
    /// What stands before the memory.
    pub header: Header,
    records: zstd::Decoder<'static, io::BufReader<R>>,
    over: bool,
}

impl<R: Read> Reader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// When it is no dump, or its header is over [`HEADER_MAX`].
    pub fn open(mut source: R) -> io::Result<Self> {
        let mut magic = [0; 8];
        source.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(invalid("it does not begin as a dump of this version"));
        }
        let text = block(&mut source, HEADER_MAX)?;
        let header = serde_json::from_slice(&text)?;
        Ok(Self { header, records: zstd::Decoder::new(source)?, over: false })
    }

    fn record(&mut self) -> io::Result<Record> {
        let mut kind = [0];
        self.records.read_exact(&mut kind)?;
        match kind[0] {
            DATA => {
                let address = number(&mut self.records)?;
                Ok(Record::Data { address, bytes: block(&mut self.records, BLOCK)? })
            }
            HOLE => {
                let (address, length) = (number(&mut self.records)?, number(&mut self.records)?);
                let reason = block(&mut self.records, REASON_MAX)?;
                let reason = String::from_utf8_lossy(&reason).into_owned();
                Ok(Record::Hole { address, length, reason })
            }
            END => Ok(Record::End(serde_json::from_slice(&block(&mut self.records, REASON_MAX)?)?)),
            _ => Err(invalid("it has a record of an unknown kind")),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let record = self.record();
        self.over = matches!(record, Err(_) | Ok(Record::End(_)));
        Some(record)
    }
}

impl<R: Read> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("header", &self.header).finish_non_exhaustive()
    }
}

fn number(source: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn block(source: &mut impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = [0; 4];
    source.read_exact(&mut bytes)?;
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > max {
        return Err(invalid("a part of it is longer than the format has"));
    }
    let mut block = vec![0; length];
    source.read_exact(&mut block)?;
    Ok(block)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
