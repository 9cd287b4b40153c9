//! The deny list: which operations on what are denied, or noted, in the scope.
//!
//! Invariant: an entry in a list is one that some hook can act upon; what would never fire is
//! refused when it is added.

use std::fmt::{self, Display, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Entries of one list at most: they are numbered by two bytes of a record. The kernel's tables
/// have room for as many of each kind as `bpf/deny.h` says.
pub const ENTRIES_MAX: usize = 16_384;
/// Longest path that the kernel compares, in bytes, without its NUL (`PATH_BYTES`).
pub const PATH_MAX: usize = 255;
/// Longest name of a kernel module, in bytes, without its NUL.
pub const MODULE_NAME_MAX: usize = 55;

/// Operations, a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operations(pub(super) u16);

impl Operations {
    /// A file is executed, or is the interpreter of one that is.
    pub const EXEC: Self = Self(1);
    /// A file is opened.
    pub const OPEN: Self = Self(2);
    /// A file is mapped executable, or made so later: a library, or a program started through
    /// `ld.so`; of memory without a file, that it is made executable.
    pub const MAP: Self = Self(4);
    /// A socket is connected, or a datagram sent: by the program named, or to the destination.
    pub const CONNECT: Self = Self(8);
    /// A kernel module is loaded.
    pub const MODULE_LOAD: Self = Self(16);
    /// The program named attaches to another process.
    pub const PTRACE: Self = Self(32);
    /// The program named loads a BPF program.
    pub const BPF_LOAD: Self = Self(64);
    /// All of them.
    pub const ALL: Self = Self(127);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::EXEC, "exec"),
        (Self::OPEN, "open"),
        (Self::MAP, "map"),
        (Self::CONNECT, "connect"),
        (Self::MODULE_LOAD, "module_load"),
        (Self::PTRACE, "ptrace"),
        (Self::BPF_LOAD, "bpf_load"),
    ];

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among them.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The one called `name`, as in the field `denial.operation`.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find_map(|(operation, known)| (*known == name).then_some(*operation))
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(one, _)| self.contains(*one)).map(|(_, name)| name)
    }
}

impl Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// What an entry names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Everything in the scope.
    Everything,
    /// Files with this content, wherever they are and whatever they are called.
    Sha256([u8; 32]),
    /// One file of this host, whatever its content.
    Inode {
        /// Device, as `stat` tells it.
        device: u64,
        /// Inode number.
        inode: u64,
    },
    /// The file at this absolute path, as the process sees its file system.
    Path(PathBuf),
    /// An address, or a network.
    Destination {
        /// Its first address.
        address: IpAddr,
        /// Bits of it that count: 32 or 128 for one address.
        bits: u8,
        /// Only this port; only for one address.
        port: Option<u16>,
    },
    /// Files that live in memory only (memfd).
    Memory,
    /// Files whose content could not be hashed before the operation.
    UnknownCopy,
    /// Memory that belongs to no file, or no longer holds what its file does, made executable. What
    /// compiles as it runs does so too: observe it before it is denied.
    Anonymous,
    /// The kernel module of this name.
    Module(String),
}

