//! Looks after what denies, of either tier: whether the kernel still has each hook, each table, and in
//! it the list as it was written.
//!
//! Whoever may use BPF can detach the hooks of control groups, replace their programs, and change any
//! table by its id; who reaches into this process can take a descriptor, and with it any hook. What
//! is added to a table, and what programs see of the kernel, is not looked at.
//!
//! Invariant: what is found is mended at once where it can be, and told, mended or not, once.

use std::os::fd::AsFd;
use std::path::PathBuf;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object};
use metsuke_event::Timestamp;

use super::image::{Image, Place, TABLES};
use super::load::attach_one;

/// Entries of the tables looked at in one look: a fraction of a millisecond, and once a second the
/// longest list has its turn within two minutes.
const CHECKED: usize = 256;

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
    well: Option<Timestamp>,
    /// Why it is off, while it is.
    why: String,
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
    /// `program`, attached to `place` by `link`.
    pub(super) fn new(program: &'static str, place: &'static str, link: Link) -> Self {
        let ids = ids(&link);
        Self { program, place, link: Some(link), ids, well: None, why: String::new() }
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
    fn mend(&mut self, object: &Object, group: Option<&PathBuf>, now: Timestamp) -> Option<Found> {
        let from = self.well.unwrap_or(now);
        let was_off = match &self.link {
            Some(link) => match self.bond(link) {
                Bond::Whole => {
                    self.well = Some(now);
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
        match attach_one(object, self.program, self.place, group) {
            Ok(link) => {
                self.ids = ids(&link);
                (self.link, self.well) = (Some(link), Some(now));
                if was_off {
                    return found(None, "hook_on", format!("{name} is attached again"));
                }
                let detail = format!("somebody took {name} away; it is attached again");
                found(Some("bpf_link"), "hook_detached", detail)
            }
            // Told when it went off.
            Err(error) if was_off => {
                self.why = format!("it cannot be attached: {error}");
                None
            }
            Err(_) if group.is_some_and(|group| !group.exists()) => {
                "its control group is gone".clone_into(&mut self.why);
                found(None, "hook_off", format!("{name} is off: its control group is gone"))
            }
            Err(error) => {
                self.why = format!("somebody took it away, and it cannot be attached: {error}");
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
    well: Option<Timestamp>,
    /// The entry that is looked at next; when this round through all of them began, and the one before.
    next: usize,
    rounds: [Option<Timestamp>; 2],
    /// Tables that hold what was not written, and cannot be written.
    wrong: Vec<&'static str>,
}

/// A table with its name.
pub(super) type Named<'a> = (&'static str, &'a MapHandle);

impl Tables {
    /// These are the tables, as they were made.
    pub(super) fn new<'a>(tables: impl Iterator<Item = Named<'a>>) -> Self {
        let kept = tables.map(|(name, map)| Kept { name, id: id(map), is_lost: false });
        Self { kept: kept.collect(), well: None, next: 0, rounds: [None; 2], wrong: Vec::new() }
    }

    /// Whether each descriptor still leads to the kernel's table; given in the same order.
    fn missing<'a>(
        &mut self,
        tables: impl Iterator<Item = Named<'a>>,
        now: Timestamp,
    ) -> Vec<Found> {
        let from = self.well.replace(now).unwrap_or(now);
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
    /// written.
    fn rewrite(
        &mut self,
        (tables, settings): (&[MapHandle], &MapHandle),
        (image, place): (&Image, Place),
        now: Timestamp,
    ) -> Vec<Found> {
        if self.next == 0 {
            self.rounds = [Some(now), self.rounds[0]];
        }
        let mut changed: Vec<(&'static str, u64, Result<(), String>)> = Vec::new();
        let whole = image.settings(place);
        if let Some(put) = put_right(settings, &0_u32.to_ne_bytes(), &whole) {
            changed.push(("settings", 1, put));
        }
        let all: usize = image.tables.iter().map(std::collections::BTreeMap::len).sum();
        let entries =
            TABLES.iter().zip(tables).zip(&image.tables).flat_map(|((name, map), own)| {
                own.iter().map(move |(key, verdict)| (*name, map, key, verdict))
            });
        for (name, map, key, verdict) in entries.skip(self.next).take(CHECKED) {
            let Some(put) = put_right(map, key, &verdict.bytes()) else { continue };
            match changed.last_mut().filter(|known| known.0 == name) {
                Some((_, count, known)) => {
                    *count += 1;
                    *known = std::mem::replace(known, Ok(())).and(put);
                }
                None => changed.push((name, 1, put)),
            }
        }
        self.next = if self.next + CHECKED < all { self.next + CHECKED } else { 0 };
        // Each entry was as it was written in the round before, at the earliest when that began.
        let from = self.rounds[1].unwrap_or(now);
        let mut found = Vec::new();
        for (name, count, put) in changed {
            let what = format!("somebody changed {count} entries of the table `{name}`");
            let detail = match put {
                Ok(()) => {
                    self.wrong.retain(|known| *known != name);
                    format!("{what}; they are written again")
                }
                Err(_) if self.wrong.contains(&name) => continue,
                Err(error) => {
                    self.wrong.push(name);
                    format!("{what}, and they cannot be written again: {error}")
                }
            };
            let (tampered, reason) = (Some("bpf_map"), "list_changed");
            found.push(Found { tampered, reason, detail, from });
        }
        found
    }

    /// A new list was written.
    pub(super) fn written(&mut self) {
        (self.next, self.rounds) = (0, [None; 2]);
        self.wrong.clear();
    }
}

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
    group: Option<PathBuf>,
}

impl Watched {
    pub(super) fn new<'a>(
        hooks: Vec<Hook>,
        tables: impl Iterator<Item = Named<'a>>,
        group: Option<PathBuf>,
    ) -> Self {
        Self { hooks, tables: Tables::new(tables), group }
    }

    /// How many hooks are attached.
    pub(super) fn attached(&self) -> usize {
        self.hooks.iter().filter(|hook| hook.is_attached()).count()
    }

    pub(super) fn written(&mut self) {
        self.tables.written();
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
        // A table that is lost cannot be read: that is told.
        if let Some(written) = written.filter(|_| !self.tables.kept.iter().any(|one| one.is_lost)) {
            found.extend(self.tables.rewrite(held, written, now));
        }
        found
    }

    /// What is not as it should be now.
    pub(super) fn off(&self) -> Vec<String> {
        let hooks = self.hooks.iter().filter(|hook| !hook.is_attached());
        let hooks = hooks.map(|hook| format!("{} is off: {}", hook.program, hook.why));
        let lost = self.tables.kept.iter().filter(|kept| kept.is_lost);
        let lost = lost.map(|kept| format!("the table `{}` was taken away", kept.name));
        let wrong = &self.tables.wrong;
        let wrong = wrong.iter().map(|name| format!("the table `{name}` cannot be written"));
        hooks.chain(lost).chain(wrong).collect()
    }
}
