//! From the probe to the spool: numbers, edge detection, batches. One thread.
//!
//! Invariant: an activity is in the spool, or counted as lost, before the time "everything is kept
//! up to here" passes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use metsuke_detect::{Engine, Evicted};
use metsuke_event::activity::Activity;
use metsuke_event::{Event, GivenUp, Tally, Timestamp};
use metsuke_guard::since_boot_ns;
use metsuke_link::codec::{CodecError, encode};
use metsuke_link::message::Evictions;
use metsuke_link::spool::Sequence;
use metsuke_link::spool::watch::Watch;
use metsuke_probe::ProbeEnd;

use crate::border::Border;
use crate::delegate::Shared;
use crate::evictions::Teller;
use crate::governing::Governing;
use crate::health::Note;
use crate::live::Live;
use crate::touches::Touches;
use crate::watchlist::Allowance;
use crate::{facts, own};

/// A batch goes out when it has so many activities …
const BATCH_EVENTS: usize = 2_000;
/// … or its first has waited so long: what an analyst does not notice, and far fewer writes.
const BATCH_AGE: Duration = Duration::from_millis(100);
/// How long the thread waits for the probe at a time.
const TICK: Duration = Duration::from_millis(50);
/// How often the disk is asked to keep what it was given, and the watch is set.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long an activity may be on its way from the kernel to this thread when the probe is idle:
/// its drain interval, its rounds, and a margin.
const PROBE_DELAY_NS: i64 = 1_000_000_000;
/// The same when the probe is busy.
const BUSY_DELAY_NS: i64 = 5_000_000_000;

/// What stands between the probe and the numbers.
pub(crate) struct Gate {
    pub(crate) governing: Governing,
    pub(crate) border: Border,
    pub(crate) touches: Touches,
    /// Seen before this thread began: while another sensor let go.
    pub(crate) held: Vec<Event>,
    /// What is said first: that the sensor began to watch, and how.
    pub(crate) started: Option<Event>,
}

/// What the thread works with.
pub(crate) struct Pipeline {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sequence: Sequence,
    pub(crate) watch: Watch,
    pub(crate) live: Arc<Live>,
    pub(crate) gate: Gate,
}

struct Running {
    parts: Pipeline,
    engine: Engine,
    serial: u64,
    pending: Vec<Event>,
    since: Option<Instant>,
    synced: Instant,
    evictions: Teller,
    allowance: Allowance,
    /// Everything before this is in the spool.
    kept: Timestamp,
}

impl Pipeline {
    /// Works until the probe is gone, everything it sent is in the spool, and `end` says how it
    /// went. Until that is said nothing more counts as watched.
    pub(crate) fn run(
        self,
        probe: &Receiver<Vec<Event>>,
        notes: &Receiver<Note>,
        end: &Receiver<ProbeEnd>,
    ) {
        let content = self.shared.content();
        let mut engine = Engine::new(content.rules);
        engine.lay(content.overlay);
        let mut running = Running {
            engine,
            serial: content.serial,
            pending: Vec::new(),
            since: None,
            synced: Instant::now(),
            evictions: Teller::default(),
            allowance: Allowance::new(),
            kept: Timestamp::from_nanos(0),
            parts: self,
        };
        running.begin();
        let end = loop {
            let looked = facts::now();
            let received = probe.recv_timeout(TICK);
            let idle = matches!(received, Err(RecvTimeoutError::Timeout));
            match received {
                Ok(events) => running.take_seen(events),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => match end.recv_timeout(TICK) {
                    Ok(end) => break end,
                    Err(RecvTimeoutError::Timeout) => {}
                    // Who does not know how it ended does not call it in order.
                    Err(RecvTimeoutError::Disconnected) => break ProbeEnd::ByItself,
                },
            }
            running.take_notes(notes);
            running.leave_if_due();
            running.flush_if_due();
            if idle && running.pending.is_empty() {
                running.kept = running.kept.max(looked.plus_nanos(-PROBE_DELAY_NS));
            }
            running.maintain();
        };
        running.take_notes(notes);
        running.say_the_rest(end);
        running.flush();
        if end == ProbeEnd::ByItself {
            running.take(vec![Note::broken(running.kept()).event()]);
            running.flush();
        }
        running.stop();
    }
}

impl Running {
    fn begin(&mut self) {
        let started = self.parts.gate.started.take();
        self.take(started.into_iter().collect());
        let held = std::mem::take(&mut self.parts.gate.held);
        self.take_seen(held);
    }

    /// What the probe saw, as far as it is this sensor's to tell and within the budgets.
    fn take_seen(&mut self, events: Vec<Event>) {
        let events = self.parts.gate.border.pass(events);
        self.take_own(events);
    }

