#![doc = include_str!("../README.md")]

pub mod bounds;
pub mod course;
mod edit;
mod fleet;
mod group;
mod link;
mod observable;

pub use edit::{Edit, EditKind};
pub use fleet::{Fleet, Question, Reach, questions};
pub use group::{Group, join};
pub use link::{Reason, ReasonKind};
pub use observable::{Observable, ObservableKind, observables};

use std::collections::BTreeSet;

use metsuke_event::{AlertId, EndpointId, Timestamp};

/// What is known of one alert, as far as it can join others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The alert.
    pub id: AlertId,
    /// When it was first raised; the earliest alert gives an incident its identity.
    pub created: Timestamp,
    /// Where.
    pub endpoint: EndpointId,
    /// Its storyline; empty when it has none.
    pub storyline: String,
    /// The recording it came from; nothing for a live one.
    pub recording: Option<String>,
    /// Time of its first step.
    pub first: Timestamp,
    /// Time of its last step.
    pub last: Timestamp,
    /// The processes of its steps, by identity.
    pub processes: BTreeSet<String>,
    /// The users of those processes.
    pub users: BTreeSet<String>,
    /// What its steps touched.
    pub observables: BTreeSet<Observable>,
}
