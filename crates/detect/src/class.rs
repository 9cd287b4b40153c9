//! A log-source class: its plan, made anew as its traffic teaches.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use metsuke_event::logsource::LogSource;

use crate::census::Samples;
use crate::plan::Plan;
use crate::ruleset::RuleSet;
use crate::sigma::header::Source;

/// When a plan is made anew: after so many samples, of which every so-and-so-manieth activity is
/// one. The last is done again and again: traffic changes.
const LESSONS: [Lesson; 4] = [
    Lesson { every: 1, samples: 64 },
    Lesson { every: 4, samples: 256 },
    Lesson { every: 64, samples: 512 },
    Lesson { every: 4_096, samples: 1_024 },
];

#[derive(Clone, Copy)]
struct Lesson {
    every: u32,
    samples: u32,
}

/// A class of activities.
#[derive(Debug)]
pub(crate) struct Class {
    sources: Vec<Source>,
    /// Of the sources.
    print: u64,
    plan: RwLock<Plan>,
    /// Activities until the next sample.
    left: AtomicU32,
    learning: Mutex<Learning>,
}

#[derive(Debug, Default)]
struct Learning {
    samples: Samples,
    lesson: usize,
}

impl Class {
    /// The class of activities with `sources`.
    pub(crate) fn new(rules: &RuleSet, sources: Vec<Source>) -> Self {
        let samples = Samples::default();
        let plan = RwLock::new(plan(rules, &sources, &samples));
        let print = print(sources.iter().map(Source::as_log_source));
        Self { sources, print, plan, left: AtomicU32::new(1), learning: Mutex::default() }
    }

    /// Whether it is the class of `sources`, whose [`print`] is `print`.
    pub(crate) fn is_of(&self, sources: &[LogSource<'_>], print: u64) -> bool {
        self.print == print
            && self.sources.len() == sources.len()
            && self.sources.iter().zip(sources).all(|(own, other)| own.as_log_source() == *other)
    }

    /// Its plan as of now.
    pub(crate) fn plan(&self) -> RwLockReadGuard<'_, Plan> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the activity at hand is one to learn from.
    pub(crate) fn is_sample(&self) -> bool {
        // Several engines may count at once: then a sample is taken a little earlier or later.
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.wrapping_sub(1), Ordering::Relaxed);
        left <= 1
    }

    /// Learns from an activity, that [`Class::is_sample`] chose, with `take`; when that makes the
    /// sample large enough, the plan is made anew.
    pub(crate) fn learn(&self, rules: &RuleSet, take: impl FnOnce(&Plan, &mut Samples)) {
        // Another engine learns just now: this activity is not needed.
        let Ok(mut learning) = self.learning.try_lock() else {
            self.left.store(1, Ordering::Relaxed);
            return;
        };
        take(&self.plan(), &mut learning.samples);
        let lesson = LESSONS[learning.lesson];
        self.left.store(lesson.every, Ordering::Relaxed);
        if learning.samples.events < lesson.samples && !learning.samples.is_full() {
            return;
        }
        let samples = std::mem::take(&mut learning.samples);
        learning.lesson = (learning.lesson + 1).min(LESSONS.len() - 1);
        let plan = plan(rules, &self.sources, &samples);
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

/// A number that most different sources differ in, quickly made of their ends and lengths.
pub(crate) fn print<'s>(sources: impl Iterator<Item = LogSource<'s>>) -> u64 {
    let mut print = 0_u64;
    for source in sources {
        for part in [source.product, source.category, source.service] {
            let bytes = part.unwrap_or_default().as_bytes();
            let end = bytes.last_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
            let mixed = print.rotate_left(9) ^ end ^ ((bytes.len() as u64) << 40);
            print = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    print
}

fn plan(rules: &RuleSet, sources: &[Source], samples: &Samples) -> Plan {
    let sources: Vec<_> = sources.iter().map(Source::as_log_source).collect();
    Plan::build(&rules.compiled, &rules.predicates, &sources, samples)
}
