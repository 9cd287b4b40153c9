//! Which storyline each living process belongs to, and each that ended lately.
//!
//! Invariant: what is not known is said: of processes older than the watch, and of those that
//! found no room, nobody here knows the storyline.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use metsuke_event::activity::{Activity, ProcessActivity};
use metsuke_event::{Event, ProcessKey, Text, Timestamp};

/// Most processes known by their storyline; as many as pids.
const LIVE_MAX: usize = 65_536;
/// Ended processes whose storyline is still known.
const ENDED_MAX: usize = 16_384;

/// The storylines.
#[derive(Debug)]
pub(crate) struct Live {
    since_ticks: u64,
    since: Timestamp,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    living: HashMap<Text, Text>,
    ended: VecDeque<(Text, Text)>,
    /// Living processes that found no room.
    left_out: u64,
    /// Ended ones that had to make room.
    forgotten: u64,
}

/// A storyline's processes, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The living ones, and always the one asked for; when there may be more, also the root.
    pub(crate) members: Vec<ProcessKey>,
    /// The process the storyline began with.
    pub(crate) root: Option<ProcessKey>,
    /// Set when there may be more: those who joined before this are not all known.
    pub(crate) unknown_before: Option<Timestamp>,
}

impl Live {
    /// Knows nothing of what started before `since_ticks` after boot, which is the time `since`.
    pub(crate) fn new(since_ticks: u64, since: Timestamp) -> Self {
        Self { since_ticks, since, known: Mutex::default() }
    }

    pub(crate) fn observe(&self, event: &Event) {
        let process = &event.process;
        let (Some(uid), Some(storyline)) = (&process.uid, &process.storyline) else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(event.activity, Activity::Process(ProcessActivity::Exit)) {
            known.living.remove(uid);
            if known.ended.len() >= ENDED_MAX {
                known.ended.pop_front();
                known.forgotten += 1;
            }
            known.ended.push_back((Text::clone(uid), Text::clone(storyline)));
        } else if known.living.contains_key(uid) || known.living.len() < LIVE_MAX {
            known.living.insert(Text::clone(uid), Text::clone(storyline));
        } else {
            known.left_out += 1;
        }
    }

    /// The storyline `target` belongs to.
    pub(crate) fn storyline_of(&self, target: ProcessKey) -> Membership {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = target.to_string();
        let ended = || known.ended.iter().rev().find(|(known, _)| **known == *uid);
        let found =
            known.living.get(uid.as_str()).or_else(|| ended().map(|(_, storyline)| storyline));
        let storyline = found.map_or(uid.as_str(), |storyline| storyline);
        let mut members: Vec<ProcessKey> = known
            .living
            .iter()
            .filter(|(_, of)| ***of == *storyline)
            .filter_map(|(uid, _)| uid.parse().ok())
            .collect();
        members.push(target);
        let root: Option<ProcessKey> = storyline.parse().ok();
        let is_older = root.is_none_or(|root| root.start_ticks <= self.since_ticks);
        let was_dropped = known.left_out > 0 || (found.is_none() && known.forgotten > 0);
        let unknown_before = (is_older || was_dropped).then_some(self.since);
        if unknown_before.is_some() {
            // If it still runs, its descendants are found through it.
            members.extend(root);
        }
        members.sort_unstable_by_key(|key| (key.start_ticks, key.pid));
        members.dedup();
        Membership { members, root, unknown_before }
    }

    /// How often a storyline was not kept for want of room, or forgotten.
    pub(crate) fn evicted(&self) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.left_out + known.forgotten
    }

    /// What makes its answers incomplete, besides what began before the watch.
    pub(crate) fn trouble(&self) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.left_out > 0).then(|| {
            format!(
                "{} activities came of processes beyond {LIVE_MAX}, whose storylines are not kept: \
                 ending a storyline may miss some",
                known.left_out
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::{BootId, Event, Kind, Process, ProcessKey, Timestamp};

    use super::{ENDED_MAX, LIVE_MAX, Live};

    const SINCE: Timestamp = Timestamp::from_nanos(7);

    fn event(kind: Kind, key: ProcessKey, root: ProcessKey) -> Event {
        let process = Process {
            uid: Some(key.to_string().into()),
            storyline: Some(root.to_string().into()),
            ..Process::default()
        };
        Event { process: Arc::new(process), ..Event::empty(kind) }
    }

    /// The process started as many ticks after boot as its pid says.
    fn key(pid: u32) -> ProcessKey {
        ProcessKey { boot: BootId::from_u128(1), pid, start_ticks: u64::from(pid) }
    }

    #[test]
    fn a_storyline_is_known_by_any_of_its_processes_also_ended_ones() {
        let live = Live::new(9, SINCE);
        for pid in [10, 11, 12] {
            live.observe(&event(Kind::ProcessExec, key(pid), key(10)));
        }
        live.observe(&event(Kind::ProcessExec, key(20), key(20)));
        live.observe(&event(Kind::ProcessExit, key(10), key(10)));
        live.observe(&event(Kind::ProcessExit, key(12), key(10)));
        let members = |pid| live.storyline_of(key(pid)).members;
        assert_eq!(members(11), [key(11)]);
        assert_eq!(members(12), [key(11), key(12)], "asked by one that ended");
        assert_eq!(members(10), [key(10), key(11)], "asked by its root");
        assert_eq!(members(20), [key(20)]);
        assert_eq!(live.storyline_of(key(12)).unknown_before, None);
    }

    #[test]
    fn what_began_before_the_watch_is_said_to_be_unknown() {
        let live = Live::new(15, SINCE);
        live.observe(&event(Kind::ProcessExec, key(20), key(10)));
        live.observe(&event(Kind::ProcessExec, key(30), key(30)));
        let of = |pid| live.storyline_of(key(pid));
        assert_eq!((of(20).root, of(20).unknown_before), (Some(key(10)), Some(SINCE)));
        assert_eq!(of(12).unknown_before, Some(SINCE), "never heard of, and older");
        assert_eq!(of(30).unknown_before, None);
        assert_eq!(of(40).unknown_before, None, "never heard of, and younger");
    }

    #[test]
    fn what_found_no_room_is_said_to_be_unknown() {
        let live = Live::new(0, SINCE);
        let max = |max: usize| u32::try_from(max).expect("small");
        for pid in 1..=max(ENDED_MAX) + 1 {
            live.observe(&event(Kind::ProcessExit, key(pid), key(pid)));
        }
        assert_eq!(live.storyline_of(key(1)).unknown_before, Some(SINCE), "forgotten");
        assert_eq!(live.storyline_of(key(2)).unknown_before, None);
        assert_eq!(live.trouble(), None);
        for pid in 1..=max(LIVE_MAX) + 1 {
            live.observe(&event(Kind::ProcessExec, key(pid), key(pid)));
        }
        assert_eq!(live.storyline_of(key(2)).unknown_before, Some(SINCE));
        assert!(live.trouble().is_some_and(|trouble| trouble.starts_with("1 ")));
    }
}
