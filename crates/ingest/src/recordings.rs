//! Recordings of incidents: taken into history beside what is live, and detected on by an engine of
//! their own.
//!
//! Invariant: an event of a recording is (endpoint of recording and host, boot, seq), so that what is
//! sent twice is stored once. Who sends it makes the boot of the file's content and counts in it.
//! Invariant: what is recorded never reaches the live engine, and what is live never this one.
//! Detection runs in slices that whoever asked calls for, so nothing runs on when nobody waits; what
//! it found is stored as it goes, and storing it again changes nothing.

mod play;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError, RecordingRecord};
use metsuke_detect::Engine;
use metsuke_event::finding::Level;
use metsuke_event::{BootId, EndpointId, Event, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::store::{Store, StoreError};
use play::Playing;
pub use play::Slice;

/// Hosts of one recording.
const MAX_HOSTS: usize = 10_000;
/// Events of one recording: as many as a back-test reads. An incident that has more is brought in by
/// hosts or days.
const MAX_EVENTS: u64 = 20_000_000;
/// How many are detected on at once: each holds an engine, and up to 100 000 events.
const MAX_PLAYING: usize = 2;
/// Longest host name kept.
const HOST_BYTES: usize = 253;

/// Why a recording was not taken or not detected on.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// There is none of that name.
    #[error("there is no recording of that name; open it first")]
    Unknown,
    /// An event cannot be one of a recording.
    #[error("{0}")]
    Invalid(String),
    /// As many as can be are being detected on.
    #[error("{MAX_PLAYING} others are being detected on; try again when one of them is done")]
    Busy,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog did not do it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The engine, or whoever took the events, broke down.
    #[error("a part of the server broke down; please report it, with the server's log")]
    Broken(#[from] tokio::task::JoinError),
    /// The report cannot be written.
    #[error("the report cannot be written")]
    Report(#[from] serde_json::Error),
}

/// What became of events that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Stored.
    pub taken: u64,
    /// There already.
    pub known: u64,
}

/// How long detection goes on for, and how long it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long one call detects: well below what a client waits for an answer.
    pub slice: Duration,
    /// After how long without a call what was begun makes room for another. Longer than the calls of
    /// all the others take together, for those wait for one another.
    pub left: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { slice: Duration::from_secs(20), left: Duration::from_secs(120) }
    }
}

/// Makes engines with the server's content.
pub type Engines = Arc<dyn Fn() -> Engine + Send + Sync>;

type Marks = HashMap<(EndpointId, BootId), u64>;

/// The door for recordings. Cheap to clone.
#[derive(Clone)]
pub struct Recordings {
    shared: Arc<Shared>,
    /// What goes on when whoever asked for it no longer waits.
    tasks: TaskTracker,
}

struct Shared {
    store: Arc<dyn Store>,
    catalog: Catalog,
    engines: Engines,
    pace: Pace,
    /// The last number stored of each boot; read from the store at first.
    marks: Mutex<Option<Marks>>,
    /// What is being detected on, with when it was asked for last: at most `MAX_PLAYING`.
    playing: Mutex<Vec<(Instant, Playing)>>,
}

impl std::fmt::Debug for Recordings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recordings").finish_non_exhaustive()
    }
}

impl Recordings {
    /// The door to `store`; `engines` has the content of now.
    pub fn new(store: Arc<dyn Store>, catalog: Catalog, engines: Engines) -> Self {
        Self::with_pace(store, catalog, engines, Pace::default())
    }

    /// The same, at a pace of its own.
    pub fn with_pace(
        store: Arc<dyn Store>,
        catalog: Catalog,
        engines: Engines,
        pace: Pace,
    ) -> Self {
        let (marks, playing) = (Mutex::new(None), Mutex::default());
        let shared = Arc::new(Shared { store, catalog, engines, pace, marks, playing });
        Self { shared, tasks: TaskTracker::new() }
    }

    /// Ends when what goes on without its client has ended; nothing more is begun.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Takes events of the recording `name`, brought by `actor`: each with its host, the boot and the
    /// number that its sender gave it. Those that are there already are passed over. It goes on to its
    /// end when the caller goes away.
    ///
    /// # Errors
    /// When there is no such recording, it would have too many events or hosts, an event has no boot,
    /// numbers do not grow, or the store fails. What was stored before stays; all may be sent again.
    pub async fn take(
        &self,
        name: &str,
        actor: &str,
        events: Vec<Event>,
    ) -> Result<Taken, RecordingError> {
        let (shared, name, actor) = (Arc::clone(&self.shared), name.to_owned(), actor.to_owned());
        self.tasks.spawn(async move { shared.take(&name, &actor, events).await }).await?
    }

    /// Takes the recording `name` out, with its hosts and what was found on them. Its events stay
    /// stored: opened again by its name, it has them.
    ///
    /// # Errors
    /// When there is no such recording, or the catalog fails.
    pub async fn remove(&self, name: &str, actor: &str) -> Result<(), RecordingError> {
        let (shared, name, actor) = (Arc::clone(&self.shared), name.to_owned(), actor.to_owned());
        self.tasks.spawn(async move { shared.remove(&name, &actor).await }).await?
    }

