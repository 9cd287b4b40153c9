//! A sensor without a probe: activities made up in volume, sent through the real spool and the
//! real link, with an identity of its own. It keeps the identities of everything it made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use metsuke_event::id::PlanId;
use metsuke_event::{BootId, Event, Kind, Timestamp};
use metsuke_link::client::{Backoff, Client, Delegate, LinkState, RefusedBatch};
use metsuke_link::codec;
use metsuke_link::enrol::enrol;
use metsuke_link::identity::Identity;
use metsuke_link::message::{Downstream, EnrolFacts, Heartbeat, Hello, PackVersions, PlanUpdate};
use metsuke_link::spool::{Sequence, SharedSpool, Spool, SpoolConfig};
use metsuke_testkit::builders::ProcessBuilder;
use metsuke_testkit::{Api, Server};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Activities in one batch, as an ordinary sensor sends under load.
const BATCH: usize = 500;
/// Activities asked for at once when comparing; a page holds 1,000.
const PIECE: usize = 900;

/// The producer.
pub struct Synthetic {
    runtime: Runtime,
    stop: CancellationToken,
    spool: SharedSpool,
    sequence: Sequence,
    process: ProcessBuilder,
    behind: i64,
    identity: Identity,
    times: Vec<Timestamp>,
    /// Identities of everything that was made, as the API writes them.
    pub produced: BTreeSet<String>,
    refused: Arc<Mutex<Vec<RefusedBatch>>>,
}

impl std::fmt::Debug for Synthetic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Synthetic").field("produced", &self.produced.len()).finish_non_exhaustive()
    }
}

impl Synthetic {
    /// Enrols with `server`, keeps its state in `folder`, and connects.
    ///
    /// # Errors
    /// When the server refuses, or the folder cannot be used.
    pub fn start(server: &Server, folder: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("starting a runtime")?;
        let ready = server.ready().clone();
        let token = server.enrolment_token()?;
        let facts = EnrolFacts { host: "synthetic".into(), ..EnrolFacts::default() };
        let enrolment = enrol(&ready.link_addr, &token, &ready.ca_fingerprint, facts);
        let identity = runtime.block_on(enrolment)?;
        let boot = BootId::from_u128(0x5e1f);
        let spool = SharedSpool::new(Spool::open(SpoolConfig::new(folder.join("spool")))?);
        let sequence = Sequence::open(folder, boot)?;
        let refused = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let client = Client {
            identity: identity.clone(),
            backoff: Backoff { max: Duration::from_secs(1), ..Backoff::default() },
            plan_news: Arc::new(Notify::new()),
        };
        let delegate = Arc::new(Quiet { boot, refused: Arc::clone(&refused) });
        let (session_spool, session_stop) = (spool.clone(), stop.clone());
        runtime.spawn(async move { client.run(session_spool, delegate, session_stop).await });
        let process = ProcessBuilder::new(4_000, "/usr/bin/synthetic").on(identity.endpoint);
        let (produced, times) = (BTreeSet::new(), Vec::new());
        let behind = 0;
        Ok(Self {
            runtime,
            stop,
            spool,
            sequence,
            process,
            behind,
            identity,
            times,
            produced,
            refused,
        })
    }

    /// Its endpoint id.
    pub fn endpoint(&self) -> String {
        self.identity.endpoint.to_string()
    }

