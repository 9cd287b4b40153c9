//! What traffic of one class looks like: a bounded sample of its values, and what is read from it.

use std::collections::BTreeMap;

use foldhash::HashMap;

use crate::grams::{self, Seen};
use crate::lowering::cut;
use crate::predicate::FieldIx;
use crate::watch::{Sought, Watch};
use crate::witness::{Anchor, Literal};

/// Bytes of one value that a sample keeps: command lines are hardly ever longer.
const VALUE_BYTES: usize = 2_048;
/// Bytes of all values of a sample: a thousand activities of a kilobyte.
const ALL_BYTES: usize = 1024 * 1024;

/// Lower-cased values of some activities of one class.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) events: u32,
    bytes: usize,
    values: HashMap<FieldIx, Vec<Box<str>>>,
}

impl Samples {
    /// Takes one activity: the values of the fields that are asked for.
    pub(crate) fn take<'v>(&mut self, values: impl Iterator<Item = (FieldIx, &'v str)>) {
        self.events += 1;
        for (field, value) in values {
            let value = cut(value, VALUE_BYTES);
            self.bytes += value.len();
            self.values.entry(field).or_default().push(value.into());
        }
    }

    /// Whether it holds as much as it may.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes >= ALL_BYTES
    }

    fn of(&self, field: FieldIx) -> &[Box<str>] {
        self.values.get(&field).map(Vec::as_slice).unwrap_or_default()
    }

    /// How often grams of four bytes stand in values of `field`.
    pub(crate) fn grams(&self, field: FieldIx) -> Seen {
        let mut seen = Seen::default();
        for value in self.of(field) {
            grams::count(value, &mut seen);
        }
        seen
    }

    /// In which part of the activities `field` is set, and the mean length of its values.
    pub(crate) fn presence(&self, field: FieldIx) -> Option<(f64, f64)> {
        let values = self.of(field);
        let count = number(values.len());
        let bytes: usize = values.iter().map(|value| value.len()).sum();
        (self.events > 0).then(|| {
            (
                count / f64::from(self.events),
                if values.is_empty() { 0.0 } else { number(bytes) / count },
            )
        })
    }

    /// Per literal the part of the activities it is seen in. What was never seen has the rate that
    /// its length lets expect, at most one in as many as were looked at.
    pub(crate) fn rates(&self, literals: &[Literal]) -> Vec<f64> {
        let mut by_field: BTreeMap<FieldIx, BTreeMap<Literal, Sought>> = BTreeMap::new();
        for (index, literal) in (0..).zip(literals) {
            by_field
                .entry(literal.field)
                .or_default()
                .insert(literal.clone(), Sought { wakes: vec![index], tells: None });
        }
        let mut counts = vec![0_u32; literals.len()];
        let mut counted_in = vec![0_u32; literals.len()];
        let mut value_number = 0;
        for (field, set) in by_field {
            let values = self.of(field);
            if values.is_empty() {
                continue;
            }
            let watch = Watch::build(field, set, &self.grams(field));
            for value in values {
                value_number += 1;
                watch.look(value, &mut |woken, _| {
                    for index in woken.iter().map(|index| *index as usize) {
                        counts[index] += u32::from(counted_in[index] != value_number);
                        counted_in[index] = value_number;
                    }
                });
            }
        }
        let events = f64::from(self.events);
        let rate = |(count, literal): (u32, &Literal)| {
            (f64::from(count) + guess(literal)) / (events + 1.0)
        };
        counts.into_iter().zip(literals).map(rate).collect()
    }
}

/// How often a literal is seen, when nothing has been seen yet: longer is rarer.
fn guess(literal: &Literal) -> f64 {
    const COMMON: [&str; 12] = [
        "\\cmd.exe",
        "\\powershell.exe",
        "\\svchost.exe",
        "\\explorer.exe",
        ".exe",
        ".dll",
        "\\windows\\system32\\",
        "c:\\windows\\",
        "/usr/bin/",
        "/bin/bash",
        "/bin/sh",
        "http",
    ];
    if COMMON.contains(&literal.text.as_str()) {
        return 1.0;
    }
    let all_digits =
        !literal.text.is_empty() && literal.text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that has to be equal (an event id) tells much with few characters.
    if literal.anchor == Anchor::Whole && all_digits {
        return 0.05;
    }
    0.8_f64.powf(number(literal.text.len().min(40)))
}

/// `size` as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^52")]
pub(crate) fn number(size: usize) -> f64 {
    size as f64
}