impl Subject {
    /// Its kind, as in the field `denial.subject_type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Sha256(_) => "sha256",
            Self::Inode { .. } => "inode",
            Self::Path(_) => "path",
            Self::Destination { .. } => "destination",
            Self::Memory => "memfd",
            Self::UnknownCopy => "unknown_copy",
            Self::Anonymous => "anonymous",
            Self::Module(_) => "module",
        }
    }

    /// The operations that can be denied of it.
    pub const fn operations(&self) -> Operations {
        let files = Operations::EXEC.and(Operations::MAP).and(Operations::MODULE_LOAD);
        match self {
            Self::Everything | Self::Sha256(_) | Self::Inode { .. } | Self::Memory => {
                Operations::ALL
            }
            Self::Path(_) => files.and(Operations::OPEN),
            Self::UnknownCopy => files,
            Self::Anonymous => Operations::MAP,
            Self::Destination { .. } => Operations::CONNECT,
            Self::Module(_) => Operations::MODULE_LOAD,
        }
    }

    fn check(&self) -> Result<(), EntryError> {
        match self {
            Self::Path(path) => {
                let long = path.as_os_str().len() > PATH_MAX;
                if long || !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0) {
                    return Err(EntryError::Path(path.clone()));
                }
            }
            Self::Destination { address, bits, port } => {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                if *bits > whole || (port.is_some() && *bits < whole) {
                    return Err(EntryError::Destination(self.to_string()));
                }
            }
            Self::Module(name) => {
                let fits = !name.is_empty() && name.len() <= MODULE_NAME_MAX;
                if !fits || name.contains(['.', '/', '\0']) {
                    return Err(EntryError::Module(name.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Sha256(hash) => f.write_str(&hex(hash)),
            Self::Inode { device, inode } => write!(f, "{device}:{inode}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Destination { address, port: Some(port), .. } => {
                write!(f, "{}", std::net::SocketAddr::new(*address, *port))
            }
            Self::Destination { address, bits, port: None } => write!(f, "{address}/{bits}"),
            Self::Memory => f.write_str("memfd"),
            Self::UnknownCopy => f.write_str("unknown_copy"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Module(name) => f.write_str(name),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether what is met is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Denied.
    Deny,
    /// Allowed, and told as what would have been denied.
    Observe,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it names.
    pub subject: Subject,
    /// What is denied.
    pub operations: Operations,
    /// Whether it really is.
    pub mode: Mode,
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// No operation.
    #[error("the entry for `{0}` names no operation; name at least one")]
    NoOperation(String),
    /// Would never fire.
    #[error(
        "{operations} cannot be denied by {kind}; {kind} takes {possible}. To stop a program from \
         connecting, tracing or loading BPF, name it by sha256 or inode"
    )]
    NotOf {
        /// What was asked for and cannot be.
        operations: Operations,
        /// Kind of the subject.
        kind: &'static str,
        /// What can be.
        possible: Operations,
    },
    /// A path that is never met.
    #[error(
        "`{0}` is no absolute path of at most {PATH_MAX} bytes; name the file by sha256 or inode"
    )]
    Path(PathBuf),
    /// A destination that is none.
    #[error("`{0}` is no destination: an address, a network, or one address with a port")]
    Destination(String),
    /// A module's name that is none.
    #[error(
        "`{0}` is no name of a kernel module: at most {MODULE_NAME_MAX} bytes, no dot, no slash"
    )]
    Module(String),
    /// Too many.
    #[error("the list is full: {ENTRIES_MAX} entries; remove some")]
    Full,
}

/// The list. Where two entries meet, one that denies prevails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyList {
    entries: Vec<Entry>,
    observe_only: bool,
}

