//! Artifacts on disk that wait for the server: `PLAN.bin`, and behind it `PLAN.json` with what the
//! server and the plan are told. Without its `.json` a `.bin` is half taken, and removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metsuke_event::Timestamp;
use metsuke_link::artifact::Offer;
use metsuke_link::client::Outbox;
use metsuke_link::limits::{ARTIFACT_META_MAX, ARTIFACT_NAME_MAX, ARTIFACT_RETRY};
use metsuke_respond::{Evidence, Outcome, PlanId, State, Verb};
use serde::{Deserialize, Serialize};

use crate::delegate::Shared;
use crate::plans::replace;
use crate::progress::end;

/// Most bytes of artifacts that wait: evidence never takes the spool's place.
const WAITING_BYTES_MAX: u64 = 4 << 30;
/// Bytes that stay free on the disk whatever is asked for.
const FREE_BYTES_MIN: u64 = 512 << 20;
/// How long an artifact waits for a server that does not take it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Largest description read, in bytes.
const NOTE_BYTES_MAX: u64 = 1 << 20;

/// One artifact that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    plan: PlanId,
    evidence: Evidence,
    meta: serde_json::Value,
    taken: Timestamp,
}

#[derive(Debug, Default)]
struct Held {
    waiting: BTreeMap<u128, Waiting>,
    /// Those that were not taken, and when they are offered again.
    later: BTreeMap<u128, Instant>,
}

/// The artifacts of a state folder.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    held: Mutex<Held>,
}

impl Store {
    /// Takes up what an earlier process left.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut held = Held::default();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let is_note = path.extension().is_some_and(|extension| extension == "json");
            let known = is_note.then(|| read(&path)).flatten();
            match known {
                Some(waiting) if path.with_extension("bin").exists() => {
                    held.waiting.insert(waiting.plan.as_u128(), waiting);
                }
                // Removed below when no note belongs to it.
                _ if !is_note => {}
                _ => fs::remove_file(&path)?,
            }
        }
        let store = Self { dir: dir.to_owned(), held: Mutex::new(held) };
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if !id.is_some_and(|id| store.holds(id)) {
                fs::remove_file(&path)?;
            }
        }
        Ok(store)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that is done under this lock leaves a value half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the artifact of `plan` waits.
    pub(crate) fn holds(&self, plan: PlanId) -> bool {
        self.held().waiting.contains_key(&plan.as_u128())
    }

    /// Throws away what no plan that runs asked for.
    pub(crate) fn keep_only(&self, plans: &[PlanId]) {
        let known: Vec<PlanId> = self.held().waiting.values().map(|one| one.plan).collect();
        for plan in known.into_iter().filter(|plan| !plans.contains(plan)) {
            drop(self.remove(plan));
        }
    }

    /// The folder, when there is room for what `verb` may bring.
    pub(crate) fn room(&self, verb: &Verb) -> Result<PathBuf, String> {
        let wanted = verb.artifact_bytes_max().unwrap_or(0);
        let waiting: u64 = self.held().waiting.values().map(|one| one.evidence.artifact.size).sum();
        if waiting + wanted > WAITING_BYTES_MAX {
            return Err(format!(
                "{waiting} bytes of evidence already wait for the server; let them arrive, or ask for less"
            ));
        }
        let free = metsuke_evidence::artifact::free_bytes(&self.dir).unwrap_or(u64::MAX);
        if free < wanted + FREE_BYTES_MIN {
            return Err(format!(
                "the endpoint's disk has {free} bytes free, this may bring {wanted} and {FREE_BYTES_MIN} stay free; make room, or ask for less"
            ));
        }
        Ok(self.dir.clone())
    }

    /// An artifact was taken.
    ///
    /// # Errors
    /// When that cannot be noted; it is thrown away then.
    pub(crate) fn add(
        &self,
        plan: PlanId,
        evidence: Evidence,
        meta: serde_json::Value,
        taken: Timestamp,
    ) -> io::Result<()> {
        let waiting = Waiting { plan, evidence, meta, taken };
        let noted = serde_json::to_vec(&waiting)
            .map_err(io::Error::from)
            .and_then(|text| replace(&self.path(plan, "json"), &text));
        if noted.is_err() {
            // The error that counts is the first.
            let _ = fs::remove_file(self.path(plan, "bin"));
        }
        noted?;
        self.held().waiting.insert(plan.as_u128(), waiting);
        Ok(())
    }

    /// Throws away what has waited too long.
    pub(crate) fn give_up_old(&self, now: Timestamp) -> Vec<(PlanId, Evidence)> {
        let kept = i64::try_from(KEPT.as_nanos()).unwrap_or(i64::MAX);
        let is_old = |one: &&Waiting| now.nanos_since(one.taken) > kept;
        let old: Vec<PlanId> =
            self.held().waiting.values().filter(is_old).map(|one| one.plan).collect();
        old.into_iter().filter_map(|plan| Some((plan, self.remove(plan)?))).collect()
    }

    fn remove(&self, plan: PlanId) -> Option<Evidence> {
        let gone = {
            let mut held = self.held();
            held.later.remove(&plan.as_u128());
            held.waiting.remove(&plan.as_u128())
        };
        // The note first: without it the rest is thrown away at the next start.
        for extension in ["json", "bin"] {
            if let Err(error) = fs::remove_file(self.path(plan, extension)) {
                tracing::warn!(%plan, %error, "evidence that is no longer needed stays on disk");
            }
        }
        gone.map(|one| one.evidence)
    }

    fn path(&self, plan: PlanId, extension: &str) -> PathBuf {
        self.dir.join(format!("{plan}.{extension}"))
    }

    fn offer(&self) -> Option<Offer> {
        let held = self.held();
        let now = Instant::now();
        let is_due =
            |one: &&Waiting| held.later.get(&one.plan.as_u128()).is_none_or(|later| *later <= now);
        let Waiting { plan, evidence, meta, taken } =
            held.waiting.values().filter(is_due).min_by_key(|one| one.taken)?;
        let artifact = &evidence.artifact;
        let mut meta = meta.to_string();
        if meta.len() > ARTIFACT_META_MAX {
            "{}".clone_into(&mut meta);
        }
        let mut name = artifact.name.clone();
        while name.len() > ARTIFACT_NAME_MAX {
            name.pop();
        }
        Some(Offer {
            plan: *plan,
            kind: artifact.kind.name().to_owned(),
            name,
            size: artifact.size,
            sha256: artifact.sha256.clone(),
            taken: *taken,
            meta,
        })
    }
}