    fn take_own(&mut self, events: Vec<Event>) {
        let gate = &mut self.parts.gate;
        let (lists, now) = (self.parts.shared.lists.held(), self.parts.shared.server_now());
        let mut kept = Vec::with_capacity(events.len());
        for event in events {
            kept.extend(gate.touches.observe(&event));
            let wanted = || lists.see(&event, now).perhaps && self.allowance.take();
            if gate.governing.admits(&event.activity, wanted) {
                kept.push(event);
            }
        }
        self.take(kept);
    }

    /// Withholds for a successor that watches already, and cuts.
    fn leave_if_due(&mut self) {
        let shared = Arc::clone(&self.parts.shared);
        if let Some(since) = shared.care.successor_since()
            && !shared.care.is_leaving()
        {
            self.parts.gate.border.withhold(since_boot_ns().max(since));
            if let Some((cut, events)) = self.parts.gate.border.cut(since_boot_ns()) {
                self.take_own(events);
                shared.care.cut(cut);
            }
        }
    }

    /// The last words.
    fn say_the_rest(&mut self, end: ProbeEnd) {
        let rest = self.parts.gate.border.rest();
        self.take_own(rest);
        let evicted = self.evictions();
        let note = self.evictions.tell(evicted);
        let mut last: Vec<Event> = note.map(Note::event).into_iter().collect();
        last.extend(self.parts.gate.governing.rest().map(Note::event));
        last.extend(self.parts.shared.care.rest());
        let leaving = self.parts.shared.setup.state.join(crate::install_cmd::LEAVING);
        let uninstalled = std::fs::read_to_string(leaving);
        let (reason, detail) = match (end, self.parts.shared.care.is_leaving()) {
            (ProbeEnd::InOrder, false) if uninstalled.is_ok() => {
                ("uninstalled", uninstalled.as_deref().unwrap_or_default())
            }
            (ProbeEnd::ByItself, _) => ("probe_failed", "the probe broke down"),
            (_, true) => ("handed_over", "another sensor takes over without a gap"),
            (_, false) => ("stopped", ""),
        };
        last.push(own::stopped(reason, detail));
        self.take(last);
    }

    fn take(&mut self, events: Vec<Event>) {
        let shared = Arc::clone(&self.parts.shared);
        let content = shared.content();
        if content.serial != self.serial {
            self.serial = content.serial;
            // What is held goes on, as far as the rules that hold it say the same.
            let stateless = Engine::new(Arc::clone(&content.rules));
            let engine = std::mem::replace(&mut self.engine, stateless);
            self.engine = engine.with_rules(content.rules).0;
            self.engine.lay(content.overlay);
        }
        shared.counters.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        shared.inventory.observe(&events);
        let (lists, now) = (shared.lists.held(), shared.server_now());
        let mut urgent = false;
        for mut event in events {
            if !self.parts.gate.touches.admits(&mut event) {
                continue;
            }
            match self.parts.sequence.take_next() {
                Ok(seq) => event.id.seq = seq,
                Err(error) => {
                    tracing::error!(%error, "an activity cannot be numbered; it is lost");
                    let mut lost = Tally::default();
                    lost.count(&event.activity);
                    shared.counters.lose(lost);
                    continue;
                }
            }
            event.id.boot = shared.setup.boot;
            event.id.endpoint = shared.setup.endpoint;
            event.host = Some(shared.setup.host.as_str().into());
            if let Activity::Health(health) = &event.activity {
                shared.counters.lose(Tally::told(health));
            }
            self.parts.live.observe(&event);
            let found = self.engine.observe(&event);
            let acted = found.hits.iter().filter(|hit| hit.excepted.is_none()).count();
            add(&shared.counters.edge_hits, acted as u64);
            if !found.alerts.is_empty() {
                shared.crossview.alerted();
            }
            let seen = lists.see(&event, now);
            add(&shared.counters.candidates, u64::from(seen.perhaps));
            add(&shared.counters.blocked, u64::from(seen.blocked));
            urgent |= seen.perhaps;
            self.since.get_or_insert_with(Instant::now);
            self.pending.push(event);
            if self.pending.len() >= BATCH_EVENTS {
                self.flush();
            }
        }
        // The server confirms it, or not: that is not to wait.
        if urgent {
            self.flush();
        }
    }

