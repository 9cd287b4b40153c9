//! Facts of files by descriptor or path: digests and the rest of `content`, within budgets.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::budget::Budget;
use crate::cache::Cache;
use crate::content::{Content, Digester, Fuzzy};

/// Read in pieces of this many bytes.
const PIECE: usize = 128 * 1024;

/// Bounds of hashing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file hashed, in bytes.
    pub max_file_bytes: u64,
    /// Bytes read per second on average; what goes beyond is reported missing for `budget`.
    pub bytes_per_second: u64,
    /// Bytes that may be read at once after a quiet time.
    pub burst_bytes: u64,
    /// Bytes per second on average for which the fuzzy hash is made too, which costs several times
    /// what all others cost together.
    pub fuzzy_bytes_per_second: u64,
    /// Bytes of it after a quiet time.
    pub fuzzy_burst_bytes: u64,
    /// Contents remembered, of about 200 bytes each.
    pub cache_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            bytes_per_second: 100 << 20,
            burst_bytes: 512 << 20,
            // About a twentieth of a core.
            fuzzy_bytes_per_second: 4 << 20,
            fuzzy_burst_bytes: 128 << 20,
            cache_entries: 16_384,
        }
    }
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device, as stat(2) gives it.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Change time in nanoseconds.
    pub ctime: i128,
    /// Size in bytes.
    pub size: u64,
}

/// Facts of the file beside its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its identity.
    pub identity: Identity,
    /// Type and permission bits (`st_mode`).
    pub mode: u32,
    /// Owner.
    pub owner: u32,
    /// Names it has in its file system; 0 when deleted or never named.
    pub links: u64,
}

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// Larger than [`Limits::max_file_bytes`].
    TooLarge,
    /// No longer there, or cannot be opened.
    Gone,
    /// It was being written while it was read, or another file stands at its path.
    Changed,
    /// The byte budget is spent.
    Budget,
    /// Not a regular file.
    NotRegular,
}

impl Missing {
    /// Its name in the field `file.hash_missing`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Budget => "budget",
            Self::NotRegular => "not_regular",
        }
    }
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Facts, when the file could be opened.
    pub facts: Option<FileFacts>,
    /// The hash in lower-case hexadecimal, or why there is none.
    pub sha256: Result<Arc<str>, Missing>,
    /// Everything that its content says; there when the hash is.
    pub content: Option<Content>,
}

/// What a hasher has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files read.
    pub hashed: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Requests answered from memory.
    pub cached: u64,
    /// Requests without a hash, for whatever reason.
    pub missing: u64,
    /// Files whose fuzzy hash was left out for want of budget.
    pub fuzzy_spared: u64,
    /// Hashes forgotten because [`Limits::cache_entries`] were remembered.
    pub evicted: u64,
}

/// Told of each content that is asked for, whether it was read or remembered: its file and its
/// SHA-256. It is called between two reads, so it must not wait.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<Heard>>);

type Heard = dyn Fn(&Identity, &[u8; 32]) + Send + Sync;

impl Listener {
    /// One that calls `heard`.
    pub fn new(heard: impl Fn(&Identity, &[u8; 32]) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(heard)))
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}

/// Reads files once for all facts of their content; remembers what it read.
#[derive(Debug)]
pub struct Hasher {
    limits: Limits,
    cache: Cache<Identity, Content>,
    budget: Budget,
    fuzzy: Budget,
    began: Instant,
    piece: Vec<u8>,
    stats: Stats,
    listener: Listener,
}