fn read(path: &Path) -> Option<Waiting> {
    let facts = fs::metadata(path).ok().filter(|facts| facts.len() <= NOTE_BYTES_MAX);
    facts.and_then(|_| serde_json::from_slice(&fs::read(path).ok()?).ok())
}

/// What people read of a plan that is done.
fn detail(evidence: &Evidence) -> String {
    let Evidence { artifact, found_total, gaps_total, .. } = evidence;
    let kind = artifact.kind.name();
    format!("{kind}: {} bytes, {found_total} found, {gaps_total} gaps", artifact.size)
}

impl Outbox for Shared {
    fn next(&self) -> Option<Offer> {
        self.evidence.offer()
    }

    fn read(&self, plan: PlanId, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = fs::File::open(self.evidence.path(plan, "bin"))?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn stored(&self, plan: PlanId) {
        let held = self.evidence.held().waiting.get(&plan.as_u128()).cloned();
        if let Some(Waiting { evidence, .. }) = held {
            let outcome = Some(Outcome::Evidence(evidence.clone()));
            // The plan first: killed in between, the sensor throws the artifact away.
            end(self, plan, State::Done, detail(&evidence), outcome);
            drop(self.evidence.remove(plan));
        }
    }

    fn refused(&self, plan: PlanId, reason: &str, later: bool) {
        if later {
            self.evidence.held().later.insert(plan.as_u128(), Instant::now() + ARTIFACT_RETRY);
            return;
        }
        let detail = format!("it was taken, and the server does not keep it: {reason}");
        let outcome = self.evidence.remove(plan).map(Outcome::Evidence);
        end(self, plan, State::Failed, detail, outcome);
    }
}
