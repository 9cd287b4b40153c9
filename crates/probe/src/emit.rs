//! From events to batches in the sink. Never waits: what does not fit is held back within a bound, then
//! shed, activities of files first, and counted.
//!
//! Invariant: every event given to `push` is delivered, or counted in a health event that follows
//! as soon as the sink has room. At the end it is delivered within [`HAND_OVER`], or [`Emitter::finish`]
//! says that it was not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use metsuke_event::activity::Activity;
use metsuke_event::{
    BootId, Event, EventId, Health, Process, SourceFields, Tally, Text, Timestamp,
};

use crate::config::HELD_EVENTS;
use crate::host;
use crate::stats::{Counters, add};

/// Events in one batch at most.
pub(crate) const BATCH: usize = 512;

/// How long the end waits for a full sink: its reader makes room at once, unless it stands still.
const HAND_OVER: Duration = Duration::from_secs(5);

/// Between two tries of the end.
const AGAIN: Duration = Duration::from_millis(5);

/// Something of the probe's own to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notice {
    pub(crate) part: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) lost: Option<Tally>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) detail: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Emitter {
    sink: SyncSender<Vec<Event>>,
    boot: BootId,
    host: Option<Text>,
    tier: u8,
    /// Batches that found no room, each of [`BATCH`] events.
    waiting: VecDeque<Vec<Event>>,
    /// What came after them: [`BATCH`] events at most.
    batch: Vec<Event>,
    shed: Tally,
    shed_from: Option<Timestamp>,
    /// What is held says what was shed.
    noticed: bool,
    /// Events held back at most.
    held: usize,
    closed: bool,
    counters: Arc<Counters>,
}

impl Emitter {
    pub(crate) fn new(sink: SyncSender<Vec<Event>>, boot: BootId, counters: Arc<Counters>) -> Self {
        Self {
            sink,
            boot,
            host: host::name().map(Into::into),
            tier: 3,
            waiting: VecDeque::new(),
            batch: Vec::new(),
            shed: Tally::default(),
            shed_from: None,
            noticed: false,
            held: HELD_EVENTS,
            closed: false,
            counters,
        }
    }

    pub(crate) fn set_tier(&mut self, tier: u8) {
        self.tier = tier;
    }

