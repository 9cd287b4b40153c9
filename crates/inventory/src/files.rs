//! Executables: walks the places, looks at single files, finds their owners.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use metsuke_event::Timestamp;
use metsuke_event::inventory::{Executable, ItemKind, Survey};

use crate::held::{Inventory, State};
use crate::index::Entry;
use crate::known::Known;
use crate::pace::Pace;
use crate::surveys::Left;
use crate::walk::{is_in, places, printable, walk};
use crate::{dpkg, hash, magic, owners, rpm};

/// Files known to be no executables, by a hash of their identity; the others are opened again at
/// each walk. 8 bytes each.
const PLAIN_MAX: usize = 262_144;
/// Files met between two looks at what was touched.
const BETWEEN: u32 = 256;
/// Owners are looked for no more often, for it reads all lists of dpkg (some 20 MB).
const OWNERS_EVERY: Duration = Duration::from_mins(1);
/// Kernels before 6.13 stamp files with the last timer tick: two changes within one look alike.
const TICKS: Duration = Duration::from_millis(20);
/// What no package brings: nobody needs to be asked who owns it.
const UNPACKAGED: [&str; 7] =
    ["/tmp", "/var/tmp", "/dev/shm", "/home", "/root", "/srv", "/usr/local"];

/// The thread's own memory of files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    plain: HashSet<u64>,
    walk: u32,
    met: u32,
    /// When owners were last looked for, and the state of dpkg's file then.
    owners: Option<(Instant, Option<(SystemTime, u64)>)>,
    /// Set when more was touched than could be remembered.
    pub(crate) walk_again: bool,
}

fn short(identity: hash::Identity) -> u64 {
    let mut hasher = DefaultHasher::new();
    identity.hash(&mut hasher);
    hasher.finish()
}

fn modified(meta: &Metadata) -> Timestamp {
    Timestamp::from_nanos(
        meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
    )
}

fn is_settled(meta: &Metadata) -> bool {
    let seconds = u64::try_from(meta.ctime()).unwrap_or(0);
    let nanos = u32::try_from(meta.ctime_nsec()).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
    // A clock that was set back is no reason to hash for ever.
    SystemTime::now().duration_since(changed).is_ok_and(|age| age > TICKS)
}

impl Files {
    /// Walks every place; at the end what is gone is gone.
    pub(crate) fn walk_all(&mut self, inventory: &Inventory, pace: &mut Pace) {
        self.walk = self.walk.wrapping_add(1);
        self.walk_again = false;
        let mut left = Left::default();
        let places = places(&inventory.config, &mut left);
        for place in &places {
            walk(place.clone(), pace, &mut left, &mut |host, real, meta, pace, left| {
                self.meet(inventory, (host, real), meta, (pace, left));
                self.met += 1;
                if self.met.is_multiple_of(BETWEEN) {
                    self.look_at_touched(inventory, pace);
                    inventory.announce();
                }
            });
        }
        if pace.stopped() {
            return;
        }
        self.sweep(inventory, &places, pace);
        self.find_owners(inventory, pace, true);
        let mut state = inventory.state();
        let state = &mut *state;
        if state.first_look(ItemKind::Executable) {
            for path in state.index.keys() {
                state.ledger.touch(ItemKind::Executable, path);
            }
        }
        if rpm::is_there(&inventory.config.root) {
            left.add("owners_of_rpm_not_looked_for", || "rpm".to_owned());
        }
        let survey = Survey {
            kind: ItemKind::Executable,
            taken: Some((inventory.clock)()),
            items: state.index.len() as u64,
            places: places.iter().map(|(host, _)| printable(host)).collect(),
            left_out: left.list(),
            missing: None,
        };
        state.surveys.insert(survey.kind, survey);
        state.unsaved = true;
    }