impl Hasher {
    /// A hasher within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            cache: Cache::new(limits.cache_entries.max(1)),
            budget: Budget::new(limits.bytes_per_second, limits.burst_bytes),
            fuzzy: Budget::new(limits.fuzzy_bytes_per_second, limits.fuzzy_burst_bytes),
            began: Instant::now(),
            piece: vec![0; PIECE],
            stats: Stats::default(),
            listener: Listener::default(),
            limits,
        }
    }

    /// Has `listener` told of each content from now on.
    #[must_use]
    pub fn heard_by(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    /// Reads at so many thousandths of the usual pace from now on; at 0 nothing is read.
    pub fn set_pace(&mut self, permille: u32) {
        self.budget.set_pace(permille);
        self.fuzzy.set_pace(permille);
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        Stats { evicted: self.cache.evicted, ..self.stats }
    }

    /// The hash of a file that was asked for before, and of which the caller knows that it is as it was
    /// then; the listener is told. `None` when it was forgotten.
    pub fn again(&mut self, identity: &Identity) -> Option<Arc<str>> {
        let content = self.cache.get(*identity)?;
        self.stats.cached += 1;
        if let Some(heard) = &self.listener.0 {
            heard(identity, content.digest());
        }
        Some(content.sha256())
    }

    /// Whether the content of a file is remembered: what is had by a change time that has settled.
    pub fn remembers(&self, identity: &Identity) -> bool {
        self.cache.holds(identity)
    }

    /// Hashes the file at `path`, following no symbolic link at its end. Never blocks on a pipe or
    /// device. With `expected` (an inode) another file at that path is
    /// [`Missing::Changed`]; devices are not compared, since some file systems give each subvolume
    /// one of its own that only stat(2) tells.
    pub fn path(&mut self, path: &Path, expected: Option<u64>) -> Outcome {
        self.open(path, expected, libc::O_NOFOLLOW)
    }

    /// Like [`Hasher::path`], but follows links: for `/proc/PID/exe`.
    pub fn link(&mut self, path: &Path, expected: Option<u64>) -> Outcome {
        self.open(path, expected, 0)
    }

    fn open(&mut self, path: &Path, expected: Option<u64>, flags: i32) -> Outcome {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(path);
        let Ok(file) = opened else {
            self.stats.missing += 1;
            return Outcome { facts: None, sha256: Err(Missing::Gone), content: None };
        };
        self.file(file, expected)
    }

    /// Hashes an open file from its beginning.
    pub fn file(&mut self, mut file: File, expected: Option<u64>) -> Outcome {
        let (facts, content) = match facts_of(&file) {
            Err(_) => (None, Err(Missing::Gone)),
            Ok((facts, regular)) => {
                let id = facts.identity;
                let content = match expected {
                    Some(wanted) if wanted != id.inode => Err(Missing::Changed),
                    _ if !regular => Err(Missing::NotRegular),
                    _ => self.content(&mut file, id),
                };
                if let (Ok(content), Some(heard)) = (&content, &self.listener.0) {
                    heard(&id, content.digest());
                }
                // Facts of another file than the one meant would mislead.
                (Some(facts).filter(|_| content != Err(Missing::Changed)), content)
            }
        };
        if content.is_err() {
            self.stats.missing += 1;
        }
        let sha256 = content.map(|content| content.sha256());
        Outcome { facts, sha256, content: content.ok() }
    }

    fn content(&mut self, file: &mut File, id: Identity) -> Result<Content, Missing> {
        if let Some(content) = self.cache.get(id) {
            self.stats.cached += 1;
            return Ok(content);
        }
        if id.size > self.limits.max_file_bytes {
            return Err(Missing::TooLarge);
        }
        let now = self.began.elapsed();
        if !self.budget.take(id.size, now) {
            return Err(Missing::Budget);
        }
        let fuzzy = if self.fuzzy.take(id.size, now) { Fuzzy::Wanted } else { Fuzzy::Spared };
        let content =
            self.read(file, id.size, fuzzy).map_err(|_| Missing::Gone)?.ok_or(Missing::Changed)?;
        let (after, _) = facts_of(file).map_err(|_| Missing::Gone)?;
        if after.identity != id {
            return Err(Missing::Changed);
        }
        self.stats.hashed += 1;
        self.stats.bytes += id.size;
        self.stats.fuzzy_spared += u64::from(fuzzy == Fuzzy::Spared);
        if settled(id.ctime) {
            self.cache.insert(id, content);
        }
        Ok(content)
    }

    /// `None` when the file is not `size` bytes long (it grew or shrank meanwhile).
    fn read(&mut self, file: &mut File, size: u64, fuzzy: Fuzzy) -> io::Result<Option<Content>> {
        let mut digester = Digester::new(fuzzy);
        let mut total: u64 = 0;
        loop {
            let count = match file.read(&mut self.piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            total += count as u64;
            if total > size {
                return Ok(None);
            }
            digester.update(&self.piece[..count]);
        }
        Ok((total == size).then(|| digester.finish()))
    }
}

/// Whether a later change must show in ctime: kernels before 6.13 stamp files with the time of the
/// last timer tick, so two changes within one tick (at most 10 ms) look alike.
fn settled(ctime: i128) -> bool {
    const TICKS_NANOS: i128 = 20_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    i128::try_from(now).is_ok_and(|now| now - ctime > TICKS_NANOS || now < ctime)
}

fn facts_of(file: &File) -> io::Result<(FileFacts, bool)> {
    let meta = file.metadata()?;
    let kind = meta.file_type();
    let regular = kind.is_file() && !kind.is_fifo();
    let ctime = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
    let identity = Identity { device: meta.dev(), inode: meta.ino(), ctime, size: meta.size() };
    let facts = FileFacts { identity, mode: meta.mode(), owner: meta.uid(), links: meta.nlink() };
    Ok((facts, regular))
}

#[cfg(test)]
mod tests {
    use super::{Fuzzy, Hasher, Limits, Missing};
    use std::fs;
    use std::os::unix::fs::{FileExt, symlink};

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_and_remembers_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "abc").unwrap();
        // A content is remembered once its change time has settled.
        let file = fs::File::options().write(true).open(&path).unwrap();
        while !super::settled(super::facts_of(&file).unwrap().0.identity.ctime) {
            std::thread::yield_now();
        }
        let mut hasher = Hasher::new(Limits::default());
        for _ in 0..3 {
            assert_eq!(hasher.path(&path, None).sha256.as_deref(), Ok(ABC));
        }
        assert_eq!((hasher.stats().hashed, hasher.stats().cached), (1, 2));
        fs::write(&path, "abcd").unwrap();
        assert_ne!(hasher.path(&path, None).sha256.as_deref(), Ok(ABC));
        assert_eq!(hasher.stats().hashed, 2);
    }

    #[test]
    fn a_listener_hears_of_each_content_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "abc").unwrap();
        let (sender, heard) = std::sync::mpsc::channel();
        let tell = move |id: &super::Identity, hash: &[u8; 32]| {
            sender.send((id.inode, id.size, hash[0])).unwrap();
        };
        let mut hasher = Hasher::new(Limits::default()).heard_by(super::Listener::new(tell));
        for _ in 0..2 {
            assert!(hasher.path(&path, None).sha256.is_ok());
        }
        assert!(hasher.path(&dir.path().join("b"), None).sha256.is_err());
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [(inode, 3, 0xba); 2]);
        let facts = hasher.path(&path, None).facts.unwrap();
        if hasher.remembers(&facts.identity) {
            assert_eq!(hasher.again(&facts.identity).as_deref(), Some(ABC));
            assert_eq!(heard.try_iter().count(), 2, "known as it is, it is told too");
        }
        let other = super::Identity { size: 4, ..facts.identity };
        assert_eq!(hasher.again(&other), None);
    }

    #[test]
    fn says_why_a_hash_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&path, "abc").unwrap();
        symlink(&path, &link).unwrap();
        let limits = Limits { max_file_bytes: 2, ..Limits::default() };
        let mut small = Hasher::new(limits);
        assert_eq!(small.path(&path, None).sha256, Err(Missing::TooLarge));
        let limits = Limits { bytes_per_second: 0, burst_bytes: 2, ..Limits::default() };
        assert_eq!(Hasher::new(limits).path(&path, None).sha256, Err(Missing::Budget));
        let mut hasher = Hasher::new(Limits::default());
        assert_eq!(hasher.path(&dir.path().join("b"), None).sha256, Err(Missing::Gone));
        assert_eq!(hasher.path(dir.path(), None).sha256, Err(Missing::NotRegular));
        assert_eq!(hasher.path(&path, Some(0)).sha256, Err(Missing::Changed));
        assert_eq!(hasher.path(&link, None).sha256, Err(Missing::Gone), "links are not followed");
        assert_eq!(hasher.link(&link, None).sha256.as_deref(), Ok(ABC));
    }

    #[test]
    fn the_fuzzy_hash_has_a_budget_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let text = (0..200_u32).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        fs::write(&path, &text).unwrap();
        let mut free = Hasher::new(Limits::default());
        let content = free.path(&path, None).content.unwrap();
        assert!(content.tlsh().is_some_and(|tlsh| tlsh.starts_with("T1") && tlsh.len() == 72));
        let limits =
            Limits { fuzzy_bytes_per_second: 0, fuzzy_burst_bytes: 10, ..Limits::default() };
        let mut spare = Hasher::new(limits);
        let spared = spare.path(&path, None).content.unwrap();
        assert_eq!((spared.tlsh(), spared.sha1()), (None, content.sha1()));
        assert_eq!((spared.fuzzy(), spare.stats().fuzzy_spared), (Fuzzy::Spared, 1));
    }

    /// A file that is written while it is read has no facts, or those of a state it really had: so
    /// far the new bytes, from there on those before. Never a mixture of more.
    #[test]
    fn facts_are_never_of_a_mixture() {
        /// Several pieces, and few enough states to know them all.
        const SIZE: usize = 3 * super::PIECE;
        /// What one write call brings.
        const STEP: usize = super::PIECE / 8;
        const BYTES: u8 = 4;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, vec![0; SIZE]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let before = |byte: u8| (byte + BYTES - 1) % BYTES;
        let mut states = std::collections::HashSet::new();
        for byte in 0..BYTES {
            for so_far in (0..=SIZE).step_by(STEP) {
                let mut state = vec![byte; so_far];
                state.resize(SIZE, before(byte));
                states.insert(crate::content::of_bytes(&state).sha256());
            }
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for byte in (1..BYTES).chain(0..=0).cycle() {
                    for at in (0..SIZE).step_by(STEP) {
                        if stop.load(std::sync::atomic::Ordering::Relaxed) {
                            return;
                        }
                        file.write_all_at(&[byte; STEP], at as u64).unwrap();
                    }
                }
            });
            let mut hasher = Hasher::new(Limits::default());
            let outcomes: Vec<_> = (0..20).map(|_| hasher.path(&path, None).sha256).collect();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            for outcome in outcomes {
                match outcome {
                    Ok(hash) => assert!(states.contains(&hash), "a mixture was hashed"),
                    Err(missing) => assert_eq!(missing, Missing::Changed),
                }
            }
        });
    }
}
