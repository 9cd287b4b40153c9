//! From events to batches in the sink. Never waits: what does not fit is held back within a bound, then
//! shed, activities of files first, and counted.
//!
//! Invariant: every event given to `push` is delivered, or counted in a health event that follows
//! as soon as the sink has room.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use metsuke_event::activity::Activity;
use metsuke_event::{BootId, Event, EventId, Health, Process, Tally, Text, Timestamp};

use crate::config::HELD_EVENTS;
use crate::host;
use crate::stats::{Counters, add};

/// Events in one batch at most.
pub(crate) const BATCH: usize = 512;

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
    batch: Vec<Event>,
    shed: Tally,
    shed_from: Option<Timestamp>,
    /// The batch says what was shed.
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
            unmapped: Vec::new(),
        });
        // Held back, they are tried again with each round, not with each event.
        if self.batch.len().is_multiple_of(BATCH) {
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

    /// Hands over what is waiting.
    pub(crate) fn flush(&mut self) {
        if !self.shed.is_empty() && !self.noticed {
            self.tell_shed();
            self.noticed = true;
        }
        if self.batch.is_empty() {
            return;
        }
        // The next one will be about as long.
        let room = self.batch.len().min(BATCH);
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(room));
        let count = batch.len() as u64;
        match self.sink.try_send(batch) {
            Ok(()) => {
                self.shed = Tally::default();
                self.shed_from = None;
                self.noticed = false;
                add(&self.counters.events, count);
            }
            Err(TrySendError::Full(batch)) if batch.len() < self.held => self.batch = batch,
            Err(TrySendError::Full(mut batch)) => {
                // The notice about earlier losses is not itself a loss: it is made again.
                batch.retain(|event| !is_shed_notice(event));
                self.noticed = false;
                self.shed_from = self.shed_from.or(batch.first().map(|event| event.time));
                // An attack in a flood of files is no file: what is rarer goes last.
                let is_file = |event: &Event| matches!(event.activity, Activity::File(..));
                let (mut shed, mut rest): (Vec<Event>, Vec<Event>) =
                    batch.into_iter().partition(is_file);
                if rest.len() > self.held / 2 {
                    shed.append(&mut rest);
                }
                for event in &shed {
                    self.shed.count(&event.activity);
                }
                add(&self.counters.shed, shed.len() as u64);
                self.batch = rest;
            }
            Err(TrySendError::Disconnected(_)) => self.closed = true,
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

    use metsuke_event::activity::{Activity, ProcessActivity};
    use metsuke_event::{BootId, Kind, Process, Tally, Timestamp};

    use super::Emitter;
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
}
