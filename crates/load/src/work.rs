//! The work: runs in the watched control group and counts what it does.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The program executed: small, and of no interest to any detection.
pub(crate) const PROGRAM: &str = "/usr/bin/true";
/// Rates are kept in slices of this length.
const SLICE: Duration = Duration::from_millis(10);
/// Of the file operations in one round: opening, reading and closing an old file, so often …
const READS: u64 = 32;
/// … then making, writing, closing and removing a new one.
const ROUND: u64 = READS * 3 + 4;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Executions of a small program.
    Exec,
    /// Opens, reads, closes; creations, writes, removals.
    Files,
    /// A little of everything, and connections.
    Mixed,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) execs: u64,
    pub(crate) creates: u64,
    pub(crate) deletes: u64,
    pub(crate) connects: u64,
    /// System calls on files, reads included.
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
}

impl Done {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            execs: self.execs + other.execs,
            creates: self.creates + other.creates,
            deletes: self.deletes + other.deletes,
            connects: self.connects + other.connects,
            operations: self.operations + other.operations,
            seconds: self.seconds.max(other.seconds),
        }
    }
}

/// Works for `seconds` at `rate` a second (0: as fast as can be) in `folder`.
///
/// # Errors
/// When the work itself cannot be done.
pub(crate) fn work(kind: Kind, rate: u64, seconds: u64, folder: &Path) -> Result<Done> {
    let mut done = Done::default();
    let mut hands = Hands::new(folder)?;
    let begun = Instant::now();
    let end = Duration::from_secs(seconds);
    let mut number = 0_u64;
    while begun.elapsed() < end {
        let due = match rate {
            0 => u64::MAX,
            rate => {
                let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                rate.saturating_mul(millis) / 1_000
            }
        };
        let so_far = if kind == Kind::Files { done.operations } else { number };
        if so_far >= due {
            std::thread::sleep(SLICE);
            continue;
        }
        match kind {
            Kind::Exec => exec(&mut done)?,
            Kind::Files => hands.files(&mut done, number)?,
            Kind::Mixed => match number % 4 {
                0 => exec(&mut done)?,
                1 | 2 => hands.files(&mut done, number)?,
                _ => hands.connect(&mut done)?,
            },
        }
        number += 1;
    }
    done.seconds = begun.elapsed().as_secs_f64();
    Ok(done)
}

struct Hands<'a> {
    folder: &'a Path,
    old: std::path::PathBuf,
    listener: TcpListener,
}

impl<'a> Hands<'a> {
    fn new(folder: &'a Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let old = folder.join("old");
        fs::write(&old, "an old file\n")?;
        Ok(Self { folder, old, listener: TcpListener::bind("127.0.0.1:0")? })
    }

    fn files(&mut self, done: &mut Done, number: u64) -> Result<()> {
        let mut buffer = [0_u8; 64];
        for _ in 0..READS {
            let mut file = File::open(&self.old)?;
            let read = file.read(&mut buffer)?;
            ensure!(read > 0, "the old file is empty");
        }
        let path = self.folder.join(format!("new-{}-{number}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(b"something\n")?;
        drop(file);
        fs::remove_file(&path)?;
        done.creates += 1;
        done.deletes += 1;
        done.operations += ROUND;
        Ok(())
    }

    fn connect(&mut self, done: &mut Done) -> Result<()> {
        let client = TcpStream::connect(self.listener.local_addr()?)?;
        drop((self.listener.accept()?, client));
        done.connects += 1;
        Ok(())
    }
}

fn exec(done: &mut Done) -> Result<()> {
    let status = Command::new(PROGRAM).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "{PROGRAM} failed");
    done.execs += 1;
    Ok(())
}