    /// Looks at what others saw change.
    pub(crate) fn look_at_touched(&mut self, inventory: &Inventory, pace: &mut Pace) {
        let touched = inventory.take_touched();
        self.walk_again |= touched.lost > 0;
        if touched.paths.is_empty() {
            return;
        }
        let mut left = Left::default();
        let places = places(&inventory.config, &mut left);
        for path in touched.paths {
            if pace.stopped() {
                return;
            }
            let host = Path::new(&path);
            if !is_in(&places, host) {
                continue;
            }
            let real = inventory.config.real(host);
            match fs::symlink_metadata(&real) {
                Ok(meta) if meta.is_file() => {
                    self.meet(inventory, (host, &real), &meta, (pace, &mut left));
                }
                Ok(meta) if meta.is_dir() => {
                    let start = (host.to_owned(), real.clone());
                    walk(start, pace, &mut left, &mut |host, real, meta, pace, left| {
                        self.meet(inventory, (host, real), meta, (pace, left));
                    });
                    forget_below(inventory, &path);
                }
                _ => {
                    forget(inventory, &path);
                    forget_below(inventory, &path);
                }
            }
        }
    }

    /// One regular file, at its path on the host and where it lies for us.
    fn meet(
        &mut self,
        inventory: &Inventory,
        (host, real): (&Path, &Path),
        meta: &Metadata,
        (pace, left): (&mut Pace, &mut Left),
    ) {
        let identity = hash::Identity::from(meta);
        let path = printable(host);
        let known = {
            let mut state = inventory.state();
            let count = state.index.len();
            match state.index.get_mut(&path) {
                Some(entry) if entry.identity == identity => {
                    entry.walk = self.walk;
                    return;
                }
                Some(_) => true,
                None if count >= inventory.config.files_max => {
                    drop(state);
                    // Told only of what would have been kept.
                    if !self.plain.contains(&short(identity)) && is_executable(real) {
                        left.add("limit", || path);
                    }
                    return;
                }
                None => false,
            }
        };
        if self.plain.contains(&short(identity)) {
            return;
        }
        match look(inventory, (&path, real), pace) {
            Ok(Some(mut entry)) => {
                entry.walk = self.walk;
                entry.owner_known = UNPACKAGED.iter().any(|place| host.starts_with(place));
                if entry.file.hash_missing.is_some() {
                    left.add("not_hashed", || path.clone());
                }
                if let Some(known) = Known::of(&entry) {
                    (inventory.known)(&known);
                }
                let mut state = inventory.state();
                state.index.insert(path.clone(), entry);
                state.ledger.touch(ItemKind::Executable, &path);
                state.unsaved = true;
            }
            Ok(None) => {
                if self.plain.len() < PLAIN_MAX {
                    self.plain.insert(short(identity));
                }
                if known {
                    forget(inventory, &path);
                }
            }
            // It may be an executable that cannot be read; one that is gone is no loss.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => left.add("unreadable", || path),
        }
    }

    /// Removes what the walk did not meet and is not there.
    fn sweep(&self, inventory: &Inventory, places: &[(PathBuf, PathBuf)], pace: &mut Pace) {
        let unmet: Vec<String> = {
            let state = inventory.state();
            let unmet = state.index.iter().filter(|(_, entry)| entry.walk != self.walk);
            unmet.map(|(path, _)| path.clone()).collect()
        };
        for path in unmet {
            pace.step(0);
            let host = Path::new(&path);
            let there = is_in(places, host) && is_there(&inventory.config.real(host));
            if !there {
                forget(inventory, &path);
            }
        }
    }

