//! The paced look at every file of interest, so that what a change replaced is known.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::system::mechanisms::{Mechanisms, Subject};
use crate::system::roots::{Place, Root};
use crate::system::snapshots::{Content, MAX_READ, Snapshot, Snapshots};

/// Files read, and folders listed, in one round of the probe (some ten milliseconds): a usual host
/// is known after a second or two, at a few per cent of one processor.
const FILES: usize = 12;
const FOLDERS: usize = 4;

/// How deep folders of units and web servers are followed.
const MAX_DEPTH: u32 = 6;

/// Home folders looked at.
const MAX_HOMES: usize = 1_024;

/// Places waiting to be looked at: containers started at the same time.
const MAX_PLACES: usize = 16;

/// Tasks that may wait in all.
const MAX_TASKS: usize = 65_536;

/// Folders at the root that are usually links to those below /usr.
const ALIASES: [&str; 3] = ["/lib/", "/lib64/", "/var/run/"];

#[derive(Debug)]
enum Step {
    File(String),
    Folder(String, u32),
    Done,
}

#[derive(Debug)]
struct Task {
    place: Place,
    root: Arc<Root>,
    step: Step,
}

/// What is still to be looked at.
#[derive(Debug, Default)]
pub(super) struct Scan {
    tasks: VecDeque<Task>,
    places: usize,
    refused: u64,
}

impl Scan {
    /// Steps still to be done.
    pub(super) fn left(&self) -> usize {
        self.tasks.len()
    }

    /// Places and folders that found no room: what they hold is not known before it changes.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Plans to look at all of `place`, with these home folders.
    pub(super) fn plan(
        &mut self,
        mechanisms: &Mechanisms,
        (place, root): (&Place, &Arc<Root>),
        homes: &BTreeSet<String>,
    ) {
        if self.places >= MAX_PLACES {
            self.refused += 1;
            return;
        }
        self.places += 1;
        let links: Vec<&str> = ALIASES
            .into_iter()
            .filter(|alias| matches!(root.read(alias.trim_end_matches('/'), 0), Content::Link(_)))
            .collect();
        let (fixed, relative) = mechanisms.patterns();
        let mut steps: BTreeSet<(String, u32)> = BTreeSet::new();
        for pattern in fixed {
            if !links.iter().any(|link| pattern.starts_with(link)) {
                steps.insert(step(pattern));
            }
        }
        let skeleton = "/etc/skel".to_owned();
        for home in homes.iter().filter(|home| home.len() > 1).take(MAX_HOMES).chain([&skeleton]) {
            if root.identity(home).is_some() {
                // As the kernel will name what lies in it.
                let inside = root.resolved(&format!("{home}/."), *place == Place::Host);
                let home = inside.trim_end_matches("/.");
                steps.extend(relative.iter().map(|rest| step(&format!("{home}/{rest}"))));
            }
        }
        for (path, depth) in steps {
            let step = if depth == u32::MAX { Step::File(path) } else { Step::Folder(path, depth) };
            self.push(place, root, step);
        }
        self.push(place, root, Step::Done);
    }

    fn push(&mut self, place: &Place, root: &Arc<Root>, step: Step) {
        if self.tasks.len() >= MAX_TASKS && !matches!(step, Step::Done) {
            self.refused += 1;
            return;
        }
        self.tasks.push_back(Task { place: place.clone(), root: Arc::clone(root), step });
    }

    /// Does a few steps.
    pub(super) fn round(&mut self, mechanisms: &Mechanisms, snapshots: &mut Snapshots) {
        let (mut files, mut folders) = (0, 0);
        while files < FILES && folders < FOLDERS {
            let Some(Task { place, root, step }) = self.tasks.pop_front() else { return };
            match step {
                Step::File(path) => {
                    files += usize::from(look(mechanisms, snapshots, (&place, &root), &path));
                }
                Step::Folder(path, depth) => {
                    folders += 1;
                    for (name, is_folder) in root.list(&path) {
                        let below = format!("{path}/{name}");
                        if !is_folder {
                            self.front(&place, &root, Step::File(below));
                        } else if depth > 0 {
                            self.front(&place, &root, Step::Folder(below, depth - 1));
                        }
                    }
                }
                Step::Done => {
                    self.places -= 1;
                    snapshots.complete(place);
                }
            }
        }
    }

    /// What a folder holds comes before what was planned, so that the last step stays the last.
    fn front(&mut self, place: &Place, root: &Arc<Root>, step: Step) {
        if self.tasks.len() >= MAX_TASKS {
            self.refused += 1;
            return;
        }
        self.tasks.push_front(Task { place: place.clone(), root: Arc::clone(root), step });
    }
}

/// Looks at one file, unless it is none of interest or was seen to change meanwhile.
fn look(
    mechanisms: &Mechanisms,
    snapshots: &mut Snapshots,
    (place, root): (&Place, &Root),
    path: &str,
) -> bool {
    match mechanisms.of(path) {
        None | Some(Subject::Accounts | Subject::Logons) => return false,
        Some(_) if snapshots.holds(place, path) => return false,
        Some(_) => {}
    }
    let snapshot = Snapshot::of(&root.read(path, MAX_READ));
    if snapshot.is_some() {
        snapshots.keep(place, path, snapshot);
    }
    true
}

/// The folder to list for a pattern and how deep, or the file (depth `u32::MAX`).
fn step(pattern: &str) -> (String, u32) {
    if let Some(folder) = pattern.strip_suffix("/**") {
        return (folder.to_owned(), MAX_DEPTH);
    }
    match pattern.rsplit_once('/') {
        Some((folder, name)) if name.contains('*') => (folder.to_owned(), 0),
        _ => (pattern.to_owned(), u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::sync::Arc;

    use super::Scan;
    use crate::system::mechanisms::Mechanisms;
    use crate::system::roots::{Place, Root};
    use crate::system::snapshots::{Before, Snapshots};

    #[test]
    fn everything_of_interest_below_a_root_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["etc/cron.d", "etc/systemd/system/a.target.wants", "home/bob/.ssh", "usr/lib"]
        {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("etc/cron.d/job"), "x").unwrap();
        fs::write(at("home/bob/.bashrc"), "y").unwrap();
        fs::write(at("home/bob/.ssh/authorized_keys"), "k").unwrap();
        fs::write(at("home/bob/letter"), "z").unwrap();
        std::os::unix::fs::symlink("/dev/null", at("etc/systemd/system/a.target.wants/b.service"))
            .unwrap();
        // Out of the root: must not be followed out of it.
        std::os::unix::fs::symlink("/etc/hostname", at("etc/crontab")).unwrap();
        let root = Arc::new(Root::open(folder.path().to_str().unwrap()).unwrap());
        let mechanisms = Mechanisms::new(&[]);
        let place = Place::Root(1, 2);
        let (mut scan, mut snapshots) = (Scan::default(), Snapshots::default());
        let homes: BTreeSet<String> = ["/home/bob".to_owned(), "/".to_owned()].into();
        scan.plan(&mechanisms, (&place, &root), &homes);
        while scan.left() > 0 {
            scan.round(&mechanisms, &mut snapshots);
        }
        assert_eq!(snapshots.before(&place, "/etc/rc.local"), Before::Absent);
        for path in [
            "/etc/cron.d/job",
            "/home/bob/.bashrc",
            "/home/bob/.ssh/authorized_keys",
            "/etc/systemd/system/a.target.wants/b.service",
            "/etc/crontab",
        ] {
            let found = snapshots.before(&place, path);
            assert!(matches!(found, Before::Known(_)), "{path}: {found:?}");
        }
        assert_eq!(snapshots.len(), 5);
    }
}
