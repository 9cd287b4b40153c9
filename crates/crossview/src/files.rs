//! Files: executables that run without a name, and names that a listing leaves out, by the kernel's
//! own listing (getdents64) against `ls`, and by names known otherwise against that listing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::helper;
use crate::host::{self, Pace};
use crate::raw;
use crate::view::{Pass, ProcessRef, Subject, SubjectType, View};

const OF: SubjectType = SubjectType::File;

/// What `readlink` says behind the path of a file that has no name any more.
const DELETED: &str = " (deleted)";

/// Looks at them in every way.
pub(crate) fn look(config: &Config) -> Pass {
    let mut pass = Pass::default();
    let mut pace = Pace::default();
    let running = running(&mut pace);
    executables(&running, &mut pass);
    by_name(&running, &mut pass, &mut pace);
    listings(config, &mut pass, &mut pace);
    pass
}

/// A process with an executable.
struct Running {
    process: ProcessRef,
    /// As `/proc/PID/exe` shows it, within the process's own root.
    path: PathBuf,
    device: u64,
    inode: u64,
    links: u64,
}

fn running(pace: &mut Pace) -> Vec<Running> {
    let mut found = Vec::new();
    for pid in host::listed_pids().unwrap_or_default() {
        pace.step();
        let exe = format!("/proc/{pid}/exe");
        // Processes of the kernel have none.
        let (Ok(path), Ok(meta)) = (fs::read_link(&exe), fs::metadata(&exe)) else { continue };
        let Some((_, start, name)) = host::stat(pid) else { continue };
        found.push(Running {
            process: ProcessRef { pid, start_ticks: Some(start), name, cgroup: None },
            path,
            device: meta.dev(),
            inode: meta.ino(),
            links: meta.nlink(),
        });
    }
    found
}

/// The path that a deleted file had.
fn former(path: &Path) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes().strip_suffix(DELETED.as_bytes())?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec())))
}

fn executables(running: &[Running], pass: &mut Pass) {
    let mut all = View::new("running_executable", OF);
    let mut named = View::new("directory_entry", OF);
    for one in running {
        let pid = one.process.pid;
        let id = format!("exe:{pid}");
        let path = former(&one.path).filter(|_| one.links == 0);
        let label = path.as_ref().unwrap_or(&one.path).display().to_string();
        let subject = Subject { label, process: Some(one.process.clone()) };
        match path {
            None => named.show(id.clone(), Subject::default()),
            Some(path) => {
                let (technique, detail) = nameless(pid, &path);
                pass.clue(OF, &id, technique, detail);
            }
        }
        all.show(id, subject);
    }
    pass.views.extend([all, named]);
}

/// Why an executable has no name: it lives in memory, another took its place, or it is gone.
fn nameless(pid: u32, path: &Path) -> (&'static str, String) {
    // A prefix of the text: as a path it is one part with the name behind it.
    if path.as_os_str().as_bytes().starts_with(b"/memfd:") {
        return ("memfd_executable", "it lives in memory and never had a name".to_owned());
    }
    let inside = path.strip_prefix("/").unwrap_or(path);
    if Path::new(&format!("/proc/{pid}/root")).join(inside).exists() {
        let detail = "another file has its name now, as after an upgrade; the process runs the \
                      former one";
        return ("replaced_executable", detail.to_owned());
    }
    ("deleted_executable", "it was removed while it runs".to_owned())
}

/// Executables that open by their name, against the listing of the directory they lie in.
fn by_name(running: &[Running], pass: &mut Pass, pace: &mut Pace) {
    let mut opened = View::new("open_by_name", OF);
    let mut listed: BTreeMap<PathBuf, Option<BTreeSet<Vec<u8>>>> = BTreeMap::new();
    let mut all = View::new("getdents", OF);
    for one in running.iter().filter(|one| one.links > 0) {
        pace.step();
        let (Some(parent), Some(name)) = (one.path.parent(), one.path.file_name()) else {
            continue;
        };
        // The path is that of another root, or of a mount namespace that is not ours.
        let same = fs::metadata(&one.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (one.device, one.inode));
        if !same {
            continue;
        }
        let names = listed
            .entry(parent.to_owned())
            .or_insert_with(|| raw::names(parent).ok().map(|names| names.into_iter().collect()));
        let Some(names) = names else { continue };
        let id = format!("path:{}", one.path.display());
        let label = one.path.display().to_string();
        opened.show(id.clone(), Subject { label, process: Some(one.process.clone()) });
        if names.contains(name.as_bytes()) {
            all.show(id, Subject::default());
        }
    }
    pass.views.extend([opened, all]);
}

/// The configured directories, by the kernel and by `ls`.
fn listings(config: &Config, pass: &mut Pass, pace: &mut Pace) {
    let mut shown = View::new("ls", OF);
    let mut names = Vec::new();
    for directory in &config.directories {
        pace.step();
        // A directory that this host does not have hides nothing.
        let Ok(kernel) = raw::names(directory) else { continue };
        let Some(path) = directory.to_str() else { continue };
        match helper::output(config, "/bin/ls", &["-1", "-A", "-U", "--", path]) {
            Ok(output) => {
                for name in output.split(|byte| *byte == b'\n').filter(|name| !name.is_empty()) {
                    shown.show(identity(directory, name), Subject::default());
                }
            }
            Err(reason) => {
                shown = View::refused("ls", OF, reason);
                break;
            }
        }
        names.extend(kernel.into_iter().map(|name| (directory, name)));
    }
    // Names are compared one to a line; those with a line's end in them cannot be.
    let comparable = names.into_iter().filter(|(_, name)| !name.contains(&b'\n'));
    if let Some(view) = pass.views.iter_mut().find(|view| view.name == "getdents") {
        for (directory, name) in comparable {
            let path = directory.join(std::ffi::OsStr::from_bytes(&name));
            view.show(identity(directory, &name), Subject::labelled(path.to_string_lossy()));
        }
    }
    // What is known by its name only is not asked of `ls`.
    if shown.is_whole()
        && let Some(view) = pass.views.iter().find(|view| view.name == "getdents")
    {
        for id in view.subjects.keys().filter(|id| id.starts_with("path:")) {
            shown.show(id.clone(), Subject::default());
        }
    }
    pass.views.push(shown);
}

fn identity(directory: &Path, name: &[u8]) -> String {
    format!("name:{}", directory.join(std::ffi::OsStr::from_bytes(name)).display())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::former;

    #[test]
    fn the_former_path_is_read() {
        assert_eq!(former(Path::new("/tmp/a b (deleted)")), Some(PathBuf::from("/tmp/a b")));
        assert_eq!(former(Path::new("/tmp/a")), None);
    }
}
