//! What the sensor's parts share to look after themselves: signs of life, what is said of the
//! sensor's own life, and a successor that waits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metsuke_event::Event;
use metsuke_guard::handover::{Cut, Successor};
use tokio::sync::Notify;

use crate::pulse::Pulse;

/// Words that wait for the pipeline; more in its 50 ms and somebody floods us: the first count.
const SAID_MAX: usize = 256;
/// How long a word about a process that could not be described waits for the probe to have told
/// of it.
const PATIENCE: Duration = Duration::from_millis(300);

/// The shared state.
#[derive(Debug, Default)]
pub(crate) struct Care {
    pub(crate) pulse: Pulse,
    /// Told when the sensor is to leave for its successor.
    pub(crate) leave: Notify,
    said: Mutex<Said>,
    leaving: Mutex<Leaving>,
}

#[derive(Debug, Default)]
struct Said {
    words: VecDeque<(Instant, Event)>,
    untold: u64,
}

#[derive(Debug, Default)]
struct Leaving {
    successor: Option<Successor>,
    cut: Option<Cut>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks leaves a value half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Care {
    /// Has the pipeline tell `event`.
    pub(crate) fn tell(&self, event: Event) {
        let mut said = hold(&self.said);
        if said.words.len() >= SAID_MAX {
            said.untold += 1;
            return;
        }
        said.words.push_back((Instant::now(), event));
    }

    /// Words that are due, and how many found no room since the last call.
    pub(crate) fn due(&self) -> (Vec<Event>, u64) {
        let mut said = hold(&self.said);
        let mut due = Vec::new();
        while said.words.front().is_some_and(|(at, event)| {
            event.process.missing.is_none()
                || event.process.pid.is_none()
                || at.elapsed() >= PATIENCE
        }) {
            due.extend(said.words.pop_front().map(|(_, event)| event));
        }
        (due, std::mem::take(&mut said.untold))
    }

    /// All that is left to be said.
    pub(crate) fn rest(&self) -> Vec<Event> {
        hold(&self.said).words.drain(..).map(|(_, event)| event).collect()
    }

    /// A successor watches already; false when there is one, and it is to go.
    pub(crate) fn succeed(&self, successor: Successor) -> bool {
        let mut leaving = hold(&self.leaving);
        if leaving.successor.is_some() {
            return false;
        }
        leaving.successor = Some(successor);
        true
    }

    /// Since when a successor watches, in nanoseconds since boot.
    pub(crate) fn successor_since(&self) -> Option<u64> {
        hold(&self.leaving).successor.as_ref().map(|successor| successor.watches_since_ns)
    }

    /// Where this sensor's watch ends: it stops now.
    pub(crate) fn cut(&self, cut: Cut) {
        hold(&self.leaving).cut = Some(cut);
        self.leave.notify_one();
    }

    /// Whether this sensor leaves for a successor.
    pub(crate) fn is_leaving(&self) -> bool {
        hold(&self.leaving).cut.is_some()
    }

    /// The successor and where its watch begins, once everything is kept.
    pub(crate) fn handover(&self) -> Option<(Successor, Cut)> {
        let mut leaving = hold(&self.leaving);
        let cut = leaving.cut?;
        Some((leaving.successor.take()?, cut))
    }
}
