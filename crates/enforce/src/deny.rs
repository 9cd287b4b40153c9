//! The deny list in force: in the kernel by BPF LSM (tier 1), else by killing and control groups
//! (tier 2).
//!
//! Invariant: outside the scope, and when anything is not known, nothing is denied. When the guard
//! is dropped, or its process ends, the hooks are gone with it.
//!
//! Leaves hashing in user mode to who calls [`Guard::learn`] or holds a [`Learner`].

mod image;
mod learn;
mod list;
mod load;
mod own;
mod record;
mod watch;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, RingBuffer, RingBufferBuilder};
use metsuke_event::Timestamp;
use metsuke_event::coverage::{HookTrial, Tier};

pub use learn::{Learned, Learner};
pub(crate) use list::hex;
pub use list::{
    DenyList, ENTRIES_MAX, Entry, EntryError, MODULE_NAME_MAX, Mode, Operations, PATH_MAX, Subject,
};
pub use own::Own;
pub use record::{Decision, Disposition};
pub use watch::Found;

use crate::scope::{self, EnforceScope};
use image::{Image, Place};
use load::Attached;
use record::RECORD_BYTES;

/// Decisions that wait to be taken at most; the kernel's queue holds some 600, so this is more
/// than one look brings.
const WAITING_MAX: usize = 4_096;

/// Why a list could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// A table refused an entry.
    #[error(
        "the kernel's tables refused the list: {0}; the entries before that are in force, so make \
         the list shorter and apply it again"
    )]
    Table(String),
    /// Nothing to put it in force with.
    #[error("no hook that could deny works here; `metsuke-sensor probe` tells each one's reason")]
    NoHook,
}

/// Something the list asks for that cannot be had here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Stable code, for translation.
    pub code: &'static str,
    /// What stays possible.
    pub operations: Operations,
    /// Why, and what would close it.
    pub reason: &'static str,
}

/// What is counted, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions that were carried out and could not be told for want of room.
    pub lost: u64,
    /// Files beyond the size that the kernel is asked to hash, each time.
    pub too_large: u64,
    /// Files that the kernel could not hash, each time.
    pub not_hashed: u64,
}

/// The list in force.
#[derive(Debug)]
pub struct Guard {
    attached: Option<Attached>,
    place: Place,
    image: Image,
    list: DenyList,
    generation: u16,
    held: Held,
    ring: Option<RingBuffer<'static>>,
    waiting: Arc<Mutex<Waiting>>,
    trials: Vec<HookTrial>,
    hashes: bool,
    learner: Option<Learner>,
}

/// What the kernel's tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// No list was given.
    Nothing,
    /// The image.
    Whole,
    /// Writing broke off: nobody knows.
    Part,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<[u8; RECORD_BYTES]>,
    shed: u64,
}

impl Guard {
    /// Tries the tiers from `best` on and attaches the first that works; denies nothing yet.
    pub fn attach(scope: &EnforceScope, best: Tier) -> Self {
        let (place, group) = place(scope);
        let mut trials = Vec::new();
        let mut attached = None;
        for tier in [Tier::Lsm, Tier::Tracing] {
            if attached.is_none() && best <= tier {
                let (found, tried) = load::attach(tier, group.as_ref());
                attached = found;
                trials.extend(tried);
            }
        }
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let learner =
            attached.as_ref().map(|attached| Learner::new(Arc::clone(&attached.contents)));
        let ring = attached.as_ref().and_then(|attached| listen(attached, &waiting));
        Self {
            attached,
            place,
            image: Image::default(),
            list: DenyList::default(),
            generation: 0,
            held: Held::Nothing,
            ring,
            waiting,
            trials,
            hashes: kernel_hashes(),
            learner,
        }
    }

    /// The tier in force: LSM, tracing, or none.
    pub fn tier(&self) -> Option<Tier> {
        self.attached.as_ref().map(|attached| attached.tier)
    }

    /// Each hook tried, and how it ended.
    pub fn trials(&self) -> &[HookTrial] {
        &self.trials
    }

