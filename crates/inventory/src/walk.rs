//! Walks folders, at a pace, over the host's own file systems only.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use crate::config::Config;
use crate::pace::Pace;
use crate::surveys::Left;

/// Most folders waiting to be walked.
const FOLDERS_MAX: usize = 200_000;
/// Deepest folder below a place.
const DEPTH_MAX: usize = 64;

/// Types of file systems that hold no files of this host, or only the kernel's.
fn foreign(kind: &str) -> Option<&'static str> {
    match kind {
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "afs" | "ceph" | "glusterfs" | "lustre"
        | "autofs" | "virtiofs" => Some("network_file_system"),
        "proc" | "sysfs" | "cgroup" | "cgroup2" | "devpts" | "debugfs" | "tracefs" | "bpf"
        | "securityfs" | "binfmt_misc" | "mqueue" | "configfs" | "pstore" | "efivarfs"
        | "fusectl" | "hugetlbfs" => Some("kernel_file_system"),
        _ if kind.starts_with("fuse.") => Some("network_file_system"),
        _ => None,
    }
}

/// Mount points that are not entered, and why.
fn mounts() -> HashMap<PathBuf, &'static str> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let line = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let kind = std::str::from_utf8(fields.get(dash + 1)?).ok()?;
        Some((unescape(fields.get(4)?), foreign(kind)?))
    };
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// Undoes the octal escapes of `/proc/self/mountinfo` (proc(5)).
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// How a path is written in an item: as it is, or, where it is no UTF-8, with escapes.
pub(crate) fn printable(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => path.as_os_str().as_bytes().escape_ascii().to_string(),
    }
}

/// The places that are there, each once, without those below another: (path on the host, where it
/// lies for us).
pub(crate) fn places(config: &Config, left: &mut Left) -> Vec<(PathBuf, PathBuf)> {
    let Ok(root) = fs::canonicalize(&config.root) else { return Vec::new() };
    let mut found: Vec<(PathBuf, PathBuf)> = Vec::new();
    for place in &config.places {
        // A place may be a link itself: it is what the administrator named.
        let Ok(real) = fs::canonicalize(config.real(place)) else { continue };
        match real.strip_prefix(&root) {
            Ok(below) => found.push((Path::new("/").join(below), real.clone())),
            Err(_) => left.add("outside_root", || printable(place)),
        }
    }
    found.sort();
    found.dedup_by(|later, earlier| later.0.starts_with(&earlier.0));
    found
}

/// The place `path`, absolute on the host, lies in.
pub(crate) fn is_in(places: &[(PathBuf, PathBuf)], path: &Path) -> bool {
    let plain = !path.components().any(|part| matches!(part, Component::ParentDir));
    plain && places.iter().any(|(place, _)| path.starts_with(place))
}

/// Walks `start` (path on the host, where it lies for us); calls `visit` for each regular file with
/// both its paths, and `between` after each folder.
pub(crate) fn walk(
    start: (PathBuf, PathBuf),
    pace: &mut Pace,
    left: &mut Left,
    visit: &mut dyn FnMut(&Path, &Path, &Metadata, &mut Pace, &mut Left),
) {
    let mounts = mounts();
    let mut folders = vec![(start.0, start.1, 0)];
    while let Some((host, real, depth)) = folders.pop() {
        if pace.stopped() {
            return;
        }
        if let Some(reason) = mounts.get(&real) {
            left.add(reason, || printable(&host));
            continue;
        }
        let Ok(entries) = fs::read_dir(&real) else {
            left.add("unreadable", || printable(&host));
            continue;
        };
        for entry in entries {
            pace.step(0);
            let Ok(entry) = entry else {
                left.add("unreadable", || printable(&host));
                break;
            };
            // Does not follow links.
            let Ok(meta) = entry.metadata() else { continue };
            let (host, real) = (host.join(entry.file_name()), entry.path());
            if meta.is_file() {
                visit(&host, &real, &meta, pace, left);
            } else if meta.is_dir() {
                if depth >= DEPTH_MAX || folders.len() >= FOLDERS_MAX {
                    left.add("limit", || printable(&host));
                } else {
                    folders.push((host, real, depth + 1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{printable, unescape};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    #[test]
    fn names_of_mounts_and_files_survive() {
        assert_eq!(unescape(b"/mnt/a\\040b\\134c"), Path::new("/mnt/a b\\c"));
        assert_eq!(unescape(b"/mnt/\\9"), Path::new("/mnt/\\9"));
        assert_eq!(printable(Path::new("/tmp/日本")), "/tmp/日本");
        assert_eq!(printable(Path::new(OsStr::from_bytes(b"/tmp/\xff"))), "/tmp/\\xff");
    }
}