    /// Finds owners of files that have none yet; with `now` whatever was done lately.
    pub(crate) fn find_owners(&mut self, inventory: &Inventory, pace: &mut Pace, now: bool) {
        let root = &inventory.config.root;
        let status = fs::metadata(dpkg::status_file(root)).ok();
        let stamp = status.and_then(|meta| Some((meta.modified().ok()?, meta.len())));
        let wanted: HashSet<String> = {
            let state = inventory.state();
            let changed = self.owners.as_ref().is_none_or(|(_, before)| *before != stamp);
            let asks = state.index.iter().filter(|(_, entry)| changed || !entry.owner_known);
            asks.map(|(path, _)| path.clone()).collect()
        };
        let lately = self.owners.as_ref().is_some_and(|(at, _)| at.elapsed() < OWNERS_EVERY);
        if wanted.is_empty() || (lately && !now) {
            return;
        }
        let owners = if stamp.is_some() {
            dpkg::owners(root, |path| wanted.contains(path), pace)
        } else {
            Ok(HashMap::new())
        };
        self.owners = Some((Instant::now(), stamp));
        let owners = owners.unwrap_or_else(|error| {
            tracing::warn!(%error, "the lists of dpkg cannot be read; no file has a package");
            HashMap::new()
        });
        let mut state = inventory.state();
        let State { index, ledger, unsaved, .. } = &mut *state;
        for path in wanted {
            if let Some(entry) = index.get_mut(&path) {
                let was_known = entry.owner_known;
                if owners::settle(&path, entry, &owners) || !was_known {
                    ledger.touch(ItemKind::Executable, &path);
                    *unsaved = true;
                }
            }
        }
    }
}

fn is_there(real: &Path) -> bool {
    match fs::symlink_metadata(real) {
        Ok(meta) => meta.is_file(),
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

fn is_executable(real: &Path) -> bool {
    let mut head = [0; magic::HEAD];
    let read = hash::open(real).and_then(|(mut file, _)| file.read(&mut head));
    read.is_ok_and(|count| magic::format(&head[..count]).is_some())
}

/// Opens and hashes a file; `None` when it is no executable.
fn look(
    inventory: &Inventory,
    (path, real): (&str, &Path),
    pace: &mut Pace,
) -> std::io::Result<Option<Entry>> {
    let (mut file, meta) = hash::open(real)?;
    let mut head = [0; magic::HEAD];
    let count = file.read(&mut head)?;
    let Some(format) = magic::format(&head[..count]) else { return Ok(None) };
    let mut identity = hash::Identity::from(&meta);
    let digests = if identity.size > inventory.config.file_bytes_max {
        Err("too_large")
    } else {
        match hash::digests(&mut file, &head[..count], identity, pace) {
            Ok(Some(digests)) => Ok(digests),
            Ok(None) => Err("changed"),
            Err(_) => Err("unreadable"),
        }
    };
    let worth_keeping = is_settled(&meta) && !matches!(digests, Err("changed" | "unreadable"));
    if !worth_keeping {
        // Looks like no content: the next walk reads it again.
        identity.ctime = (0, 0);
    }
    let file = Executable {
        path: path.to_owned(),
        sha256: digests.as_ref().ok().map(|digests| hash::hex(&digests.sha256)),
        hash_missing: digests.as_ref().err().map(|why| (*why).to_owned()),
        format,
        size: meta.len(),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        modified: modified(&meta),
        package: None,
        integrity: None,
    };
    let md5 = digests.ok().map(|digests| digests.md5);
    Ok(Some(Entry { identity, md5, file, walk: 0, owner_known: false }))
}

fn forget(inventory: &Inventory, path: &str) {
    let mut state = inventory.state();
    if state.index.remove(path).is_some() {
        state.ledger.touch(ItemKind::Executable, path);
        state.unsaved = true;
    }
}

/// Forgets what was below a folder and is not there any more.
fn forget_below(inventory: &Inventory, folder: &str) {
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    let below: Vec<String> = {
        let state = inventory.state();
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let paths = state.index.range::<String, _>(from).map(|(path, _)| path.clone());
        paths.take_while(|path| path.starts_with(&prefix)).collect()
    };
    for path in below {
        if !is_there(&inventory.config.real(Path::new(&path))) {
            forget(inventory, &path);
        }
    }
}
