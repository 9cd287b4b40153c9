//! Looks after what denies, of either tier: whether the kernel still has each hook, each table, and in
//! it the list as it was written.
//!
//! Whoever may use BPF can detach the hooks of control groups, replace their programs, and change any
//! table by its id; who reaches into this process can take a descriptor, and with it any hook. What
//! is added to a table, what `contents` holds, and what programs see of the kernel is not looked at.
//!
//! Invariant: what is found is mended at once where it can be, and told, mended or not, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object};
use metsuke_event::Timestamp;

use super::image::{Image, Place, TABLES};
use super::load::attach_one;

/// Entries of the tables looked at in one look: a fraction of a millisecond, and once a second the
/// longest list has its turn within two minutes.
const CHECKED: usize = 256;

/// Now, as `Guard::look` is told it by its caller.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What somebody has touched: `bpf_link` or `bpf_map`; `None` when nobody has.
    pub tampered: Option<&'static str>,
    /// `hook_detached`, `list_changed`, `map_lost`; of what nobody did `hook_on` and `hook_off`.
    pub reason: &'static str,
    /// For people: what, and what was done about it.
    pub detail: String,
    /// Since when something may not have been denied: when all was last known to be well.
    pub from: Timestamp,
}

/// One program.
#[derive(Debug)]
pub(super) struct Hook {
    program: &'static str,
    /// Where it is attached.
    place: &'static str,
    /// `None` while it is not attached.
    link: Option<Link>,
    /// Ids of link and program; `None` where the kernel does not tell (before Linux 5.8), and then
    /// nobody can say whether it is there.
    ids: Option<(u32, u32)>,
    well: Timestamp,
    /// Why it went off, while it is; and why it stays so, where that is something else.
    why: String,
    stays: Option<String>,
}

/// The control group of the scope, as it was at the start.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    inode: Option<u64>,
}

impl Group {
    pub(super) fn new(folder: PathBuf) -> Self {
        let inode = fs::metadata(&folder).ok().map(|meta| meta.ino());
        Self { folder, inode }
    }

    /// What became of it; `None` while it is the one of the start, as far as is known. Another one
    /// of its name is not the scope: the programs ask about the number of the first.
    fn lost(&self) -> Option<&'static str> {
        match fs::metadata(&self.folder) {
            Ok(meta) if self.inode.is_some_and(|inode| inode != meta.ino()) => {
                Some("its control group was replaced")
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Some("its control group is gone"),
            _ => None,
        }
    }
}

/// Whether a link is there.
enum Bond {
    Whole,
    /// Ours, and attached to nothing, or something else's.
    Cut,
    /// What its descriptor leads to is not ours.
    Gone,
}

impl Hook {
    /// `program`, attached to `place` by `link`; `now` is before that was done.
    pub(super) fn new(
        (program, place): (&'static str, &'static str),
        link: Link,
        now: Timestamp,
    ) -> Self {
        let ids = ids(&link);
        let why = String::new();
        Self { program, place, link: Some(link), ids, well: now, why, stays: None }
    }

    pub(super) fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    fn bond(&self, link: &Link) -> Bond {
        let Some((own, program)) = self.ids else { return Bond::Whole };
        match LinkInfo::from_fd(link.as_fd()) {
            Ok(info) if info.id == own => match info.info {
                // A link that was detached leads to no control group any more.
                LinkTypeInfo::Cgroup(group) if group.cgroup_id == 0 => Bond::Cut,
                _ if info.prog_id != program => Bond::Cut,
                _ => Bond::Whole,
            },
            _ => Bond::Gone,
        }
    }

