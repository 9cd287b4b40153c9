//! YARA scans of files and of process memory. The rules run in `metsuke-yara`, a process of its own
//! that is handed bytes (`docs/spec/yara.md`); here is who reads them, with the same checks, pace
//! and bounds as everything in this crate.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use metsuke_respond::{Artifact, ArtifactKind, Evidence, Regions};

use crate::artifact::ArtifactFile;
use crate::files;
use crate::memory::{self, BLOCK, Sink, Walk};
use crate::pace::Pace;
use crate::reach::{Reach, Subject};

mod helper;
mod output;

use helper::Feed;
use output::Output;

/// Largest list of matches, in bytes.
const MATCHES_BYTES_MAX: u64 = 64 << 20;
/// Largest file that is looked at as one piece, with modules, in bytes; as `metsuke-yara` has it.
const WHOLE_MAX: u64 = 64 << 20;
/// Most bytes looked at in one scan: at the pace of a scanner some minutes' worth.
const SCAN_BYTES_MAX: u64 = 16 << 30;
/// Bytes of a block that are looked at once more with the next one: no match longer than this is
/// missed between them.
const OVERLAP: usize = 4 << 10;

/// How to scan.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// `metsuke-yara`.
    pub program: PathBuf,
    /// Share of a CPU of the scanner, and of reading for it, in percent each.
    pub cpu_percent: u32,
    /// Private memory of the scanner, in bytes.
    pub memory_bytes: u64,
    /// At most so long.
    pub limit: Duration,
}

/// What came of a scan.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The artifact, with what was found.
    pub evidence: Evidence,
    /// What the scanner's process used; `None` when it did not come to its end.
    pub cost: Option<Cost>,
}

/// What a scanner's process used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory it had resident, in bytes.
    pub peak_bytes: u64,
}