    /// How many hooks are attached.
    pub fn hooks(&self) -> usize {
        self.attached.as_ref().map_or(0, Attached::hooks)
    }

    /// Puts `list` in force in place of the one before; each entry at once, the list not.
    ///
    /// # Errors
    /// When nothing can deny here, or a table is full.
    pub fn apply(&mut self, list: DenyList) -> Result<Vec<Gap>, GuardError> {
        let attached = self.attached.as_mut().ok_or(GuardError::NoHook)?;
        // A record that still names an entry of the old list is told from those of the new one.
        let generation = self.generation.wrapping_add(1);
        let image = Image::new(&list, generation);
        let began = watch::now();
        if let Err(why) = attached.change(&self.image, &image, self.place) {
            self.image.doubt(&image);
            self.held = Held::Part;
            return Err(GuardError::Table(why));
        }
        attached.written(began);
        self.held = Held::Whole;
        if let Some(learner) = &self.learner {
            learner.want(&list);
        }
        self.image = image;
        self.list = list;
        self.generation = generation;
        Ok(self.gaps())
    }

    /// Spares the sensor's own processes from every list. Until this is said only this process is.
    ///
    /// # Errors
    /// When the kernel refuses; then the list that is in force stays as it is.
    pub fn spare(&mut self, own: Own) -> Result<(), GuardError> {
        own.put(&mut self.place);
        let Some(attached) = &self.attached else { return Ok(()) };
        let settled = attached.settle(&self.image, self.place);
        if settled.is_err() && self.held == Held::Whole {
            self.held = Held::Part;
        }
        settled.map_err(GuardError::Table)
    }

    /// Tells the kernel what a file holds, whatever the list asks about.
    pub fn learn(&self, file: &Learned) {
        if let Some(learner) = &self.learner {
            learner.tell(file);
        }
    }

    /// For those who read files anyway; `None` when nothing can be denied here.
    pub fn learner(&self) -> Option<Learner> {
        self.learner.clone()
    }

    /// What the list asks for and does not get here.
    pub fn gaps(&self) -> Vec<Gap> {
        let asked = self.list.operations();
        let by_content = self.list.entries().iter().any(|entry| {
            matches!(entry.subject, Subject::Sha256(_)) && entry.operations != Operations::OPEN
        });
        let mut gaps = Vec::new();
        let mut gap = |code, operations: Operations, reason| {
            let operations = asked.within(operations);
            if !operations.is_empty() {
                gaps.push(Gap { code, operations, reason });
            }
        };
        if self.tier() != Some(Tier::Lsm) {
            let beyond = Operations::OPEN
                .and(Operations::MAP)
                .and(Operations::MODULE_LOAD)
                .and(Operations::PTRACE)
                .and(Operations::BPF_LOAD);
            gap("needs_lsm", beyond, "only BPF LSM (tier 1) denies these");
            gap(
                "killed_not_denied",
                Operations::EXEC,
                "the process is ended before its first instruction, but the execution is not refused",
            );
            gap(
                "actors",
                Operations::CONNECT,
                "destinations are denied to all of the scope, not to one program",
            );
        }
        let hashes = self.hashes && self.tier() == Some(Tier::Lsm);
        if by_content && !hashes {
            let files = Operations::EXEC.and(Operations::MAP).and(Operations::MODULE_LOAD);
            gap(
                "first_use_of_unseen_copy",
                files,
                "this kernel does not hash (IMA): a copy is known once it was hashed after it was \
                 written; where that matters, watch the mount by fanotify",
            );
        }
        if by_content {
            gap(
                "open_of_unseen_copy",
                Operations::OPEN,
                "a file is refused by content when it was hashed before: executed, mapped, changed \
                 or found by the inventory while this ran; mounts that are gated are asked about \
                 at each opening",
            );
            gap(
                "made_executable_by_its_writer",
                Operations::MAP,
                "what is mapped from a file that the mapper may write, and made executable later, \
                 is met when the file was hashed before, or by an entry for unknown copies",
            );
            gap(
                "compressed_modules",
                Operations::MODULE_LOAD,
                "a module that the kernel decompresses is known by the hash of the file as it is \
                 stored",
            );
        }
        gaps
    }

