//! The environment of an execution: as the kernel's program found it, and what that left out as
//! `/proc` shows it, while the process lives.
//!
//! A process may change its environment before it is read here, so what is read is never said to have
//! been seen by the kernel's program. Invariant: what is read is the whole of the memory that this very
//! execution was given for it, as it is by then, or nothing; no more than [`ENVIRONMENT_MAX`] of one, and [`BYTES_PER_SECOND`] of all.

use std::fs::File;
use std::io::{ErrorKind, Read};

use metsuke_event::Text;

use super::record::{Exec, Head, flag};
use crate::host;
use crate::procfs;

/// Bytes of an environment that are read at most: the kernel lets arguments and environment together
/// have no more (three quarters of eight megabytes, `bprm_stack_limits` of `fs/exec.c`, Linux 4.13).
const ENVIRONMENT_MAX: u64 = 6 << 20;
/// Bytes read in a second at most: a few hundredths of one core. Who makes more has spent more on it
/// than that, and is told as one of whom not all was read.
const BYTES_PER_SECOND: u64 = 16 << 20;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// Bytes kept of one variable (`MAX_VARIABLE` of `bpf/records.h`).
const VARIABLE: usize = 1_024;
/// Bytes kept of all of them (`MAX_ENV`), beside the last of each of [`NAMED`].
const KEPT: usize = 4_096;

/// Variables that no number of others can push out: the loader takes the last of each.
const NAMED: [&[u8]; 3] = [b"LD_PRELOAD=", b"LD_AUDIT=", b"LD_LIBRARY_PATH="];

/// Reads environments, within bounds.
#[derive(Debug, Default)]
pub(super) struct Environments {
    /// The second that counts, and bytes read in it.
    second: u64,
    read: u64,
}

impl Environments {
    /// The variables of an execution that change what a program loads. What is not sure is said in the
    /// text itself: who looks for a variable finds that there may have been one.
    pub(super) fn of(&mut self, head: &Head, exec: &Exec<'_>) -> Option<Text> {
        let found = procfs::interesting(exec.env);
        if !head.has(flag::ENV_CUT) {
            return found;
        }
        let (found, how) = match self.read(head.pid, head.start, exec.environment) {
            Some(Search { kept, is_cut: false, .. }) => (kept, "the rest was read later"),
            Some(Search { kept, .. }) => (kept, "the rest was read later, not all was kept"),
            None => (exec.env.to_vec(), "not all was read"),
        };
        let found = procfs::interesting(&found);
        Some(format!("{} ({how})", found.as_deref().unwrap_or("LD_")).into())
    }

    /// The environment of the process `pid` that began `start` nanoseconds after boot, if it begins
    /// and ends where it did (`given`); `None` when that cannot be read whole.
    fn read(&mut self, pid: u32, start: u64, given: (u64, u64)) -> Option<Search> {
        // Whatever the process does next, this is the memory that it had when this was opened.
        let file = File::open(format!("/proc/{pid}/environ")).ok()?;
        let (begins, ends) = procfs::environment_at(pid, start / host::NANOS_PER_TICK)?;
        let length = ends.checked_sub(begins).filter(|length| *length <= ENVIRONMENT_MAX)?;
        if (begins, ends) != given || !self.may_read(length) {
            return None;
        }
        search(file.take(length), length)
    }

    fn may_read(&mut self, length: u64) -> bool {
        let second = host::since_boot() / 1_000_000_000;
        if second != self.second {
            (self.second, self.read) = (second, 0);
        }
        self.read += length;
        self.read <= BYTES_PER_SECOND
    }
}

/// `None` when `input` does not have `length` bytes.
fn search(mut input: impl Read, length: u64) -> Option<Search> {
    let mut search = Search::default();
    let mut chunk = vec![0; CHUNK];
    let mut read = 0;
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                search.feed(&chunk[..count]);
                read += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    (read == length).then(|| search.end())
}

/// What is looked for in the bytes of an environment.
#[derive(Debug, Default)]
struct Search {
    /// What has come of the variable that has not ended yet, as far as it is kept.
    variable: Vec<u8>,
    /// Found, each with its NUL.
    kept: Vec<u8>,
    /// The last of each of [`NAMED`].
    named: [Option<Vec<u8>>; NAMED.len()],
    /// Not everything that was found is kept.
    is_cut: bool,
}

