//! What pipeline, executor and link share, and the sensor's answers to the link.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metsuke_event::coverage::Coverage;
use metsuke_event::inventory::Delta;
use metsuke_event::{BootId, EndpointId, Event, Kind, Tally, Timestamp};
use metsuke_link::client::{Delegate, LinkState, Outbox, RefusedBatch};
use metsuke_link::inventory::Seen;
use metsuke_link::message::{Bundle, Downstream, Evictions, Heartbeat, Hello, PlanUpdate};
use metsuke_link::sealed::Sealed;
use metsuke_link::spool::SharedSpool;
use metsuke_probe::{Meter, Stats};
use metsuke_respond::{PlanId, Policy};
use tokio::sync::Notify;

use crate::care::Care;
use crate::counters::Counters;
use crate::crossview::Desk;
use crate::edge::{self, Content};
use crate::evidence::Store;
use crate::facts;
use crate::health::Note;
use crate::inventory::Post;
use crate::plans::{self, Plans};
use crate::status::Status;
use crate::watchlist::Lists;

/// Notes waiting to become activities; more than that and the sensor is in deeper trouble than
/// they could tell.
pub(crate) const NOTES_MAX: usize = 64;

/// Activities of the sensor's own watchers waiting for the pipeline, which takes them twenty times a
/// second; as many as one cross-view report tells.
const OBSERVED_MAX: usize = 1_000;

/// What does not change while the sensor runs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) state: PathBuf,
    pub(crate) endpoint: EndpointId,
    pub(crate) boot: BootId,
    pub(crate) host: String,
    pub(crate) scope: String,
    pub(crate) enforcement: String,
    pub(crate) started: Timestamp,
    pub(crate) coverage: Option<Coverage>,
    /// The process that guards this one.
    pub(crate) guard: Option<u32>,
}

/// What can be read of the probe while it runs; a test has one of its own.
pub(crate) trait Gauge: Send + Sync {
    /// What it has counted.
    fn stats(&self) -> Stats;
    /// Its hooks that are off, and tables that are gone, and why.
    fn hooks_off(&self) -> Vec<String>;
}

impl Gauge for Meter {
    fn stats(&self) -> Stats {
        self.stats()
    }

    fn hooks_off(&self) -> Vec<String> {
        self.hooks_off()
    }
}

/// The shared state.
pub(crate) struct Shared {
    pub(crate) setup: Setup,
    pub(crate) counters: Counters,
    pub(crate) spool: SharedSpool,
    pub(crate) plan_news: Arc<Notify>,
    pub(crate) care: Care,
    /// Where cross-view looks are asked for.
    pub(crate) crossview: Desk,
    pub(crate) inventory: Post,
    probe: Box<dyn Gauge>,
    /// Artifacts that wait for the server.
    pub(crate) evidence: Store,
    /// Woken when a plan came, one for each who carries some out; each holds one token.
    work: [SyncSender<()>; 2],
    notes: SyncSender<Note>,
    observed: Mutex<Vec<Event>>,
    /// Losses of which no note found room.
    untold: Mutex<Tally>,
    plans: Mutex<Plans>,
    policy: Mutex<Policy>,
    content: Mutex<Content>,
    /// The indicators of this host.
    pub(crate) lists: Lists,
    link: Mutex<LinkState>,
    /// Troubles that last, by part.
    troubles: Mutex<BTreeMap<&'static str, String>>,
    /// The server's clock minus ours, in nanoseconds; plans expire by the server's.
    skew_ns: AtomicI64,
}