impl DenyList {
    /// Adds an entry.
    ///
    /// # Errors
    /// When it could never fire, or the list is full.
    pub fn add(&mut self, mut entry: Entry) -> Result<(), EntryError> {
        if let Subject::Module(name) = &mut entry.subject {
            // As the kernel writes it.
            *name = name.replace('-', "_");
        }
        entry.subject.check()?;
        let possible = entry.subject.operations();
        if entry.operations.is_empty() {
            return Err(EntryError::NoOperation(entry.subject.to_string()));
        }
        if !possible.contains(entry.operations) {
            return Err(EntryError::NotOf {
                operations: Operations(entry.operations.0 & !possible.0),
                kind: entry.subject.kind(),
                possible,
            });
        }
        if self.entries.len() >= ENTRIES_MAX {
            return Err(EntryError::Full);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Makes every entry one that only observes, whatever its mode; or takes that back.
    pub const fn observe_only(&mut self, observe: Mode) {
        self.observe_only = matches!(observe, Mode::Observe);
    }

    /// Whether nothing is denied.
    pub const fn only_observes(&self) -> bool {
        self.observe_only
    }

    /// The entries, by their number.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every operation that some entry names.
    pub fn operations(&self) -> Operations {
        self.entries.iter().fold(Operations::default(), |all, entry| all.and(entry.operations))
    }

    /// What the list says of a file whose content has the hash `sha256`, at `path`: the number of
    /// the entry that decides, and whether it is denied.
    pub fn judge_file(
        &self,
        operation: Operations,
        sha256: Option<&[u8; 32]>,
        path: &Path,
        id: (u64, u64),
    ) -> Option<(usize, Mode)> {
        let meets = |entry: &Entry| {
            entry.operations.contains(operation)
                && match &entry.subject {
                    Subject::Everything => true,
                    Subject::Sha256(hash) => sha256 == Some(hash),
                    Subject::Inode { device, inode } => id == (*device, *inode),
                    Subject::Path(named) => named == path,
                    Subject::UnknownCopy => sha256.is_none(),
                    _ => false,
                }
        };
        let found = |mode: Mode| {
            let is = |entry: &Entry| entry.mode == mode && meets(entry);
            self.entries.iter().position(is)
        };
        let deny = if self.observe_only { Mode::Observe } else { Mode::Deny };
        found(Mode::Deny)
            .map(|index| (index, deny))
            .or_else(|| found(Mode::Observe).map(|index| (index, Mode::Observe)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{DenyList, Entry, EntryError, Mode, Operations, Subject};

    fn entry(subject: Subject, operations: Operations) -> Entry {
        Entry { subject, operations, mode: Mode::Deny }
    }

    #[test]
    fn what_would_never_fire_is_refused() {
        let mut list = DenyList::default();
        let local = "127.0.0.1".parse().unwrap();
        let to = |bits, port| Subject::Destination { address: local, bits, port };
        for (subject, operations) in [
            (Subject::Path("/bin/x".into()), Operations::EXEC),
            (Subject::Sha256([7; 32]), Operations::ALL),
            (to(32, Some(443)), Operations::CONNECT),
            (to(8, None), Operations::CONNECT),
            (Subject::Module("dummy".to_owned()), Operations::MODULE_LOAD),
        ] {
            list.add(entry(subject, operations)).unwrap();
        }
        for (subject, operations) in [
            (Subject::Path("/bin/x".into()), Operations::PTRACE),
            (Subject::Path("bin/x".into()), Operations::EXEC),
            (Subject::Path(format!("/{}", "x".repeat(255)).into()), Operations::EXEC),
            (Subject::Memory, Operations::default()),
            (to(33, None), Operations::CONNECT),
            (to(8, Some(443)), Operations::CONNECT),
            (to(32, None), Operations::EXEC),
            (Subject::Module("a.ko".to_owned()), Operations::MODULE_LOAD),
        ] {
            assert!(list.add(entry(subject.clone(), operations)).is_err(), "{subject}");
        }
        assert_eq!(list.entries().len(), 5);
        let many = Operations::CONNECT.and(Operations::EXEC);
        let error = list.add(entry(Subject::UnknownCopy, many)).unwrap_err();
        assert!(
            matches!(error, EntryError::NotOf { operations, .. } if operations == Operations::CONNECT)
        );
    }

    #[test]
    fn denying_prevails_and_observing_takes_it_back() {
        let mut list = DenyList::default();
        let hash = [3; 32];
        let path = Path::new("/a");
        list.add(Entry {
            mode: Mode::Observe,
            ..entry(Subject::Path(path.into()), Operations::EXEC)
        })
        .unwrap();
        list.add(entry(Subject::Sha256(hash), Operations::EXEC)).unwrap();
        let judge = |list: &DenyList, sha256: Option<&[u8; 32]>, path: &str| {
            list.judge_file(Operations::EXEC, sha256, Path::new(path), (1, 1))
        };
        assert_eq!(judge(&list, Some(&hash), "/a"), Some((1, Mode::Deny)));
        assert_eq!(judge(&list, Some(&[4; 32]), "/a"), Some((0, Mode::Observe)));
        assert_eq!(judge(&list, Some(&[4; 32]), "/b"), None);
        assert_eq!(list.judge_file(Operations::OPEN, Some(&hash), path, (1, 1)), None);
        list.observe_only(Mode::Observe);
        assert_eq!(judge(&list, Some(&hash), "/b"), Some((1, Mode::Observe)));
    }

    #[test]
    fn names_go_both_ways() {
        for name in Operations::ALL.names() {
            let one = Operations::named(name).unwrap();
            assert_eq!(one.names().collect::<Vec<_>>(), [name]);
        }
        assert_eq!(Operations::named("else"), None);
    }
}