    /// Waits for decisions, at most `longest`, and takes what there is.
    pub fn take(&mut self, longest: Duration) -> Vec<Decision> {
        let Some(ring) = &self.ring else {
            std::thread::sleep(longest);
            return Vec::new();
        };
        if let Err(error) = ring.poll(longest) {
            // A signal only ends the wait early.
            tracing::debug!(%error, "waiting for decisions");
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let records = std::mem::take(&mut waiting.records);
        drop(waiting);
        let parse = |bytes| record::parse(bytes, self.list.entries(), self.generation);
        records.iter().filter_map(|bytes| parse(bytes)).collect()
    }

    /// Looks after the sensor's own objects in the kernel: hooks that somebody took away are attached
    /// again, entries that somebody changed are written again when their turn comes: 256 a look. To be
    /// called about once a second; each time costs some hundred small calls at most.
    pub fn look(&mut self, now: Timestamp) -> Vec<Found> {
        let Some(attached) = &mut self.attached else { return Vec::new() };
        let written = (self.held == Held::Whole).then_some((&self.image, self.place));
        attached.look(written, now)
    }

    /// Hooks that are not attached now, and tables that are not as they should be, each with why.
    pub fn off(&self) -> Vec<String> {
        let mut off = self.attached.as_ref().map(Attached::off).unwrap_or_default();
        // Nor are the tables looked at then.
        off.extend((self.held == Held::Part).then(|| "the list was not written whole".to_owned()));
        off
    }

    /// What is counted.
    pub fn counts(&self) -> Counts {
        let shed = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).shed;
        let Some(attached) = &self.attached else { return Counts::default() };
        let count = |which: u32| {
            let each = attached.counts.lookup_percpu(&which.to_ne_bytes(), MapFlags::ANY);
            let each = each.ok().flatten().unwrap_or_default();
            each.iter()
                .filter_map(|value| value.first_chunk())
                .map(|v| u64::from_ne_bytes(*v))
                .sum()
        };
        let lost: u64 = count(0);
        Counts { lost: lost + shed, too_large: count(1), not_hashed: count(2) }
    }
}

fn place(scope: &EnforceScope) -> (Place, Option<PathBuf>) {
    let own_pid = std::process::id();
    let root = scope::hierarchy();
    let Some(folder) = scope.directory() else {
        return (Place { own_pid, ..Place::default() }, root);
    };
    let group = fs::metadata(folder).map_or(0, |meta| meta.ino());
    let below = root.as_ref().and_then(|root| folder.strip_prefix(root).ok());
    let level = below.map_or(0, |path| path.components().count());
    // A group that cannot be placed must not become the whole host: no group has this number.
    let (group, level) = match u32::try_from(level) {
        Ok(level) if level > 0 && group > 0 => (group, level),
        _ => (u64::MAX, 1),
    };
    (Place { group, level, own_pid, ..Place::default() }, Some(folder.to_owned()))
}

fn listen(attached: &Attached, waiting: &Arc<Mutex<Waiting>>) -> Option<RingBuffer<'static>> {
    let waiting = Arc::clone(waiting);
    let mut builder = RingBufferBuilder::new();
    let added = builder.add(&attached.denials, move |record: &[u8]| {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match record.first_chunk() {
            Some(bytes) if waiting.records.len() < WAITING_MAX => waiting.records.push(*bytes),
            _ => waiting.shed += 1,
        }
        0
    });
    added
        .map(|_| ())
        .and_then(|()| builder.build())
        .inspect_err(|error| tracing::error!(%error, "decisions cannot be told"))
        .ok()
}

/// Whether the kernel can hash files: IMA is in it. Where the file system that tells is not
/// mounted it is taken to be so; what is not hashed then is counted.
fn kernel_hashes() -> bool {
    let security = std::path::Path::new("/sys/kernel/security");
    security.join("ima").exists() || !security.join("lsm").exists()
}