/// What [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) setup: Setup,
    pub(crate) spool: SharedSpool,
    pub(crate) probe: Box<dyn Gauge>,
    pub(crate) work: [SyncSender<()>; 2],
    pub(crate) notes: SyncSender<Note>,
    pub(crate) plans: Plans,
    pub(crate) evidence: Store,
    pub(crate) policy: Policy,
    pub(crate) content: Content,
    pub(crate) lists: Lists,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks leaves a value half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            setup: parts.setup,
            counters: Counters::default(),
            spool: parts.spool,
            plan_news: Arc::default(),
            care: Care::default(),
            crossview: Desk::default(),
            inventory: Post::default(),
            probe: parts.probe,
            evidence: parts.evidence,
            work: parts.work,
            notes: parts.notes,
            observed: Mutex::default(),
            untold: Mutex::default(),
            plans: Mutex::new(parts.plans),
            policy: Mutex::new(parts.policy),
            content: Mutex::new(parts.content),
            lists: parts.lists,
            link: Mutex::new(LinkState::Away("not connected yet".to_owned())),
            troubles: Mutex::default(),
            skew_ns: AtomicI64::new(0),
        }
    }

    pub(crate) fn plans(&self) -> MutexGuard<'_, Plans> {
        hold(&self.plans)
    }

    pub(crate) fn policy(&self) -> Policy {
        hold(&self.policy).clone()
    }

    pub(crate) fn content(&self) -> Content {
        hold(&self.content).clone()
    }

    /// The server's clock, as far as we know it.
    pub(crate) fn server_now(&self) -> Timestamp {
        facts::now().plus_nanos(self.skew_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(*hold(&self.link), LinkState::Connected { .. })
    }

    /// Has something said by the sensor itself. When too much waits already, what it says of losses
    /// is added up, and said as soon as there is room.
    pub(crate) fn note(&self, note: Note) {
        if let Err(TrySendError::Full(note)) = self.notes.try_send(note) {
            let mut untold = hold(&self.untold);
            untold.merge(&note.lost.unwrap_or_default());
            untold.add(Some(Kind::SensorHealth), 1);
        }
    }

    /// What was not said since this was last asked, for want of room: notes, and so many `words`.
    pub(crate) fn untold(&self, words: u64) -> Option<Note> {
        let mut lost = std::mem::take(&mut *hold(&self.untold));
        lost.add(Some(Kind::SensorTamper), words);
        let now = facts::now();
        (!lost.is_empty()).then(|| Note {
            part: "pipeline",
            reason: "queue_full",
            lost: Some(lost),
            from: now,
            to: now,
            detail: "what the sensor had to say of itself found no room".to_owned(),
        })
    }

    /// Has activities that a watcher of the sensor's own made numbered and kept like the probe's.
    /// What finds no room is counted as lost.
    pub(crate) fn observe(&self, events: Vec<Event>) {
        let mut observed = hold(&self.observed);
        let room = OBSERVED_MAX.saturating_sub(observed.len());
        let mut events = events.into_iter();
        observed.extend(events.by_ref().take(room));
        drop(observed);
        let mut shed = Tally::default();
        for event in events {
            shed.count(&event.activity);
        }
        if !shed.is_empty() {
            let now = facts::now();
            self.note(Note {
                part: "pipeline",
                reason: "queue_full",
                lost: Some(shed),
                from: now,
                to: now,
                detail: "activities of the sensor's own watchers found no room".to_owned(),
            });
        }
    }

    /// What was observed since the last time.
    pub(crate) fn take_observed(&self) -> Vec<Event> {
        std::mem::take(&mut *hold(&self.observed))
    }

    /// Sets or clears what is wrong with `part`.
    pub(crate) fn trouble(&self, part: &'static str, what: Option<String>) {
        let mut troubles = hold(&self.troubles);
        match what {
            Some(what) => {
                troubles.insert(part, what);
            }
            None => {
                troubles.remove(part);
            }
        }
    }

    /// Wakes those who carry out plans.
    pub(crate) fn wake_executors(&self) {
        for work in &self.work {
            // Full means it is about to look anyway.
            let _ = work.try_send(());
        }
    }

    /// How the sensor is; also kept for `metsuke-sensor status`.
    pub(crate) fn health(&self) -> Heartbeat {
        let now = facts::now();
        self.trouble("inventory", self.inventory.trouble());
        self.trouble("lists", self.lists.trouble());
        self.trouble("hooks", unseen(&self.probe.hooks_off()));
        let (depth, oldest) = {
            let mut spool = self.spool.lock();
            (spool.depth(), spool.oldest())
        };
        let lag = oldest.map_or(0, |oldest| now.nanos_since(oldest).max(0) / 1_000_000);
        let content = self.content();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lost = self.counters.lost();
        let health = Heartbeat {
            sent: now,
            lag_ms: lag.cast_unsigned(),
            spool_bytes: depth.disk_bytes + depth.memory_bytes,
            spool_events: depth.events,
            lost_total: lost.total(),
            events_total: count(&self.counters.events),
            cpu_ms: facts::cpu_ms(),
            rss_bytes: facts::rss_bytes(),
            edge_hits: count(&self.counters.edge_hits),
            coverage: None,
            content_version: content.version,
            policy_version: self.policy().version,
            degraded: self.degraded(content.refused, depth.memory_bytes),
            evictions: self.evictions(),
            indicator_candidates: count(&self.counters.candidates),
            indicator_blocked: count(&self.counters.blocked),
        };
        let status = Status {
            pid: std::process::id(),
            started: self.setup.started,
            updated: now,
            link: match &*hold(&self.link) {
                LinkState::Connected { .. } => "connected".to_owned(),
                LinkState::Away(reason) => reason.clone(),
            },
            scope: self.setup.scope.clone(),
            enforcement: self.setup.enforcement.clone(),
            coverage: self.setup.coverage.clone(),
            health: health.clone(),
            lost: lost.kinds().map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
            guard: self.setup.guard,
            privileges: metsuke_guard::privileges::report(),
        };
        status.save(&self.setup.state);
        health
    }

    /// What bounded tables let go, as far as the pipeline has counted it.
    pub(crate) fn evictions(&self) -> Evictions {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let probe = self.probe.stats();
        Evictions {
            processes: probe.processes_refused,
            hashes: probe.hashes_evicted,
            storylines: count(&self.counters.storylines),
            detection_keys: count(&self.counters.detection_keys),
            detection_storylines: count(&self.counters.detection_storylines),
            spool: count(&self.counters.spool),
        }
    }

    fn degraded(&self, refused: usize, memory_bytes: u64) -> Vec<String> {
        let mut degraded: Vec<String> = hold(&self.troubles).values().cloned().collect();
        if refused > 0 {
            degraded.push(format!("{refused} documents of the content are refused"));
        }
        if memory_bytes > 0 {
            degraded.push("the disk is full: activities wait in memory".to_owned());
        }
        degraded
    }

    fn take_content(&self, bundle: Bundle, sealed: Option<&Sealed>) {
        if bundle.serial < self.content().serial {
            tracing::warn!(
                serial = bundle.serial,
                "older content than the present one is not taken"
            );
            return;
        }
        if let Some(sealed) = sealed {
            edge::keep(&self.setup.state, sealed);
        }
        let content = Content::compile(bundle);
        tracing::info!(version = content.version, refused = content.refused, "new content");
        *hold(&self.content) = content;
    }

    fn take_policy(&self, policy: Policy, sealed: Option<&Sealed>) {
        let mut held = hold(&self.policy);
        if policy.version < held.version {
            tracing::warn!(
                version = policy.version,
                "an older policy than the present one is not followed"
            );
            return;
        }
        tracing::info!(version = policy.version, mode = ?policy.mode, "new policy");
        let kept = sealed.map_or(Ok(()), |sealed| {
            plans::replace(&policy_file(&self.setup.state), &sealed.to_bytes())
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the policy is not kept for the next start");
        }
        *held = policy;
    }
}

/// What is wrong while hooks are off.
fn unseen(hooks_off: &[String]) -> Option<String> {
    let listed = hooks_off.join("; ");
    (!listed.is_empty()).then(|| format!("not all that happens is seen in the kernel: {listed}"))
}

pub(crate) fn policy_file(state: &std::path::Path) -> PathBuf {
    state.join("policy.signed")
}

impl Delegate for Shared {
    fn hello(&self) -> Hello {
        Hello {
            version: facts::VERSION.to_owned(),
            host: self.setup.host.clone(),
            os: facts::os(),
            kernel: facts::kernel(),
            boot: self.setup.boot,
            coverage: self.setup.coverage.clone(),
            sent: facts::now(),
            scope: self.setup.scope.clone(),
            addresses: facts::addresses(),
            content_version: self.content().version,
            policy_version: self.policy().version,
            packs: self.lists.versions(),
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        self.health()
    }

    fn plan_updates(&self) -> Vec<PlanUpdate> {
        self.plans().unseen()
    }

    fn plan_seen(&self, plan: PlanId, revision: u32) {
        self.plans().seen(plan, revision);
    }

    fn sealed_order(&self, order: Downstream, sealed: &Sealed) {
        match order {
            Downstream::Content(bundle) => self.take_content(bundle, Some(sealed)),
            Downstream::Policy(policy) => self.take_policy(policy, Some(sealed)),
            Downstream::Indicators(part) => self.lists.take(&part, Some(sealed)),
            order => self.order(order),
        }
    }

    fn inventory(&self) -> Option<Delta> {
        self.inventory.next()
    }

    fn inventory_seen(&self, seen: Seen) {
        self.inventory.seen(seen);
    }

    fn inventory_news(&self) -> Arc<Notify> {
        self.inventory.news()
    }

    fn order(&self, order: Downstream) {
        match order {
            Downstream::Content(bundle) => self.take_content(bundle, None),
            Downstream::Policy(policy) => self.take_policy(policy, None),
            Downstream::Indicators(part) => self.lists.take(&part, None),
            Downstream::Plan(plan) => {
                tracing::info!(plan = %plan.id, verb = plan.verb.name(), actor = plan.actor, "a plan came");
                self.plans().deliver(plan, facts::now());
                self.plan_news.notify_one();
                self.wake_executors();
            }
            Downstream::Cancel(plan) => {
                self.plans().cancel(plan, facts::now());
                self.plan_news.notify_one();
            }
        }
    }

    fn refused(&self, batch: RefusedBatch) {
        self.counters.lose_words(&batch.lost);
        self.note(Note::refused(&batch));
    }

    fn state(&self, state: LinkState) {
        if let LinkState::Connected { server } = state {
            let skew = server.nanos_since(facts::now());
            self.skew_ns.store(skew, Ordering::Relaxed);
        }
        *hold(&self.link) = state;
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }
}