    /// Attaches it again where it is not and should be.
    fn mend(&mut self, object: &Object, group: Option<&Group>, now: Timestamp) -> Option<Found> {
        let from = self.well;
        let was_off = match &self.link {
            Some(link) => match self.bond(link) {
                Bond::Whole => {
                    self.well = now;
                    return None;
                }
                // Nothing may be left of it beside the new one.
                Bond::Cut => {
                    self.link = None;
                    false
                }
                // The descriptor may be another file's by now: it is not closed.
                Bond::Gone => {
                    std::mem::forget(self.link.take());
                    false
                }
            },
            None => true,
        };
        let name = format!("{} ({})", self.program, self.place);
        let found = |tampered, reason, detail| Some(Found { tampered, reason, detail, from });
        let group = group.filter(|_| self.place.starts_with("cgroup/"));
        let attached = match group.and_then(Group::lost) {
            Some(lost) => Err(lost.to_owned()),
            None => attach_one(object, self.program, self.place, group.map(|group| &group.folder)),
        };
        match attached {
            Ok(link) => {
                self.ids = ids(&link);
                (self.link, self.well, self.stays) = (Some(link), now, None);
                if was_off {
                    return found(None, "hook_on", format!("{name} is attached again"));
                }
                let detail = format!("somebody took {name} away; it is attached again");
                found(Some("bpf_link"), "hook_detached", detail)
            }
            Err(error) => {
                // Asked again: it may have gone meanwhile.
                let lost = group.and_then(Group::lost);
                let refused = format!("it cannot be attached: {error}");
                if was_off {
                    // Told when it went off.
                    let stays = lost.map_or(refused, ToOwned::to_owned);
                    self.stays = Some(stays).filter(|stays| *stays != self.why);
                    return None;
                }
                if let Some(lost) = lost {
                    (self.why, self.stays) = (lost.to_owned(), None);
                    return found(None, "hook_off", format!("{name} is off: {lost}"));
                }
                (self.why, self.stays) = ("somebody took it away".to_owned(), Some(refused));
                let detail = format!("{name} is not attached and cannot be: {error}; tried again");
                found(Some("bpf_link"), "hook_detached", detail)
            }
        }
    }
}

fn ids(link: &Link) -> Option<(u32, u32)> {
    link.info().ok().map(|info| (info.id, info.prog_id))
}

/// One of the tables, as it was made.
#[derive(Debug)]
struct Kept {
    name: &'static str,
    id: Option<u32>,
    is_lost: bool,
}

/// What is known of the tables.
#[derive(Debug)]
pub(super) struct Tables {
    kept: Vec<Kept>,
    /// When they were last known to be there.
    well: Timestamp,
    /// The entry that is looked at next; when this round through all of them began, and the one
    /// before, which for the first is when they were written.
    next: usize,
    rounds: [Timestamp; 2],
    /// Entries that hold what was not written, and cannot be written: table and key, none that are
    /// not in the list.
    wrong: BTreeSet<(&'static str, Vec<u8>)>,
}

/// A table with its name.
pub(super) type Named<'a> = (&'static str, &'a MapHandle);

impl Tables {
    /// These are the tables, as they were made.
    pub(super) fn new<'a>(tables: impl Iterator<Item = Named<'a>>, now: Timestamp) -> Self {
        let kept = tables.map(|(name, map)| Kept { name, id: id(map), is_lost: false });
        let wrong = BTreeSet::new();
        Self { kept: kept.collect(), well: now, next: 0, rounds: [now; 2], wrong }
    }

    fn is_lost(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept.is_lost && kept.name == name)
    }

    /// Whether each descriptor still leads to the kernel's table; given in the same order.
    fn missing<'a>(
        &mut self,
        tables: impl Iterator<Item = Named<'a>>,
        now: Timestamp,
    ) -> Vec<Found> {
        let from = std::mem::replace(&mut self.well, now);
        let mut found = Vec::new();
        for (kept, (_, map)) in self.kept.iter_mut().zip(tables) {
            let is_lost = kept.id.is_some() && id(map) != kept.id;
            if is_lost && !kept.is_lost {
                let detail = format!(
                    "somebody took the table `{}` from the sensor: the kernel goes on with what it \
                     holds, and it cannot be changed or read; restart the sensor",
                    kept.name
                );
                let (tampered, reason) = (Some("bpf_map"), "map_lost");
                found.push(Found { tampered, reason, detail, from });
            }
            kept.is_lost = is_lost;
        }
        found
    }

    /// Looks at the settings and at some entries of the tables, and writes what is not as it was
    /// written. Tables that are lost can be neither read nor written: that is told.
    fn rewrite(
        &mut self,
        (tables, settings): (&[MapHandle], &MapHandle),
        (image, place): (&Image, Place),
        now: Timestamp,
    ) -> Vec<Found> {
        if self.next == 0 {
            self.rounds = [now, self.rounds[0]];
        }
        let mut changed: Vec<Changed> = Vec::new();
        if !self.is_lost("settings") {
            let whole = image.settings(place);
            changed.extend(self.check(("settings", settings), &0_u32.to_ne_bytes(), &whole));
        }
        let all: usize = image.tables.iter().map(BTreeMap::len).sum();
        let entries =
            TABLES.iter().zip(tables).zip(&image.tables).flat_map(|((name, map), own)| {
                own.iter().map(move |(key, verdict)| (*name, map, key, verdict))
            });
        for (name, map, key, verdict) in entries.skip(self.next).take(CHECKED) {
            if self.is_lost(name) {
                continue;
            }
            let Some(one) = self.check((name, map), key, &verdict.bytes()) else { continue };
            match changed.last_mut().filter(|known| known.0 == name) {
                Some((_, count, known)) => {
                    *count += 1;
                    *known = std::mem::replace(known, Ok(())).and(one.2);
                }
                None => changed.push(one),
            }
        }
        self.next = if self.next + CHECKED < all { self.next + CHECKED } else { 0 };
        // Each entry was as it was written in the round before, at the earliest when that began.
        let from = self.rounds[1];
        let told = changed.into_iter().map(|(name, count, put)| {
            let what = format!("somebody changed {count} entries of the table `{name}`");
            let detail = match put {
                Ok(()) => format!("{what}; they are written again"),
                Err(error) => format!("{what}, and they cannot be written again: {error}"),
            };
            Found { tampered: Some("bpf_map"), reason: "list_changed", detail, from }
        });
        told.collect()
    }

    /// Looks at one entry, which is written where it is not `value`; `None` when there is nothing to
    /// tell of it.
    fn check(&mut self, (name, map): Named<'_>, key: &[u8], value: &[u8]) -> Option<Changed> {
        let put = put_right(map, key, value);
        let entry = (name, key.to_vec());
        match put {
            Some(Err(error)) => self.wrong.insert(entry).then_some((name, 1, Err(error))),
            None => {
                self.wrong.remove(&entry);
                None
            }
            Some(Ok(())) => {
                self.wrong.remove(&entry);
                Some((name, 1, Ok(())))
            }
        }
    }

    /// A new list was written, from `now` on.
    pub(super) fn written(&mut self, now: Timestamp) {
        (self.next, self.rounds) = (0, [now; 2]);
        self.wrong.clear();
    }
}

