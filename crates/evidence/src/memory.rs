//! Walks the memory of a process in blocks, without stopping it.
//!
//! Invariant: every byte of every chosen mapping is handed over, or named as a hole with a reason,
//! or was not present where absent means zero. What is read is not one instant: the process runs on.

use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use metsuke_respond::Regions;

use crate::maps::{self, Mapping};
use crate::pace::Pace;
use crate::reach::Subject;

/// Bytes read at once: large enough that system calls do not count, small enough for the sensor's
/// memory.
pub const BLOCK: usize = 1 << 20;
/// Page size the kernel's `pagemap` counts in; every kernel this runs on has it.
const PAGE: u64 = 4_096;
/// Pages whose presence is asked for at once (8 bytes each): 32 MiB of memory.
const PAGES_AT_ONCE: usize = 8_192;
/// Shorter absent stretches are read with their neighbours (they are zero): fewer, longer records.
const ABSENT_MIN: u64 = 16;
/// Largest mapping whose presence is looked through; reservations beyond are named as a hole.
const LOOKED_THROUGH_MAX: u64 = 256 << 30;
/// Pages in a row that cannot be read until the rest of a mapping is given up.
const UNREADABLE_MAX: u64 = 64;
/// Longest `/proc/PID/maps` read, in bytes: [`maps::MAPPINGS_MAX`] lines of some 100 bytes.
const MAPS_BYTES_MAX: u64 = 32 << 20;
/// Present or swapped, bits 63 and 62 of an entry (`proc_pid_pagemap(5)`).
const THERE: u64 = 0b11 << 62;

/// What to read and how much.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Which mappings.
    pub regions: Regions,
    /// At most so many bytes.
    pub max_bytes: u64,
    /// Share of a CPU, in percent.
    pub cpu_percent: u32,
    /// At most so long.
    pub limit: Duration,
}

/// Who takes what is read.
pub trait Sink {
    /// Bytes at an address.
    ///
    /// # Errors
    /// When they cannot be taken; the walk ends.
    fn data(&mut self, address: u64, bytes: &[u8]) -> io::Result<()>;
    /// A stretch that is not handed over.
    ///
    /// # Errors
    /// When that cannot be noted; the walk ends.
    fn hole(&mut self, address: u64, length: u64, reason: &str) -> io::Result<()>;
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Bytes handed over.
    pub bytes: u64,
    /// Holes named.
    pub holes: u64,
    /// Bytes that were not present and are zero.
    pub absent_bytes: u64,
    /// Whether the process ended meanwhile.
    pub ended: bool,
    /// Whether bytes or time ran out.
    pub cut: bool,
}

struct Walker<'a, S> {
    subject: &'a Subject,
    sink: &'a mut S,
    walk: Walk,
    pace: Pace,
    walked: Walked,
    buffer: Vec<u8>,
}

/// The mappings of `subject` now; the second part is how many lines were not read.
///
/// # Errors
/// When they cannot be read.
pub fn mappings(subject: &Subject) -> io::Result<(Vec<Mapping>, usize)> {
    use std::io::Read;
    let mut text = Vec::new();
    let file = std::fs::File::open(format!("/proc/{}/maps", subject.key.pid))?;
    file.take(MAPS_BYTES_MAX).read_to_end(&mut text)?;
    if !subject.is_alive() {
        // Perhaps another process's by now.
        return Ok((Vec::new(), 0));
    }
    Ok(maps::parse(&String::from_utf8_lossy(&text)))
}

/// Reads `chosen` of `subject`.
///
/// # Errors
/// What the sink said.
pub fn walk<S: Sink>(
    subject: &Subject,
    chosen: &[Mapping],
    walk: Walk,
    sink: &mut S,
) -> io::Result<Walked> {
    let pace = Pace::new(walk.cpu_percent, walk.limit);
    let walked = Walked::default();
    let mut walker = Walker { subject, sink, walk, pace, walked, buffer: vec![0; BLOCK] };
    for mapping in chosen {
        walker.mapping(mapping)?;
    }
    Ok(walker.walked)
}

