//! The scanner's process: started, fed, watched, waited for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metsuke_enforce::pidfd::{Pidfd, Signal};

use super::output::Output;
use super::{ScanError, Scanner};

/// Longest line read of the scanner, in bytes: a rule with all that is told of its matches.
const LINE_MAX: u64 = 1 << 20;
/// Bytes of its standard error that are told.
const ERROR_MAX: u64 = 1 << 10;
/// Longest name of a target that is handed over, in bytes.
const NAME_MAX: usize = 8 << 10;
/// The signal for CPU time that is over (`getrlimit(2)`).
const XCPU: i32 = 24;
/// The signal for a system call that its filter forbids (`seccomp(2)`).
const SYS: i32 = 31;
/// What Rust ends with when memory cannot be had.
const ABRT: i32 = 6;
/// How much longer than the scan the process may take until it is ended: its own bounds come first.
const GRACE: Duration = Duration::from_secs(10);

/// The way to the scanner.
pub(super) struct Feed<'a> {
    pipe: ChildStdin,
    output: &'a Mutex<Output>,
}

impl Feed<'_> {
    fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.pipe.write_all(&[kind])?;
        self.pipe.write_all(&length.to_le_bytes())?;
        parts.iter().try_for_each(|part| self.pipe.write_all(part))
    }

    pub(super) fn rules(&mut self, rules: &str) -> io::Result<()> {
        self.frame(b'R', &[rules.as_bytes()])?;
        self.frame(b'C', &[])
    }

    pub(super) fn target(&mut self, kind: u8, name: &str) -> io::Result<()> {
        self.frame(kind, &[&name.as_bytes()[..name.len().min(NAME_MAX)]])
    }

    pub(super) fn block(&mut self, base: u64, parts: &[&[u8]]) -> io::Result<()> {
        let base = base.to_le_bytes();
        let all: Vec<&[u8]> = std::iter::once(&base[..]).chain(parts.iter().copied()).collect();
        self.frame(b'B', &all)
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.frame(b'F', &[])
    }

    /// Notes what could not be handed over.
    pub(super) fn gap(&mut self, target: &str, why: &str) -> io::Result<()> {
        hold(self.output).gap(target, why)
    }
}

fn hold(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    // A line is written whole or the file is given up.
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the scanner over what `feed` hands it.
pub(super) fn run(
    scanner: &Scanner,
    output: Output,
    feed: impl FnOnce(&mut Feed<'_>) -> io::Result<()>,
) -> Result<Output, ScanError> {
    let start = |source| ScanError::Start { program: scanner.program.clone(), source };
    let mut child = Command::new(&scanner.program)
        .args([
            scanner.cpu_percent.to_string(),
            scanner.memory_bytes.to_string(),
            scanner.limit.as_secs().max(1).to_string(),
        ])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let output = Mutex::new(output);
    let worked = work(scanner, &mut child, &output, feed);
    if worked.is_err() {
        // It has no more to do, and must not outlive us.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let (fed, overdue) = worked?;
    let said = errors(&mut child);
    let mut output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
    match fed {
        // It ended before we did: its own end says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(error.into()),
        Ok(()) => {}
    }
    if let Some(why) = unfinished(status, overdue, &said, output.has_ended()) {
        output.break_off(&why)?;
    }
    Ok(output)
}

type Worked = (io::Result<()>, bool);

fn work(
    scanner: &Scanner,
    child: &mut Child,
    output: &Mutex<Output>,
    feed: impl FnOnce(&mut Feed<'_>) -> io::Result<()>,
) -> Result<Worked, ScanError> {
    let (Some(pipe), Some(lines)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
    };
    let handle = Pidfd::open(child.id())?;
    let (done, over) = channel::<()>();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(lines, output));
        let watch = scope.spawn(move || {
            let is_over = over.recv_timeout(scanner.limit + GRACE);
            let overdue = is_over == Err(RecvTimeoutError::Timeout);
            // When it is gone by now there is nobody to be ended.
            overdue && handle.send(Signal::Kill).is_ok()
        });
        let mut feeding = Feed { pipe, output };
        let fed = feed(&mut feeding);
        drop(feeding);
        let read = reader.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        drop(done);
        let overdue = watch.join().unwrap_or(false);
        read?;
        Ok((fed, overdue))
    })
}

fn read(lines: impl Read, output: &Mutex<Output>) -> io::Result<()> {
    let mut lines = BufReader::new(lines);
    let mut line = Vec::new();
    let mut kept = Ok(());
    loop {
        line.clear();
        if (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return kept;
        }
        // After a failure the rest is still read, so that the scanner does not wait for us.
        if kept.is_ok() {
            kept = hold(output).line(&line);
        }
    }
}

fn errors(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(errors) = child.stderr.take() {
        // What it said last, if anything.
        let _ = errors.take(ERROR_MAX).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Why the scan is incomplete, if it is.
fn unfinished(status: ExitStatus, overdue: bool, said: &str, ended: bool) -> Option<String> {
    if ended && status.success() {
        return None;
    }
    Some(match status.signal() {
        _ if overdue => "its time was over and it was ended".to_owned(),
        Some(XCPU) => "its CPU time was over".to_owned(),
        Some(SYS) => {
            "it called what no scan has a reason to call and was ended: a rule or a target may have \
             taken it over"
                .to_owned()
        }
        Some(ABRT) => format!("its memory was over, or it broke down ({said})"),
        Some(signal) => format!("it was ended by signal {signal}"),
        None => format!("it ended with {status} ({said})"),
    })
}