    fn take_notes(&mut self, notes: &Receiver<Note>) {
        let mut events = self.parts.shared.take_observed();
        events.extend(notes.try_iter().map(Note::event));
        let losses = self.parts.shared.spool.take_losses();
        for lost in losses.iter().filter_map(|loss| loss.lost.as_ref()) {
            add(&self.parts.shared.counters.spool, lost.activities());
            self.parts.shared.counters.lose_words(lost);
        }
        events.extend(losses.iter().map(|loss| Note::spool(loss).event()));
        let (said, untold) = self.parts.shared.care.due();
        events.extend(said);
        events.extend(self.parts.shared.untold(untold).map(Note::event));
        if !events.is_empty() {
            self.take(events);
        }
    }

    fn flush_if_due(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= BATCH_AGE) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.since = None;
        let events = std::mem::take(&mut self.pending);
        // The sensor's own word does not tell how far the probe has come.
        let seen = events
            .iter()
            .filter(|event| !matches!(event.activity, Activity::Health(_) | Activity::Sensor(..)));
        let newest = seen.map(|event| event.time).max();
        self.spool(&events);
        if let Some(newest) = newest {
            self.kept = self.kept.max(newest.plus_nanos(-BUSY_DELAY_NS));
        }
    }

    /// Encodes and keeps; halves what is too large for one batch.
    fn spool(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        match encode(events) {
            Ok(batch) => {
                self.parts.gate.governing.sent(batch.payload.len() as u64);
                self.parts.shared.spool.append(&batch);
            }
            Err(CodecError::TooLarge { .. } | CodecError::TooMany { .. }) if events.len() > 1 => {
                let (first, second) = events.split_at(events.len() / 2);
                self.spool(first);
                self.spool(second);
            }
            Err(error) => {
                tracing::error!(%error, "activities cannot be encoded; they are lost");
                let mut lost = GivenUp::default();
                for event in events {
                    lost.count(&event.activity);
                }
                self.parts.shared.counters.lose_words(&lost);
                let times = || events.iter().map(|event| event.time);
                self.parts.shared.note(Note {
                    part: "pipeline",
                    reason: "not_encodable",
                    lost: Some(lost.all),
                    from: times().min().unwrap_or_default(),
                    to: times().max().unwrap_or_default(),
                    detail: error.to_string(),
                });
            }
        }
    }

    fn maintain(&mut self) {
        self.parts.shared.care.pulse.pipeline();
        if self.synced.elapsed() < SYNC_EVERY {
            return;
        }
        self.synced = Instant::now();
        self.parts.shared.trouble("storylines", self.parts.live.trouble());
        let disk = self.parts.shared.spool.depth().disk_bytes;
        let told = self.parts.gate.governing.second(disk);
        self.take(told.into_iter().map(Note::event).collect());
        self.parts.shared.trouble("governor", self.parts.gate.governing.trouble());
        let evicted = self.evictions();
        if let Some(note) = self.evictions.tell_if_due(evicted) {
            self.take(vec![note.event()]);
        }
        let until = {
            let mut spool = self.parts.shared.spool.lock();
            spool.settle();
            let synced = spool.sync();
            self.trouble(synced.err().map(|error| error.to_string()));
            spool.oldest_in_memory().map_or(self.kept, |oldest| oldest.min(self.kept))
        };
        if until > Timestamp::from_nanos(0)
            && let Err(error) = self.parts.watch.kept(until)
        {
            tracing::warn!(%error, "the watch is not set");
        }
    }

    /// Counts what this thread's tables let go; all of the sensor's.
    fn evictions(&self) -> Evictions {
        let shared = &self.parts.shared;
        let Evicted { keys, hits, values, kin, storylines, fleet } = self.engine.counters().evicted;
        set(&shared.counters.storylines, self.parts.live.evicted());
        set(&shared.counters.detection_keys, keys + hits + values + kin + fleet);
        set(&shared.counters.detection_storylines, storylines);
        shared.evictions()
    }

    /// Everything of this run before this is in the spool.
    fn kept(&self) -> Timestamp {
        self.kept.max(self.parts.shared.setup.started)
    }

    fn trouble(&self, what: Option<String>) {
        self.parts.shared.trouble("spool", what);
    }

    fn stop(&mut self) {
        let memory = {
            let mut spool = self.parts.shared.spool.lock();
            spool.settle();
            if let Err(error) = spool.sync() {
                tracing::warn!(%error, "the spool may not survive a power failure");
            }
            spool.oldest_in_memory()
        };
        let set = match memory {
            None => self.parts.watch.stopped(facts::now()),
            Some(oldest) => self.parts.watch.kept(oldest.min(self.kept())),
        };
        if let Err(error) = set {
            tracing::warn!(%error, "the watch is not set");
        }
    }
}

fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
pub(crate) mod tests;
