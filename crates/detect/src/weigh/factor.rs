//! What points are multiplied by: how a detection was judged, how common it is, what the host is
//! worth, how long ago it struck.

use std::collections::HashMap;

/// Findings that every detection is given for its own: what few findings say is not certain.
const BELIEVED: f64 = 4.0;
/// What a finding of a true but legitimate act says for a detection, beside a true one.
const BENIGN: f64 = 0.5;
/// However often it was wrong, a detection counts so much: switching it off is for people.
const LEAST: f64 = 0.1;

/// Past findings of analysts about a detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// It was right, and the act was bad.
    pub true_positive: u32,
    /// It was right, and the act was legitimate.
    pub benign: u32,
    /// It was wrong.
    pub false_positive: u32,
}

impl Judged {
    /// What a hit counts: `(4 + true + benign / 2) / (4 + all)`, at least 0.1. 1 when nothing is
    /// known.
    pub fn confidence(self) -> f64 {
        let [right, benign, wrong] =
            [self.true_positive, self.benign, self.false_positive].map(f64::from);
        let all = BELIEVED + right + benign + wrong;
        ((BELIEVED + right + BENIGN * benign) / all).max(LEAST)
    }

    /// The factor with its reason, when it is not 1.
    pub(crate) fn factor(self) -> Option<Factor> {
        let by = self.confidence();
        let Self { true_positive, benign, false_positive } = self;
        (by < 1.0).then(|| Factor {
            by,
            why: format!("{true_positive} true, {benign} benign, {false_positive} false findings"),
        })
    }
}

/// A factor that is not 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Factor {
    pub(crate) by: f64,
    pub(crate) why: String,
}

/// Factors of one storyline.
#[derive(Debug, Default)]
pub(crate) struct Factors {
    /// By detection: how it was judged.
    pub(crate) judged: HashMap<usize, Factor>,
    /// By detection: how common it is in the fleet.
    pub(crate) reach: HashMap<usize, Factor>,
    /// What the host is worth.
    pub(crate) importance: Option<Factor>,
}

/// Points with the reasons that made them.
#[derive(Debug)]
pub(super) struct Reckoning {
    pub(super) points: f64,
    pub(super) why: String,
}

impl Reckoning {
    /// Multiplies by `factor`, when there is one, and says so.
    pub(super) fn times(mut self, factor: Option<&Factor>) -> Self {
        if let Some(Factor { by, why }) = factor {
            self.points *= by;
            self.why = format!("{} × {} ({why})", self.why, rounded(*by));
        }
        self
    }
}

/// Two places behind the point: so parts are shown, and so they add up.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
