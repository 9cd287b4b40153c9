//! Which mounts may be gated: those named, each a mount point, and none that the host or the sensor
//! cannot do without.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::MOUNTS_MAX;

/// File systems that are no place for programs, or that the kernel itself opens files of, and those
/// whose files another host or program answers for: the holder would wait for it.
const NEVER: [&str; 26] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "devpts",
    "debugfs",
    "tracefs",
    "securityfs",
    "bpf",
    "mqueue",
    "autofs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "afs",
    "ceph",
    "coda",
    "gfs2",
    "lustre",
    "ocfs2",
    "virtiofs",
    "fuse",
    "fuseblk",
];
/// So begin the names of those that a program answers for (`fuse.sshfs`).
const FUSE: &str = "fuse.";

/// Why a mount is not gated.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Too many.
    #[error("{0} mounts are to be gated; name at most {MOUNTS_MAX}")]
    Many(usize),
    /// It cannot be looked at.
    #[error("the mount {path} cannot be looked at; is it mounted?")]
    Missing {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder within a mount.
    #[error("{0} is no mount point; name the mount it lies in")]
    NoMount(PathBuf),
    /// The host would stand still with it.
    #[error(
        "{0} is on the root file system, which is not gated: all that runs would wait; mount what \
         is to be gated on its own"
    )]
    Root(PathBuf),
    /// The sensor's own programs or state lie there.
    #[error("{path} holds {own} of the sensor's own, which must not wait for itself; move one")]
    Own {
        /// Which.
        path: PathBuf,
        /// What lies there.
        own: PathBuf,
    },
    /// Not for files.
    #[error(
        "{path} is a {kind}: nothing is executed from it, or another host or program answers for \
         its files, who may never do so; leave it out"
    )]
    Kind {
        /// Which.
        path: PathBuf,
        /// Its file system.
        kind: String,
    },
}

/// Checks all of `mounts`; nothing is gated when one may not be.
pub(super) fn check(mounts: &[PathBuf], private: &[PathBuf]) -> Result<Vec<PathBuf>, MountError> {
    if mounts.len() > MOUNTS_MAX {
        return Err(MountError::Many(mounts.len()));
    }
    // Somebody may have mounted where the name is no text.
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    mounts.iter().map(|path| one(path, private, &table)).collect()
}

fn one(path: &Path, private: &[PathBuf], table: &str) -> Result<PathBuf, MountError> {
    let missing = |source| MountError::Missing { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(missing)?;
    let device = fs::metadata(&real).map_err(missing)?.dev();
    let mount = Mount::of(&real, table);
    let holds = |other: &Path| {
        fs::metadata(other).is_ok_and(|meta| meta.dev() == device)
            || mount.as_ref().is_some_and(|mount| mount.is_beside(Mount::of(other, table)))
    };
    if holds(Path::new("/")) {
        return Err(MountError::Root(path.to_owned()));
    }
    let kind = match &mount {
        Some(mount) if mount.point == real => mount.kind,
        _ => return Err(MountError::NoMount(path.to_owned())),
    };
    if is_never_gated(kind) {
        return Err(MountError::Kind { path: path.to_owned(), kind: kind.to_owned() });
    }
    match private.iter().find(|own| holds(own)) {
        Some(own) => Err(MountError::Own { path: path.to_owned(), own: own.clone() }),
        None => Ok(real),
    }
}

fn is_never_gated(kind: &str) -> bool {
    NEVER.contains(&kind) || kind.starts_with(FUSE)
}

/// A mount, as the table of mounts tells it (proc(5), mountinfo).
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    point: PathBuf,
    /// Major and minor number of the file system as a whole, which is what is gated: on btrfs the
    /// files of each subvolume tell another.
    device: &'a str,
    kind: &'a str,
}

impl<'a> Mount<'a> {
    /// The one that `path` lies in.
    fn of(path: &Path, table: &'a str) -> Option<Self> {
        let file = File::options().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
        let known = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
        Self::numbered(known.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim(), table)
    }

    /// The one with this number.
    fn numbered(number: &str, table: &'a str) -> Option<Self> {
        table.lines().find_map(|line| {
            let (head, tail) = line.split_once(" - ")?;
            let mut fields = head.split(' ');
            if fields.next()? != number {
                return None;
            }
            // Past its parent; past what of the file system is mounted.
            let device = fields.nth(1)?;
            let point = PathBuf::from(unescaped(fields.nth(1)?));
            Some(Self { point, device, kind: tail.split(' ').next()? })
        })
    }

    /// Whether both are of one file system.
    fn is_beside(&self, other: Option<Self>) -> bool {
        other.is_some_and(|other| other.device == self.device)
    }
}

/// Blanks are written as octal numbers there.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Mount, MountError, check, is_never_gated};

    const TABLE: &str = "36 35 0:45 / /srv/a\\040b rw shared:1 - tmpfs tmpfs rw\n\
                         37 35 0:46 / /srv rw - xfs /dev/vdb rw\n\
                         38 35 0:47 / /srv rw - overlay overlay rw\n\
                         39 35 0:46 /sub /opt rw - xfs /dev/vdb rw\n";

    #[test]
    fn mounts_of_one_file_system_are_known() {
        let of = |number| Mount::numbered(number, TABLE).expect("it is in the table");
        let (first, hidden, second, bound) = (of("36"), of("37"), of("38"), of("39"));
        assert_eq!((first.point.as_path(), first.kind), (Path::new("/srv/a b"), "tmpfs"));
        assert_eq!((second.point.as_path(), second.kind), (Path::new("/srv"), "overlay"));
        assert!(!second.is_beside(Some(hidden)) && !second.is_beside(None));
        assert!(bound.is_beside(Mount::numbered("37", TABLE)));
        assert_eq!(Mount::numbered("3", TABLE), None);
    }

    #[test]
    fn what_others_answer_for_is_never_gated() {
        for (kind, never) in [("nfs4", true), ("fuse.sshfs", true), ("ext4", false)] {
            assert_eq!(is_never_gated(kind), never, "{kind}");
        }
    }

    #[test]
    fn what_the_host_needs_is_never_gated() {
        let of = |path: &str| check(&[PathBuf::from(path)], &[]).unwrap_err();
        assert!(matches!(of("/"), MountError::Root(_)));
        assert!(matches!(of("/proc"), MountError::Kind { .. }));
        assert!(matches!(of("/proc/self"), MountError::NoMount(_)));
        assert!(matches!(of("/no-such-place"), MountError::Missing { .. }));
        let many = vec![PathBuf::from("/"); super::MOUNTS_MAX + 1];
        assert!(matches!(check(&many, &[]), Err(MountError::Many(_))));
    }
}
