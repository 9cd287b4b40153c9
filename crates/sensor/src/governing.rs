//! The governor and the watch on floods, where activities pass: what is left out, counted and told.
//!
//! Invariant: what is left out is counted by kind and told as a loss, at each step and at least once
//! a minute; nothing is left out after the last telling.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metsuke_event::{Activity, Kind, Tally, Timestamp};
use metsuke_guard::governor::{Budgets, Change, Governor, SAMPLE, Step, Treatment, Usage};
use metsuke_guard::rates::{Rates, Verdict};
use metsuke_probe::Throttle;

use crate::facts;
use crate::health::Note;

/// How often what is left out is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What the budgets are, and where they act.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) budgets: Budgets,
    /// More of one kind in a second, for long, is a flood.
    pub(crate) flood_per_second: u64,
    pub(crate) throttle: Throttle,
}

#[derive(Debug)]
pub(crate) struct Governing {
    governor: Governor,
    rates: Rates,
    throttle: Throttle,
    /// Within this second.
    counts: BTreeMap<Kind, u64>,
    sent: u64,
    /// Left out since it was told last.
    shed: Tally,
    since: Timestamp,
    told: Instant,
    sampled: u64,
    cpu_ms: u64,
    at: Instant,
}

impl Governing {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            governor: Governor::new(bounds.budgets),
            rates: Rates::new(bounds.flood_per_second),
            throttle: bounds.throttle,
            counts: BTreeMap::new(),
            sent: 0,
            shed: Tally::default(),
            since: facts::now(),
            told: Instant::now(),
            sampled: 0,
            cpu_ms: facts::cpu_ms(),
            at: Instant::now(),
        }
    }

    /// Whether an activity is told; counted in any case. One that would be left out is told when it is
    /// `wanted`.
    pub(crate) fn admits(&mut self, activity: &Activity, wanted: impl FnOnce() -> bool) -> bool {
        let kind = activity.kind();
        *self.counts.entry(kind).or_default() += 1;
        let treatment = if self.rates.is_off(kind) {
            Treatment::Drop
        } else {
            self.governor.step().treatment(kind)
        };
        let is_kept = match treatment {
            Treatment::Keep => true,
            Treatment::Drop => false,
            Treatment::Sample => {
                self.sampled += 1;
                self.sampled % SAMPLE == 1
            }
        };
        let is_kept = is_kept || wanted();
        if !is_kept {
            self.shed.count(activity);
        }
        is_kept
    }

    /// So many bytes were made ready to be sent.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// A second is over: measures, decides, and says what changed.
    pub(crate) fn second(&mut self, disk_bytes: u64) -> Vec<Note> {
        let elapsed_ms = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.at = Instant::now();
        let cpu_ms = facts::cpu_ms();
        let used_ms = cpu_ms.saturating_sub(std::mem::replace(&mut self.cpu_ms, cpu_ms));
        let usage = Usage {
            cpu_permille: used_ms * 1_000 / elapsed_ms,
            memory_bytes: facts::rss_bytes(),
            disk_bytes,
            sent_bytes: std::mem::take(&mut self.sent),
        };
        self.measure(&usage)
    }

    fn measure(&mut self, usage: &Usage) -> Vec<Note> {
        let mut notes = Vec::new();
        let counts = std::mem::take(&mut self.counts);
        let verdicts = self.rates.observe(&counts);
        let change = self.governor.observe(usage);
        if change.is_some() || !verdicts.is_empty() || self.told.elapsed() >= TELL_EVERY {
            notes.extend(self.rest());
        }
        notes.extend(verdicts.into_iter().map(|(kind, verdict)| flood(kind, verdict)));
        if let Some(change) = change {
            self.throttle.set_hash_permille(change.to.hash_permille());
            notes.push(step(&change));
        }
        notes
    }

    /// What was left out and not told yet.
    pub(crate) fn rest(&mut self) -> Option<Note> {
        let from = std::mem::replace(&mut self.since, facts::now());
        self.told = Instant::now();
        if self.shed.is_empty() {
            return None;
        }
        let detail = format!("left out: {}", self.governor.step().meaning());
        let lost = std::mem::take(&mut self.shed);
        let (part, reason) = ("governor", "left_out");
        Some(Note { part, reason, lost: Some(lost), from, to: self.since.max(from), detail })
    }

    /// What is wrong, while something is left out.
    pub(crate) fn trouble(&self) -> Option<String> {
        let step = self.governor.step();
        (step != Step::Full)
            .then(|| format!("over its budgets the sensor saves: {}", step.meaning()))
    }
}