/// A table of which so many entries were not as they were written, and whether they are now.
type Changed = (&'static str, u64, Result<(), String>);

/// `None` when `map` holds `value` under `key`; else it is written, which may fail.
fn put_right(map: &MapHandle, key: &[u8], value: &[u8]) -> Option<Result<(), String>> {
    if map.lookup(key, MapFlags::ANY).ok().flatten().is_some_and(|held| held == value) {
        return None;
    }
    Some(map.update(key, value, MapFlags::ANY).map_err(|error| format!("{error:#}")))
}

fn id(map: &MapHandle) -> Option<u32> {
    map.info().ok().map(|info| info.info.id)
}

/// What is looked after, of one tier.
#[derive(Debug)]
pub(super) struct Watched {
    hooks: Vec<Hook>,
    tables: Tables,
    /// Where the hooks of control groups are attached.
    group: Option<Group>,
}

impl Watched {
    pub(super) fn new<'a>(
        hooks: Vec<Hook>,
        tables: impl Iterator<Item = Named<'a>>,
        group: Option<Group>,
        now: Timestamp,
    ) -> Self {
        Self { hooks, tables: Tables::new(tables, now), group }
    }

    /// How many hooks are attached.
    pub(super) fn attached(&self) -> usize {
        self.hooks.iter().filter(|hook| hook.is_attached()).count()
    }

    pub(super) fn written(&mut self, now: Timestamp) {
        self.tables.written(now);
    }

    /// Looks whether every hook is attached.
    pub(super) fn hooks(&mut self, object: &Object, now: Timestamp) -> Vec<Found> {
        let group = self.group.as_ref();
        self.hooks.iter_mut().filter_map(|hook| hook.mend(object, group, now)).collect()
    }

    /// Looks whether the tables are there and hold what was `written`, if that is known. `tables` as
    /// they were given at first.
    pub(super) fn tables<'a>(
        &mut self,
        tables: impl Iterator<Item = Named<'a>>,
        held: (&[MapHandle], &MapHandle),
        written: Option<(&Image, Place)>,
        now: Timestamp,
    ) -> Vec<Found> {
        let mut found = self.tables.missing(tables, now);
        if let Some(written) = written {
            found.extend(self.tables.rewrite(held, written, now));
        }
        found
    }

    /// What is not as it should be now.
    pub(super) fn off(&self) -> Vec<String> {
        let hooks = self.hooks.iter().filter(|hook| !hook.is_attached());
        let hooks = hooks.map(|hook| {
            let stays = hook.stays.iter().map(|stays| format!("; {stays}"));
            format!("{} is off: {}{}", hook.program, hook.why, stays.collect::<String>())
        });
        let lost = self.tables.kept.iter().filter(|kept| kept.is_lost);
        let lost = lost.map(|kept| format!("the table `{}` was taken away", kept.name));
        let wrong: BTreeSet<_> = self.tables.wrong.iter().map(|(name, _)| name).collect();
        let wrong = wrong.into_iter().map(|name| format!("the table `{name}` cannot be written"));
        hooks.chain(lost).chain(wrong).collect()
    }
}