impl<S: Sink> Walker<'_, S> {
    fn hole(&mut self, start: u64, end: u64, reason: &str) -> io::Result<()> {
        if start < end {
            self.walked.holes += 1;
            self.sink.hole(start, end - start, reason)?;
        }
        Ok(())
    }

    fn mapping(&mut self, mapping: &Mapping) -> io::Result<()> {
        if !mapping.absent_is_zero() {
            return self.stretch(mapping.start, mapping.end);
        }
        if mapping.len() > LOOKED_THROUGH_MAX {
            return self.hole(
                mapping.start,
                mapping.end,
                "a reservation too large to look through",
            );
        }
        let mut at = mapping.start;
        while at < mapping.end {
            let Some((present, behind)) = self.next_present(at, mapping.end) else {
                // Without `pagemap` everything is read.
                return self.stretch(at, mapping.end);
            };
            self.walked.absent_bytes += present - at;
            self.stretch(present, behind)?;
            at = behind;
        }
        Ok(())
    }

    /// The next stretch from `at` that is present, as far as one look at the page map shows:
    /// `(start, end)`, empty when there is none in it.
    fn next_present(&self, at: u64, end: u64) -> Option<(u64, u64)> {
        let pages = usize::try_from((end - at) / PAGE).unwrap_or(usize::MAX).min(PAGES_AT_ONCE);
        let mut entries = vec![0_u8; pages * 8];
        let count = self.subject.pages.as_ref()?.read_at(&mut entries, at / PAGE * 8).ok()?;
        let entries: Vec<bool> = entries[..count / 8 * 8]
            .chunks_exact(8)
            .map(|entry| entry.try_into().is_ok_and(|entry| u64::from_ne_bytes(entry) & THERE != 0))
            .collect();
        if entries.is_empty() {
            return None;
        }
        let looked = at + entries.len() as u64 * PAGE;
        let Some(first) = entries.iter().position(|there| *there) else {
            return Some((looked, looked));
        };
        let mut last = first;
        for (index, there) in entries.iter().enumerate().skip(first) {
            if *there {
                last = index;
            } else if (index - last) as u64 >= ABSENT_MIN {
                break;
            }
        }
        Some((at + first as u64 * PAGE, at + (last as u64 + 1) * PAGE))
    }

    /// Reads from `start` to `end`.
    fn stretch(&mut self, start: u64, end: u64) -> io::Result<()> {
        let (mut at, mut unreadable) = (start, None::<(u64, u64)>);
        while at < end {
            if let Some(reason) = self.over() {
                let from = unreadable.map_or(at, |(from, _)| from);
                return self.hole(from, end, reason);
            }
            let room = (end - at).min(self.walk.max_bytes - self.walked.bytes).min(BLOCK as u64);
            let room = usize::try_from(room).unwrap_or(BLOCK);
            match self.subject.memory.read_at(&mut self.buffer[..room], at) {
                // The kernel's word for: this memory is no more.
                Ok(0) => self.walked.ended = true,
                Ok(count) => {
                    if let Some((from, _)) = unreadable.take() {
                        self.hole(from, at, "the kernel does not let it be read")?;
                    }
                    self.sink.data(at, &self.buffer[..count])?;
                    self.walked.bytes += count as u64;
                    at += count as u64;
                    if !self.pace.rest() {
                        self.walked.cut = true;
                    }
                }
                Err(_) => {
                    let (from, pages) =
                        unreadable.map_or((at, 1), |(from, pages)| (from, pages + 1));
                    if pages > UNREADABLE_MAX {
                        return self.hole(from, end, "the kernel does not let it be read");
                    }
                    unreadable = Some((from, pages));
                    at = (at / PAGE + 1) * PAGE;
                }
            }
        }
        match unreadable {
            Some((from, _)) => self.hole(from, end, "the kernel does not let it be read"),
            None => Ok(()),
        }
    }

    /// Why no more is read.
    fn over(&mut self) -> Option<&'static str> {
        if self.walked.ended {
            return Some("the process ended before this was read");
        }
        if self.walked.bytes >= self.walk.max_bytes {
            self.walked.cut = true;
            return Some("the bound of bytes was reached");
        }
        self.walked.cut.then_some("the time was over")
    }
}