    /// Detects on `name` for a while, from where the call before ended; the last call gives the
    /// report. `stop_at`: what if what is of this level and above ended its process.
    ///
    /// # Errors
    /// When there is no such recording, too many others are being detected on, or store, catalog or
    /// engine fail; after a failure the next call begins anew.
    pub async fn detect(
        &self,
        name: &str,
        actor: &str,
        stop_at: Option<Level>,
    ) -> Result<Slice, RecordingError> {
        let mut held = self.shared.playing.lock().await;
        let found = held.iter().position(|(_, playing)| playing.is_of(name, stop_at));
        let mut playing = if let Some(place) = found {
            held.swap_remove(place).1
        } else {
            held.retain(|(asked, _)| asked.elapsed() < self.shared.pace.left);
            if held.len() >= MAX_PLAYING {
                return Err(RecordingError::Busy);
            }
            let recording =
                self.shared.catalog.recording(name).await?.ok_or(RecordingError::Unknown)?;
            Playing::new(&recording, self.shared.store.as_ref(), (self.shared.engines)(), stop_at)
        };
        let done = playing
            .play(self.shared.store.as_ref(), &self.shared.catalog, self.shared.pace.slice)
            .await?;
        if !done {
            let slice = playing.slice(None);
            held.push((Instant::now(), playing));
            return Ok(slice);
        }
        let (slice, report) = playing.finish(name)?;
        self.shared.catalog.finish_recording(now(), actor, name, &report).await?;
        Ok(slice)
    }
}

impl Shared {
    async fn remove(&self, name: &str, actor: &str) -> Result<(), RecordingError> {
        // Nothing is taken or detected on meanwhile.
        let _marks = self.marks.lock().await;
        let mut playing = self.playing.lock().await;
        playing.retain(|(_, playing)| playing.name() != name);
        match self.catalog.remove_recording(now(), actor, name).await {
            Err(CatalogError::NotFound(_)) => Err(RecordingError::Unknown),
            other => Ok(other?),
        }
    }

    async fn take(
        &self,
        name: &str,
        actor: &str,
        events: Vec<Event>,
    ) -> Result<Taken, RecordingError> {
        let mut held = self.marks.lock().await;
        let recording = self.catalog.recording(name).await?.ok_or(RecordingError::Unknown)?;
        let marks = held.get_or_insert_with(|| self.store.high_water());
        let received = now();
        let sorted = Sorted::of(&recording, events, (marks, received))?;
        if recording.events + sorted.taken.taken > MAX_EVENTS {
            return Err(RecordingError::Invalid(format!(
                "a recording has at most {MAX_EVENTS} events; bring the rest in as another, by hosts \
                 or days"
            )));
        }
        if !sorted.new_hosts.is_empty() {
            self.catalog.add_recorded_hosts(received, name, &sorted.new_hosts).await?;
        }
        let mut stored = 0;
        let mut failed = Ok(());
        for (boot, events) in sorted.boots {
            let (count, last) = (events.len() as u64, events.last().map(|event| event.id.seq));
            failed = self.store.append(events).await;
            if failed.is_err() {
                break;
            }
            marks.insert(boot, last.unwrap_or_default());
            stored += count;
        }
        if stored > 0 {
            self.catalog.count_recorded(received, actor, name, stored).await?;
            // What is being detected on is no longer the whole.
            self.playing.lock().await.retain(|(_, playing)| playing.name() != name);
        }
        failed?;
        Ok(sorted.taken)
    }
}

/// Events of a recording that are to be stored, by boot.
struct Sorted {
    new_hosts: Vec<(EndpointId, String)>,
    boots: BTreeMap<(EndpointId, BootId), Vec<Event>>,
    taken: Taken,
}

impl Sorted {
    fn of(
        recording: &RecordingRecord,
        events: Vec<Event>,
        (marks, received): (&Marks, Timestamp),
    ) -> Result<Self, RecordingError> {
        let mut hosts: HashSet<EndpointId> = recording.hosts.keys().copied().collect();
        let mut new_hosts: Vec<(EndpointId, String)> = Vec::new();
        let mut boots: BTreeMap<(EndpointId, BootId), Vec<Event>> = BTreeMap::new();
        let mut taken = Taken::default();
        for mut event in events {
            let host = host_of(&event);
            let endpoint = endpoint_of(&recording.name, &host);
            if hosts.insert(endpoint) {
                new_hosts.push((endpoint, host));
            }
            if event.id.boot == BootId::default() || event.id.seq == 0 {
                return Err(RecordingError::Invalid("an event has no boot or no number".into()));
            }
            event.id.tenant = TenantId::default();
            event.id.endpoint = endpoint;
            event.received = Some(received);
            let boot = (endpoint, event.id.boot);
            if event.id.seq <= marks.get(&boot).copied().unwrap_or_default() {
                taken.known += 1;
                continue;
            }
            let of_boot = boots.entry(boot).or_default();
            if of_boot.last().is_some_and(|last| last.id.seq >= event.id.seq) {
                return Err(RecordingError::Invalid(format!(
                    "the numbers of a boot do not grow (at {})",
                    event.id.seq
                )));
            }
            of_boot.push(event);
            taken.taken += 1;
        }
        if hosts.len() > MAX_HOSTS {
            let reason = format!("a recording has at most {MAX_HOSTS} hosts");
            return Err(RecordingError::Invalid(reason));
        }
        Ok(Self { new_hosts, boots, taken })
    }
}

/// The host that an event names, as an endpoint is called.
fn host_of(event: &Event) -> String {
    let host = event.host.as_deref().unwrap_or_default().trim();
    let host = if host.is_empty() { "unknown" } else { host };
    host[..host.floor_char_boundary(HOST_BYTES)].to_owned()
}

/// The endpoint of a host in a recording.
fn endpoint_of(name: &str, host: &str) -> EndpointId {
    let mut hash = Sha256::new();
    for part in ["recording", name, &host.to_ascii_lowercase()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let id = digest.iter().take(16).fold(0_u128, |id, byte| id << 8 | u128::from(*byte));
    EndpointId::from_u128(id)
}