    /// Makes `count` activities and hands them to the spool.
    ///
    /// # Errors
    /// When no number can be had, or a batch cannot be encoded.
    pub fn produce(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let size = left.min(BATCH);
            let events: Vec<Event> = (0..size).map(|_| self.one()).collect::<Result<_>>()?;
            self.produced.extend(events.iter().map(|event| event.id.to_string()));
            self.times.extend(events.iter().map(|event| event.time));
            self.spool.append(&codec::encode(&events)?);
            left -= size;
        }
        Ok(())
    }

    /// Sends a batch that says it holds `count` activities and holds `payload` instead. Its
    /// numbers are used up, its activities never were.
    ///
    /// # Errors
    /// When no number can be had.
    pub fn send_garbage(&mut self, count: u32, payload: Vec<u8>) -> Result<()> {
        let event = self.one()?;
        for _ in 1..count {
            self.sequence.take_next()?;
        }
        let mut batch = codec::encode(&[event])?;
        batch.last_seq = batch.first_seq + u64::from(count) - 1;
        batch.count = count;
        batch.payload = payload.into();
        self.spool.append(&batch);
        Ok(())
    }

    /// Sets the clock by which its activities are stamped back by `nanos`.
    pub const fn set_back(&mut self, nanos: i64) {
        self.behind += nanos;
    }

    fn one(&mut self) -> Result<Event> {
        let seq = self.sequence.take_next()?;
        let mut event = self.process.file(Kind::FileModify, &format!("/synthetic/{seq}"));
        event.id.boot = self.sequence.boot();
        event.id.seq = seq;
        event.time = metsuke_demo::truth::now().plus_nanos(-self.behind);
        Ok(event)
    }

    /// Activities the server has not acknowledged.
    pub fn waiting(&self) -> u64 {
        self.spool.depth().events
    }

    /// What the server refused for good, with its reasons.
    pub fn refused(&self) -> Vec<RefusedBatch> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many batches were refused, and how many losses the spool counted.
    pub fn lost(&self) -> usize {
        self.refused().len() + self.spool.take_losses().len()
    }

    /// Compares what was made with what `api` finds from `from` to `to`: lost, foreign, doubled.
    ///
    /// The range is asked for in pieces that one page holds, which together cover all of it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn compare(&self, api: &Api, from: Timestamp, to: Timestamp) -> Result<Comparison> {
        let query = format!("device.uid:{} AND file.path:/synthetic/*", self.endpoint());
        let inside = self.times.iter().copied().filter(|time| from < *time && *time < to);
        let mut inside: Vec<Timestamp> = inside.collect();
        inside.sort_unstable();
        let mut edges: Vec<Timestamp> = inside.into_iter().step_by(PIECE).collect();
        edges.insert(0, from);
        edges.push(to);
        let mut stored: BTreeMap<String, usize> = BTreeMap::new();
        for edge in edges.windows(2) {
            let (start, end) = (edge[0].to_string(), edge[1].to_string());
            for row in api.search_all(&query, &start, &end)? {
                let id = row["id"].as_str().unwrap_or_default().to_owned();
                *stored.entry(id).or_insert(0) += 1;
            }
        }
        Ok(Comparison {
            lost: self.produced.iter().filter(|id| !stored.contains_key(*id)).count(),
            foreign: stored.keys().filter(|id| !self.produced.contains(*id)).count(),
            doubled: stored.values().filter(|times| **times > 1).count(),
        })
    }
}

/// What does not agree between what was made and what is stored; all zero when all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Made, not stored.
    pub lost: usize,
    /// Stored, never made.
    pub foreign: usize,
    /// Stored more than once.
    pub doubled: usize,
}

impl Drop for Synthetic {
    fn drop(&mut self) {
        self.stop.cancel();
        // The session ends by itself; what it was doing is of no more interest.
        let idle = tokio::runtime::Builder::new_current_thread().build();
        if let Ok(idle) = idle {
            std::mem::replace(&mut self.runtime, idle).shutdown_background();
        }
    }
}

/// Says hello, and nothing else.
struct Quiet {
    boot: BootId,
    refused: Arc<Mutex<Vec<RefusedBatch>>>,
}

impl Delegate for Quiet {
    fn hello(&self) -> Hello {
        Hello {
            version: "0.0.0".into(),
            host: "synthetic".into(),
            os: "none".into(),
            kernel: "none".into(),
            boot: self.boot,
            coverage: None,
            sent: metsuke_demo::truth::now(),
            scope: "host".into(),
            addresses: Vec::new(),
            content_version: String::new(),
            policy_version: 0,
            packs: PackVersions::default(),
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat { sent: metsuke_demo::truth::now(), ..Heartbeat::default() }
    }

    fn plan_updates(&self) -> Vec<PlanUpdate> {
        Vec::new()
    }

    fn plan_seen(&self, _plan: PlanId, _revision: u32) {}

    fn order(&self, _order: Downstream) {}

    fn refused(&self, batch: RefusedBatch) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
    }

    fn state(&self, _state: LinkState) {}
}
