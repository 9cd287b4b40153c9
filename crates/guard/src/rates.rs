//! Which kind of activity floods: more of it, for longer, than any honest load makes.
//!
//! Pure: counts of one second in, changes out. Invariant: a kind that is turned off is counted and
//! comes back by itself; each time it floods again it stays off twice as long.

use std::collections::BTreeMap;

use metsuke_event::Kind;

/// Seconds of flood in a row before a kind is turned off.
pub const FLOOD_SECONDS: u32 = 10;
/// How long a kind is off the first time.
pub const OFF_SECONDS: u64 = 60;
/// The longest it is off.
pub const OFF_MAX_SECONDS: u64 = 3_600;

/// What became of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Turned off for so many seconds; it came so often within the last one.
    Off {
        /// Seconds.
        seconds: u64,
        /// Activities within the last second.
        rate: u64,
    },
    /// Turned on again.
    On,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    over: u32,
    /// Second at which it is turned on again; 0 when it is on.
    until: u64,
    /// How long it was off the last time.
    last: u64,
    /// Seconds in a row, while on, without a flood.
    quiet: u64,
}

/// The state of every kind.
#[derive(Clone, Debug)]
pub struct Rates {
    most: u64,
    kinds: BTreeMap<Kind, State>,
    second: u64,
}

impl Rates {
    /// A kind floods that comes more than `most` times a second.
    pub const fn new(most: u64) -> Self {
        Self { most, kinds: BTreeMap::new(), second: 0 }
    }

    /// Whether `kind` is off.
    pub fn is_off(&self, kind: Kind) -> bool {
        self.kinds.get(&kind).is_some_and(|state| state.until > 0)
    }

    /// How often each kind came within one second, those of kinds that are off included.
    pub fn observe(&mut self, counts: &BTreeMap<Kind, u64>) -> Vec<(Kind, Verdict)> {
        self.second += 1;
        let mut verdicts = Vec::new();
        for kind in counts.keys() {
            self.kinds.entry(*kind).or_default();
        }
        for (kind, state) in &mut self.kinds {
            if !may_be_off(*kind) {
                continue;
            }
            let rate = counts.get(kind).copied().unwrap_or(0);
            let floods = rate > self.most;
            state.over = if floods { state.over.saturating_add(1) } else { 0 };
            if state.until > 0 {
                if self.second >= state.until {
                    state.until = 0;
                    state.over = 0;
                    verdicts.push((*kind, Verdict::On));
                }
                continue;
            }
            state.quiet = if floods { 0 } else { state.quiet.saturating_add(1) };
            if state.quiet >= OFF_MAX_SECONDS {
                state.last = 0;
            }
            if state.over >= FLOOD_SECONDS {
                let seconds = (state.last * 2).clamp(OFF_SECONDS, OFF_MAX_SECONDS);
                (state.last, state.until) = (seconds, self.second + seconds);
                verdicts.push((*kind, Verdict::Off { seconds, rate }));
            }
        }
        verdicts
    }
}

/// What carries the story of an intrusion, and the sensor's own word, is never turned off.
const fn may_be_off(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::FileCreate
            | Kind::FileModify
            | Kind::FileDelete
            | Kind::FileRename
            | Kind::FileRead
            | Kind::FileLink
            | Kind::FileAttributes
            | Kind::ImageLoad
            | Kind::MemoryMap
            | Kind::MemoryProtect
            | Kind::NetworkClose
            | Kind::NetworkBind
            | Kind::ProcessSignal
            | Kind::ProcessAccess
            | Kind::ProcessRename
            | Kind::ScriptExecute
            | Kind::DnsQuery
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metsuke_event::Kind;

    use super::{FLOOD_SECONDS, OFF_MAX_SECONDS, OFF_SECONDS, Rates, Verdict};

    fn second(rates: &mut Rates, kind: Kind, count: u64) -> Option<Verdict> {
        let verdicts = rates.observe(&BTreeMap::from([(kind, count)]));
        assert!(verdicts.iter().all(|(told, _)| *told == kind));
        verdicts.first().map(|(_, verdict)| *verdict)
    }

    #[test]
    fn a_kind_that_floods_is_off_for_a_while_and_longer_each_time() {
        let mut rates = Rates::new(100);
        let mut lengths = Vec::new();
        for _ in 0..10 {
            for _ in 1..FLOOD_SECONDS {
                assert_eq!(second(&mut rates, Kind::FileModify, 101), None);
            }
            let off = second(&mut rates, Kind::FileModify, 101);
            let Some(Verdict::Off { seconds, rate: 101 }) = off else { panic!("{off:?}") };
            lengths.push(seconds);
            for _ in 1..seconds {
                assert!(rates.is_off(Kind::FileModify) && !rates.is_off(Kind::FileRead));
                assert_eq!(second(&mut rates, Kind::FileModify, 101), None);
            }
            assert_eq!(second(&mut rates, Kind::FileModify, 101), Some(Verdict::On));
        }
        assert_eq!(&lengths[..3], [OFF_SECONDS, OFF_SECONDS * 2, OFF_SECONDS * 4]);
        assert_eq!(lengths.last(), Some(&OFF_MAX_SECONDS));
    }

    #[test]
    fn bursts_and_what_must_be_seen_are_left_alone() {
        let mut rates = Rates::new(100);
        for _ in 0..1_000 {
            for _ in 1..FLOOD_SECONDS {
                assert_eq!(second(&mut rates, Kind::FileModify, u64::MAX), None);
            }
            assert_eq!(second(&mut rates, Kind::FileModify, 100), None);
        }
        for _ in 0..1_000 {
            assert_eq!(second(&mut rates, Kind::ProcessExec, u64::MAX), None);
        }
    }
}