fn step(change: &Change) -> Note {
    let now = facts::now();
    let (reason, verb) =
        if change.to > change.from { ("step_down", "over") } else { ("step_up", "well within") };
    let (name, used, budget) = (change.resource.name(), change.used, change.budget);
    let detail = format!("{}: {name} {verb} the budget: {used} of {budget}", change.to.meaning());
    Note { part: "governor", reason, lost: None, from: now, to: now, detail }
}

fn flood(kind: Kind, verdict: Verdict) -> Note {
    let now = facts::now();
    let name = kind.name();
    let (reason, detail) = match verdict {
        Verdict::Off { seconds, rate } => (
            "flood_off",
            format!(
                "{name} came {rate} times in a second, for long: it is left out for {seconds} s"
            ),
        ),
        Verdict::On => ("flood_on", format!("{name} is told again")),
    };
    Note { part: "governor", reason, lost: None, from: now, to: now, detail }
}

#[cfg(test)]
mod tests {
    use metsuke_event::{Activity, Kind, Tally};
    use metsuke_guard::governor::{Budgets, CALM_SECONDS, OVER_SECONDS, Usage};
    use metsuke_guard::rates::FLOOD_SECONDS;
    use metsuke_probe::Throttle;

    use super::{Bounds, Governing};

    fn governing(throttle: &Throttle) -> Governing {
        let budgets = Budgets { cpu_permille: 100, ..Budgets::default() };
        Governing::new(Bounds { budgets, flood_per_second: 10, throttle: throttle.clone() })
    }

    fn admits(governing: &mut Governing, kind: Kind) -> bool {
        governing.admits(&Activity::empty(kind), || false)
    }

    fn measure(governing: &mut Governing, cpu_permille: u64) -> Vec<(&'static str, Option<u64>)> {
        let usage = Usage { cpu_permille, ..Usage::default() };
        governing
            .measure(&usage)
            .into_iter()
            .map(|note| (note.reason, note.lost.map(|lost| lost.total())))
            .collect()
    }

    #[test]
    fn each_step_is_told_and_what_was_left_out_is_a_counted_loss() {
        let throttle = Throttle::default();
        let mut governing = governing(&throttle);
        let mut told = Vec::new();
        for _ in 0..OVER_SECONDS * 3 {
            told.extend(measure(&mut governing, 101));
        }
        assert_eq!(told, [("step_down", None); 3]);
        assert_eq!(throttle.hash_permille(), 250);
        assert!(governing.trouble().is_some_and(|trouble| trouble.contains("one in ten")));
        let kept = (0..20).filter(|_| admits(&mut governing, Kind::FileRead)).count();
        assert_eq!(kept, 2);
        assert!(!admits(&mut governing, Kind::ScriptExecute));
        assert!(
            admits(&mut governing, Kind::ProcessExec) && admits(&mut governing, Kind::FileModify)
        );
        told.clear();
        for _ in 0..CALM_SECONDS * 3 {
            told.extend(measure(&mut governing, 0));
        }
        let up = ("step_up", None);
        assert_eq!(told, [("left_out", Some(19)), up, up, up]);
        assert_eq!((throttle.hash_permille(), governing.trouble()), (1_000, None));
        assert!(governing.rest().is_none(), "nothing is told twice");
    }

    #[test]
    fn a_flood_of_one_kind_is_left_out_and_nothing_else() {
        let mut governing = governing(&Throttle::default());
        let mut told = Vec::new();
        for _ in 0..FLOOD_SECONDS {
            for _ in 0..11 {
                assert!(
                    admits(&mut governing, Kind::FileModify)
                        && admits(&mut governing, Kind::ProcessExec)
                );
            }
            told.extend(measure(&mut governing, 0));
        }
        assert_eq!(told, [("flood_off", None)]);
        assert!(
            !admits(&mut governing, Kind::FileModify) && admits(&mut governing, Kind::FileRename)
        );
        let rest = governing.rest().expect("something was left out");
        assert!(rest.lost == Some(Tally::of(Kind::FileModify, 1)), "{rest:?}");
    }
}