/// Why nothing was scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// What is to be scanned cannot be.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The scanner cannot be started.
    #[error(
        "the scanner {program} cannot be started: {source}; install it beside the sensor, or name it in \"yara\" of the configuration"
    )]
    Start {
        /// Its program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No rule is left.
    #[error("none of the rules can be used: {0}")]
    NoRules(String),
    /// The scanner ended before it had rules.
    #[error("the scanner ended before it looked at anything: {0}")]
    Scanner(String),
    /// Something cannot be read or kept.
    #[error("it cannot be read or kept: {0}")]
    Io(#[from] io::Error),
}

impl Scanner {
    /// Looks for `rules` in the memory of `subject`; the matches go to a new file `to`.
    ///
    /// # Errors
    /// Why not; nothing is left at `to` then.
    pub fn process(&self, subject: &Subject, rules: &str, to: &Path) -> Result<Scanned, ScanError> {
        let walk = Walk {
            regions: Regions::All,
            max_bytes: SCAN_BYTES_MAX,
            cpu_percent: self.cpu_percent,
            limit: self.limit,
        };
        let name = subject.key.to_string();
        let (mappings, unread) = memory::mappings(subject)?;
        self.run(rules, &name, to, |feed| {
            feed.target(b'T', &name)?;
            let mut blocks = Blocks { feed, tail: Vec::new(), next: None };
            let walked = memory::walk(subject, &mappings, walk, &mut blocks)?;
            feed.finish()?;
            if unread > 0 {
                feed.gap(&name, &format!("{unread} mappings were not understood"))?;
            }
            if walked.ended {
                feed.gap(&name, "the process ended while its memory was read")?;
            } else if walked.cut {
                feed.gap(&name, "time or bytes were over; the rest was not looked at")?;
            }
            if walked.holes > 0 {
                let holes = walked.holes;
                feed.gap(
                    &name,
                    &format!("{holes} stretches were not looked at; a dump names them"),
                )?;
            }
            Ok(())
        })
    }

    /// Looks for `rules` in the file at `path`, or in every file of that folder.
    ///
    /// # Errors
    /// Why not; nothing is left at `to` then.
    pub fn path(
        &self,
        reach: &Reach,
        path: &Path,
        rules: &str,
        to: &Path,
    ) -> Result<Scanned, ScanError> {
        let is_folder = reach.is_folder(path)?;
        if !is_folder {
            // A single file that cannot be read is an error, not a gap.
            drop(reach.file(path)?);
        }
        self.run(rules, &path.to_string_lossy(), to, |feed| {
            let mut gaps = Vec::new();
            let files = if is_folder {
                let mut note =
                    |path: &Path, why: &str| gaps.push((path.to_owned(), why.to_owned()));
                files::files_of(path, &mut note)
            } else {
                vec![path.to_owned()]
            };
            for (path, why) in gaps {
                feed.gap(&path.to_string_lossy(), &why)?;
            }
            let mut pace = Pace::new(self.cpu_percent, self.limit);
            let mut room = SCAN_BYTES_MAX;
            for path in files {
                if !hand_over(reach, &path, (feed, &mut pace), &mut room)? {
                    feed.gap(&path.to_string_lossy(), "time or bytes were over; what follows too")?;
                    break;
                }
            }
            Ok(())
        })
    }

    fn run(
        &self,
        rules: &str,
        name: &str,
        to: &Path,
        feed: impl FnOnce(&mut Feed<'_>) -> io::Result<()>,
    ) -> Result<Scanned, ScanError> {
        let artifact = Artifact {
            kind: ArtifactKind::Matches,
            name: name.to_owned(),
            size: 0,
            sha256: String::new(),
        };
        let file = ArtifactFile::create(to, MATCHES_BYTES_MAX)?;
        let output = Output::new(file, Evidence::new(artifact));
        let output = helper::run(self, output, |feeding| {
            feeding.rules(rules)?;
            feed(feeding)
        })?;
        output.finish()
    }
}

/// Hands over one file; false when no more is to follow.
fn hand_over(
    reach: &Reach,
    path: &Path,
    (feed, pace): (&mut Feed<'_>, &mut Pace),
    room: &mut u64,
) -> io::Result<bool> {
    let name = path.to_string_lossy();
    let opened = match reach.file(path) {
        Ok(opened) => opened,
        Err(error) => {
            feed.gap(&name, &error.to_string())?;
            return Ok(true);
        }
    };
    let size = u64::try_from(opened.stat.st_size).unwrap_or(0);
    if size > *room {
        return Ok(false);
    }
    *room -= size;
    if size <= WHOLE_MAX {
        feed.target(b'W', &name)?;
    } else {
        feed.target(b'T', &name)?;
        feed.gap(&name, "larger than 64 MiB: looked at in blocks, without modules")?;
    }
    let mut blocks = Blocks { feed, tail: Vec::new(), next: None };
    let in_time = copy(opened.file, size, &mut blocks, (pace, size > WHOLE_MAX));
    feed.finish()?;
    match in_time {
        Ok(in_time) => Ok(in_time),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error),
        Err(error) => {
            feed.gap(&name, &format!("it cannot be read: {error}"))?;
            Ok(true)
        }
    }
}

/// Hands the blocks of one target to the scanner; those that follow each other overlap.
struct Blocks<'a, 'b> {
    feed: &'a mut Feed<'b>,
    tail: Vec<u8>,
    next: Option<u64>,
}

impl Sink for Blocks<'_, '_> {
    fn data(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        if self.next != Some(address) {
            self.tail.clear();
        }
        self.feed.block(address - self.tail.len() as u64, &[&self.tail, bytes])?;
        self.next = Some(address + bytes.len() as u64);
        self.tail.extend_from_slice(bytes);
        let old = self.tail.len().saturating_sub(OVERLAP);
        self.tail.drain(..old);
        Ok(())
    }

    fn hole(&mut self, _address: u64, _length: u64, _reason: &str) -> io::Result<()> {
        // They are told by their number; which parts they are is the dump's to say.
        Ok(())
    }
}

/// Hands over `size` bytes of `file`; false when the time is over.
fn copy(
    mut file: File,
    size: u64,
    blocks: &mut Blocks<'_, '_>,
    (pace, overlapping): (&mut Pace, bool),
) -> io::Result<bool> {
    let mut buffer = vec![0; BLOCK];
    let mut at = 0;
    while at < size {
        let room = usize::try_from(size - at).unwrap_or(BLOCK).min(BLOCK);
        let count = file.read(&mut buffer[..room])?;
        if count == 0 {
            break;
        }
        if overlapping {
            blocks.data(at, &buffer[..count])?;
        } else {
            blocks.feed.block(at, &[&buffer[..count]])?;
        }
        at += count as u64;
        if !pace.rest() {
            return Ok(false);
        }
    }
    Ok(true)
}