impl Search {
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == 0);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = (VARIABLE + 1).saturating_sub(self.variable.len());
            self.variable.extend_from_slice(&part[..part.len().min(room)]);
            let Some(end) = end else { return };
            self.take();
            bytes = &bytes[end + 1..];
        }
    }

    /// A variable has ended.
    fn take(&mut self) {
        if self.variable.starts_with(b"LD_") {
            self.is_cut |= self.variable.len() > VARIABLE;
            self.variable.truncate(VARIABLE);
            let name = NAMED.iter().position(|name| self.variable.starts_with(name));
            if let Some(name) = name {
                self.named[name] = Some(self.variable.clone());
            }
            if self.kept.len() + self.variable.len() < KEPT {
                self.kept.extend_from_slice(&self.variable);
                self.kept.push(0);
            } else {
                self.is_cut = true;
            }
        }
        self.variable.clear();
    }

    /// Keeps what others have pushed out.
    fn end(mut self) -> Self {
        self.take();
        for last in std::mem::take(&mut self.named).into_iter().flatten() {
            if !self.kept.split(|byte| *byte == 0).any(|kept| kept == last) {
                self.kept.extend(last);
                self.kept.push(0);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_PER_SECOND, Environments, KEPT, Search, VARIABLE, search};
    use crate::{host, procfs};

    fn found(environment: &[u8]) -> (String, bool) {
        let search = search(environment, environment.len() as u64).expect("whole");
        let text = procfs::interesting(&search.kept).unwrap_or_default();
        (text.to_string(), search.is_cut)
    }

    #[test]
    fn variables_are_found_wherever_they_stand() {
        assert_eq!(found(b""), (String::new(), false));
        assert_eq!(found(b"A=1\0\0LD_AUDIT=/x\0"), ("LD_AUDIT=/x".to_owned(), false));
        assert_eq!(found(b"LD_PRELOAD=/x"), ("LD_PRELOAD=/x".to_owned(), false), "without its NUL");
        let mut many = b"A=LD_PRELOAD=/none\0".repeat(100_000);
        many.extend(b"LD_PRELOAD=/x\0LD_BIND_NOW=1\0");
        assert_eq!(found(&many), ("LD_PRELOAD=/x LD_BIND_NOW=1".to_owned(), false));
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let text = b"A=1\0LD_PRELOAD=/lib/x.so\0LD_\0B=2\0LD_LIBRARY_PATH=/y\0";
        for size in 1..text.len() {
            let mut search = Search::default();
            for piece in text.chunks(size) {
                search.feed(piece);
            }
            let kept = search.end().kept;
            assert_eq!(kept, b"LD_PRELOAD=/lib/x.so\0LD_\0LD_LIBRARY_PATH=/y\0", "{size}");
        }
    }

    #[test]
    fn no_others_push_out_what_the_loader_takes() {
        let mut text = [&b"LD_PRELOAD=/decoy\0LD_X="[..], &[b'x'; 500], b"\0"].concat().repeat(20);
        text.extend(b"LD_PRELOAD=/x\0");
        text.extend([&b"LD_LIBRARY_PATH="[..], &[b'y'; 2 * VARIABLE]].concat());
        let (found, is_cut) = found(&text);
        assert!(is_cut && found.len() < KEPT + 3 * VARIABLE);
        assert!(found.contains(" LD_PRELOAD=/x LD_LIBRARY_PATH=yyy"), "{found}");
    }

    #[test]
    fn only_the_block_that_was_given_is_read() {
        let pid = std::process::id();
        let start = procfs::stat(pid).expect("runs").start_ticks;
        let given = procfs::environment_at(pid, start).expect("told");
        let (begins, ends) = given;
        let nanos = start * host::NANOS_PER_TICK;
        let mut environments = Environments::default();
        assert!(environments.read(pid, nanos, given).is_some());
        for other in [(begins + 1, ends), (begins, ends + 1), (begins + 1, ends + 1)] {
            assert!(
                environments.read(pid, nanos, other).is_none(),
                "of another execution, or moved"
            );
        }
        assert!(environments.read(pid, nanos + host::NANOS_PER_TICK, given).is_none(), "another");
        environments.read = BYTES_PER_SECOND - (ends - begins) + 1;
        environments.second = host::since_boot() / 1_000_000_000;
        let same_second = environments.second;
        let read = environments.read(pid, nanos, given);
        assert!(read.is_none() || environments.second > same_second, "more than a second's share");
        assert!(search(&b"A=1\0"[..], 5).is_none(), "shorter than it was");
    }
}
