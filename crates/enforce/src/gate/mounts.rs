//! Which mounts may be gated: those named, each a mount point, and none that the host or the sensor
//! cannot do without.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::MOUNTS_MAX;

/// File systems that are no place for programs, or that the kernel itself opens files of.
const NEVER: [&str; 12] = [
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
];

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
    #[error("{path} is a {kind}, where nothing is executed from; leave it out")]
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
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.iter().map(|path| one(path, private, &table)).collect()
}

fn one(path: &Path, private: &[PathBuf], table: &str) -> Result<PathBuf, MountError> {
    let missing = |source| MountError::Missing { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(missing)?;
    let device = fs::metadata(&real).map_err(missing)?.dev();
    let device_of = |path: &Path| fs::metadata(path).ok().map(|meta| meta.dev());
    if device_of(Path::new("/")) == Some(device) {
        return Err(MountError::Root(path.to_owned()));
    }
    let kind = kind(&real, table).ok_or_else(|| MountError::NoMount(path.to_owned()))?;
    if NEVER.contains(&kind) {
        return Err(MountError::Kind { path: path.to_owned(), kind: kind.to_owned() });
    }
    match private.iter().find(|own| device_of(own) == Some(device)) {
        Some(own) => Err(MountError::Own { path: path.to_owned(), own: own.clone() }),
        None => Ok(real),
    }
}

/// The kind of the file system mounted last at `path` (proc(5), mountinfo).
fn kind<'a>(path: &Path, table: &'a str) -> Option<&'a str> {
    let of = |line: &'a str| {
        let (head, tail) = line.split_once(" - ")?;
        let at = unescaped(head.split(' ').nth(4)?);
        (Path::new(&at) == path).then(|| tail.split(' ').next()).flatten()
    };
    table.lines().filter_map(of).next_back()
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

    use super::{MountError, check, kind};

    const TABLE: &str = "36 35 0:45 / /srv/a\\040b rw shared:1 - tmpfs tmpfs rw\n\
                         37 35 0:46 / /srv rw - xfs /dev/vdb rw\n\
                         38 35 0:47 / /srv rw - overlay overlay rw\n";

    #[test]
    fn a_mount_point_is_told_from_a_folder() {
        assert_eq!(kind(Path::new("/srv/a b"), TABLE), Some("tmpfs"));
        assert_eq!(kind(Path::new("/srv"), TABLE), Some("overlay"));
        assert_eq!(kind(Path::new("/srv/a"), TABLE), None);
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
