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

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError};
use metsuke_detect::Engine;
use metsuke_event::finding::Level;
use metsuke_event::{BootId, EndpointId, Event, TenantId};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::store::{Store, StoreError};
use play::Playing;
pub use play::Slice;

/// Hosts of one recording.
const MAX_HOSTS: usize = 10_000;
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
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog did not do it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The engine broke down.
    #[error("the detection engine failed")]
    Engine(#[from] tokio::task::JoinError),
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

/// Makes engines with the server's content.
pub type Engines = Arc<dyn Fn() -> Engine + Send + Sync>;

type Marks = HashMap<(EndpointId, BootId), u64>;

/// The door for recordings.
pub struct Recordings {
    store: Arc<dyn Store>,
    catalog: Catalog,
    engines: Engines,
    /// The last number stored of each boot; read from the store at first.
    marks: Mutex<Option<Marks>>,
    playing: Mutex<Option<Playing>>,
}

impl std::fmt::Debug for Recordings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recordings").finish_non_exhaustive()
    }
}

impl Recordings {
    /// The door to `store`; `engines` has the content of now.
    pub fn new(store: Arc<dyn Store>, catalog: Catalog, engines: Engines) -> Self {
        Self { store, catalog, engines, marks: Mutex::new(None), playing: Mutex::new(None) }
    }

    /// Takes events of the recording `name`: each with its host, the boot and the number that its
    /// sender gave it. Those that are there already are passed over.
    ///
    /// # Errors
    /// When there is no such recording, an event has no boot, numbers do not grow, or the store fails.
    /// What was stored before stays; all may be sent again.
    pub async fn take(&self, name: &str, events: Vec<Event>) -> Result<Taken, RecordingError> {
        let recording = self.catalog.recording(name).await?.ok_or(RecordingError::Unknown)?;
        let mut held = self.marks.lock().await;
        let marks = held.get_or_insert_with(|| self.store.high_water());
        let mut hosts: HashSet<EndpointId> = recording.hosts.into_keys().collect();
        let mut new_hosts: Vec<(EndpointId, String)> = Vec::new();
        let mut boots: BTreeMap<(EndpointId, BootId), Vec<Event>> = BTreeMap::new();
        let (received, mut taken) = (now(), Taken::default());
        for mut event in events {
            let host = host_of(&event);
            let endpoint = endpoint_of(name, &host);
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
        }
        if hosts.len() > MAX_HOSTS {
            let reason = format!("a recording has at most {MAX_HOSTS} hosts");
            return Err(RecordingError::Invalid(reason));
        }
        if !new_hosts.is_empty() {
            self.catalog.add_recorded_hosts(received, name, &new_hosts).await?;
        }
        for (boot, events) in boots {
            let (count, last) = (events.len() as u64, events.last().map(|event| event.id.seq));
            self.store.append(events).await?;
            marks.insert(boot, last.unwrap_or_default());
            taken.taken += count;
        }
        if taken.taken > 0 {
            self.catalog.count_recorded(name, taken.taken).await?;
            // What is being detected on is no longer the whole.
            *self.playing.lock().await = None;
        }
        Ok(taken)
    }

    /// Detects on `name` for a while, from where the call before ended; the last call gives the
    /// report. `stop_at`: what if what is of this level and above ended its process.
    ///
    /// # Errors
    /// When there is no such recording, or store, catalog or engine fail; the next call begins anew.
    pub async fn detect(
        &self,
        name: &str,
        actor: &str,
        stop_at: Option<Level>,
    ) -> Result<Slice, RecordingError> {
        let mut held = self.playing.lock().await;
        let fits = |playing: &Playing| playing.is_of(name, stop_at);
        let mut playing = if let Some(playing) = held.take().filter(fits) {
            playing
        } else {
            let recording = self.catalog.recording(name).await?.ok_or(RecordingError::Unknown)?;
            Playing::new(&recording, self.store.as_ref(), (self.engines)(), stop_at)
        };
        let done = playing.play(self.store.as_ref(), &self.catalog).await?;
        if !done {
            let slice = playing.slice(None);
            *held = Some(playing);
            return Ok(slice);
        }
        let (slice, report) = playing.finish(name)?;
        self.catalog.finish_recording(now(), actor, name, &report).await?;
        Ok(slice)
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
