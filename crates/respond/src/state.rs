//! The states of a plan and which may follow which.
//!
//! ```text
//! queued ──> delivered ──> running ──> done | failed
//!   │            │            └──────> failed
//!   ├────────────┴──> expired | cancelled | failed
//! ```
//! Invariant: `done`, `failed`, `expired` and `cancelled` are ends. A plan that runs can no longer
//! be cancelled nor expire: what it does to the host is under way, and its truth must be told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far a plan has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted by the server, not yet on the endpoint's disk.
    Queued,
    /// On the endpoint's disk, not begun.
    Delivered,
    /// Begun: the host may already have been changed.
    Running,
    /// Carried out whole.
    Done,
    /// Not carried out, or only in part; the detail says which.
    Failed,
    /// Its time ran out before it began.
    Expired,
    /// Withdrawn before it began.
    Cancelled,
}

/// A step the table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a plan that is {from} cannot become {to}; read the plan again to see where it stands")]
pub struct TransitionError {
    /// Where it stands.
    pub from: State,
    /// Where it was to go.
    pub to: State,
}

/// A text that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no state of a plan; use queued, delivered, running, done, failed, expired or cancelled"
)]
pub struct ParseStateError(String);

impl State {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Delivered,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
    ];

    /// Its name, as it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// Whether `to` may follow directly. A state never follows itself.
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Queued => matches!(
                to,
                Self::Delivered | Self::Running | Self::Failed | Self::Expired | Self::Cancelled
            ),
            Self::Delivered => {
                matches!(to, Self::Running | Self::Failed | Self::Expired | Self::Cancelled)
            }
            Self::Running => matches!(to, Self::Done | Self::Failed),
            Self::Done | Self::Failed | Self::Expired | Self::Cancelled => false,
        }
    }

    /// `to`, when it may follow.
    ///
    /// # Errors
    /// When the table has no such step.
    pub const fn step(self, to: Self) -> Result<Self, TransitionError> {
        if self.may_become(to) { Ok(to) } else { Err(TransitionError { from: self, to }) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = ParseStateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| ParseStateError(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn the_table_is_the_documented_one() {
        let allowed: Vec<String> = State::ALL
            .into_iter()
            .flat_map(|from| State::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        assert_eq!(
            allowed.join(" "),
            "queued>delivered queued>running queued>failed queued>expired queued>cancelled \
             delivered>running delivered>failed delivered>expired delivered>cancelled \
             running>done running>failed"
        );
    }

    #[test]
    fn ends_are_never_left_and_names_round_trip() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
            assert_eq!(state.is_end(), State::ALL.iter().all(|to| !state.may_become(*to)));
            assert!(!state.may_become(state));
        }
        assert!("Done".parse::<State>().is_err());
    }
}