    /// Whether the receiver is gone, so that nothing can be delivered any more.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn push(&mut self, time: Timestamp, process: &Arc<Process>, activity: Activity) {
        self.batch.push(Event {
            id: EventId { boot: self.boot, ..EventId::default() },
            time,
            received: None,
            host: self.host.clone(),
            process: Arc::clone(process),
            activity,
            unmapped: SourceFields::default(),
        });
        // Held back, they are tried again with each round or batch, not with each event.
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        let health = Health {
            part: Some(notice.part.into()),
            reason: Some(notice.reason.into()),
            lost: notice.lost.as_ref().map(Tally::total),
            from: Some(notice.from),
            to: Some(notice.to),
            detail: notice.detail.map(Into::into),
            tier: Some(u64::from(self.tier)),
            object: None,
            lost_kinds: notice.lost.map(|lost| lost.to_string().into()),
        };
        self.push(notice.to, &Arc::new(Process::default()), Activity::Health(health));
    }

    /// Hands over what is waiting, batch by batch, as far as there is room.
    pub(crate) fn flush(&mut self) {
        self.pack();
        if !self.shed.is_empty() && !self.noticed {
            self.tell_shed();
            self.noticed = true;
        }
        while let Some(batch) = self.next() {
            let count = batch.len() as u64;
            let tells = self.noticed && batch.iter().any(is_shed_notice);
            match self.sink.try_send(batch) {
                Ok(()) => {
                    if tells {
                        self.shed = Tally::default();
                        self.shed_from = None;
                        self.noticed = false;
                    }
                    add(&self.counters.events, count);
                }
                Err(TrySendError::Full(batch)) => {
                    self.put_back(batch);
                    if self.waits() >= self.held {
                        self.shed();
                    }
                    return;
                }
                Err(TrySendError::Disconnected(_)) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    /// The end: hands over everything, for which it waits. Whether everything was delivered; what
    /// was not is counted as shed.
    pub(crate) fn finish(&mut self) -> bool {
        self.finish_by(Instant::now() + HAND_OVER)
    }

    fn finish_by(&mut self, deadline: Instant) -> bool {
        loop {
            self.flush();
            if self.closed {
                return false;
            }
            // What was shed in this round is told in the next.
            if self.waits() == 0 && self.shed.is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(AGAIN);
        }
        let left = self.waiting.drain(..).flatten().chain(self.batch.drain(..));
        let mut count = 0;
        for event in left.filter(|event| !is_shed_notice(event)) {
            self.shed.count(&event.activity);
            count += 1;
        }
        add(&self.counters.shed, count);
        tracing::error!(
            lost = %self.shed,
            "nobody took the probe's last events in time; they are lost"
        );
        false
    }

    /// Events held back now.
    fn waits(&self) -> usize {
        self.waiting.len() * BATCH + self.batch.len()
    }

    /// A full batch waits behind those that do.
    fn pack(&mut self) {
        if self.batch.len() >= BATCH {
            let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            self.waiting.push_back(batch);
        }
    }

    /// The oldest events that wait, a batch at most.
    fn next(&mut self) -> Option<Vec<Event>> {
        if let Some(batch) = self.waiting.pop_front() {
            return Some(batch);
        }
        if self.batch.is_empty() {
            return None;
        }
        // The next one will be about as long.
        let room = self.batch.len().min(BATCH);
        Some(std::mem::replace(&mut self.batch, Vec::with_capacity(room)))
    }

    /// What `next` gave found no room.
    fn put_back(&mut self, batch: Vec<Event>) {
        if batch.len() < BATCH {
            // Nothing waits before the last one, and nothing came meanwhile.
            self.batch = batch;
        } else {
            self.waiting.push_front(batch);
        }
    }

    /// Gives up activities of files, or everything when that makes too little room.
    fn shed(&mut self) {
        // The notice about earlier losses is not itself a loss: it is made again.
        self.noticed = false;
        let held = std::mem::take(&mut self.waiting).into_iter().flatten();
        let held = held.chain(std::mem::take(&mut self.batch));
        let held: Vec<Event> = held.filter(|event| !is_shed_notice(event)).collect();
        self.shed_from = self.shed_from.or(held.first().map(|event| event.time));
        // An attack in a flood of files is no file: what is rarer goes last.
        let is_file = |event: &Event| matches!(event.activity, Activity::File(..));
        let (mut shed, mut rest): (Vec<Event>, Vec<Event>) = held.into_iter().partition(is_file);
        if rest.len() > self.held / 2 {
            shed.append(&mut rest);
        }
        for event in &shed {
            self.shed.count(&event.activity);
        }
        add(&self.counters.shed, shed.len() as u64);
        for event in rest {
            self.batch.push(event);
            self.pack();
        }
    }

    fn tell_shed(&mut self) {
        let to = host::now();
        let mut event = Event::empty(metsuke_event::Kind::SensorHealth);
        event.id.boot = self.boot;
        event.time = to;
        event.host.clone_from(&self.host);
        event.activity = Activity::Health(Health {
            part: Some(SHED_PART.into()),
            reason: Some("queue_full".into()),
            lost: Some(self.shed.total()),
            from: Some(self.shed_from.unwrap_or(to)),
            to: Some(to),
            detail: None,
            tier: Some(u64::from(self.tier)),
            object: None,
            lost_kinds: Some(self.shed.to_string().into()),
        });
        self.batch.push(event);
    }
}

const SHED_PART: &str = "probe.sink";

fn is_shed_notice(event: &Event) -> bool {
    matches!(&event.activity, Activity::Health(health) if health.part.as_deref() == Some(SHED_PART))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::Instant;

    use metsuke_event::activity::{Activity, ProcessActivity};
    use metsuke_event::{BootId, Kind, Process, Tally, Timestamp};

    use super::{BATCH, Emitter, HAND_OVER};
    use crate::stats::Counters;

    #[test]
    fn what_is_delivered_and_what_is_told_lost_add_up() {
        let (sender, receiver) = sync_channel(2);
        let counters = Arc::new(Counters::default());
        let mut emitter = Emitter::new(sender, BootId::default(), Arc::clone(&counters));
        emitter.held = 40;
        let process = Arc::new(Process::default());
        let (mut delivered, mut lost) = (0, 0);
        let mut take = |batch: Vec<metsuke_event::Event>| {
            for event in batch {
                match event.activity {
                    Activity::Health(health) => {
                        let kinds = Tally::parse(health.lost_kinds.as_deref().unwrap());
                        assert_eq!(Some(kinds.get(Kind::ProcessFork)), health.lost);
                        lost += health.lost.unwrap();
                    }
                    _ => delivered += 1,
                }
            }
        };
        for round in 0..50_u64 {
            for _ in 0..round {
                let activity = Activity::Process(ProcessActivity::Fork);
                emitter.push(Timestamp::from_millis(1), &process, activity);
            }
            emitter.flush();
            if round % 7 == 0 {
                receiver.try_iter().for_each(&mut take);
            }
        }
        receiver.try_iter().for_each(&mut take);
        emitter.flush();
        receiver.try_iter().for_each(&mut take);
        assert_eq!(delivered + lost, (0..50).sum::<u64>());
        assert!(lost > 0 && delivered > 0);
        assert_eq!(counters.snapshot().shed, lost);
    }

    /// An emitter with room for one batch, and what it counts.
    fn small() -> (Emitter, std::sync::mpsc::Receiver<Vec<metsuke_event::Event>>, Arc<Counters>) {
        let (sender, receiver) = sync_channel(1);
        let counters = Arc::new(Counters::default());
        (Emitter::new(sender, BootId::default(), Arc::clone(&counters)), receiver, counters)
    }

    fn forks(emitter: &mut Emitter, count: usize) {
        let process = Arc::new(Process::default());
        for millis in 0..i64::try_from(count).unwrap() {
            let fork = Activity::Process(ProcessActivity::Fork);
            emitter.push(Timestamp::from_millis(millis), &process, fork);
        }
    }

    #[test]
    fn what_is_held_goes_to_the_sink_in_order_and_in_batches() {
        let (mut emitter, receiver, counters) = small();
        forks(&mut emitter, 10 * BATCH + 7);
        let (mut times, mut batches) = (Vec::new(), 0);
        while let Ok(batch) = receiver.try_recv() {
            assert!(batch.len() <= BATCH);
            batches += 1;
            times.extend(batch.iter().map(|event| event.time));
            emitter.flush();
        }
        assert_eq!(batches, 11);
        assert_eq!(times.len(), 10 * BATCH + 7);
        assert!(times.is_sorted());
        assert_eq!(counters.snapshot().shed, 0);
    }

    #[test]
    fn the_end_waits_for_a_reader() {
        let (mut emitter, receiver, counters) = small();
        emitter.held = 4 * BATCH;
        // Those that are shed are told, too.
        forks(&mut emitter, 7 * BATCH);
        let reader = std::thread::spawn(move || receiver.iter().flatten().collect::<Vec<_>>());
        assert!(emitter.finish_by(Instant::now() + 12 * HAND_OVER));
        drop(emitter);
        let mut told = Tally::default();
        for event in reader.join().unwrap() {
            match &event.activity {
                Activity::Health(health) => told.merge(&Tally::told(health)),
                activity => told.count(activity),
            }
        }
        assert_eq!(told.get(Kind::ProcessFork), 7 * BATCH as u64, "{told}");
        assert!(counters.snapshot().shed > 0);
    }

    #[test]
    fn the_end_counts_what_nobody_takes() {
        let (mut emitter, receiver, counters) = small();
        forks(&mut emitter, 3 * BATCH);
        assert!(!emitter.finish_by(Instant::now()));
        let delivered = receiver.try_iter().flatten().count() as u64;
        assert_eq!(delivered, BATCH as u64);
        let stats = counters.snapshot();
        assert_eq!((stats.events, stats.shed), (delivered, 2 * BATCH as u64));
    }
}
