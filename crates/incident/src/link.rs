//! Ties between alerts: which there are, and how they are told.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::{AlertId, EndpointId};
use serde::{Deserialize, Serialize};

use crate::observable::ObservableKind;
use crate::{Facts, bounds};

/// Why alerts are together, the strongest tie first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// People said so.
    Hand,
    /// They come from one recording.
    Recording,
    /// One storyline of one host.
    Storyline,
    /// Steps of one process.
    Process,
    /// A file's hash.
    Hash,
    /// An address outside.
    Address,
    /// A domain.
    Domain,
    /// A user on several hosts within hours.
    User,
    /// One host within half an hour.
    HostTime,
}

impl ReasonKind {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Recording => "recording",
            Self::Storyline => "storyline",
            Self::Process => "process",
            Self::Hash => "hash",
            Self::Address => "address",
            Self::Domain => "domain",
            Self::User => "user",
            Self::HostTime => "host-time",
        }
    }
}

/// A reason why alerts of an incident are together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What they share.
    pub kind: ReasonKind,
    /// The value they share.
    pub value: String,
    /// Those that share it, at least two; the earliest first, at most
    /// [`bounds::REASON_ALERTS`](crate::bounds::REASON_ALERTS).
    pub alerts: Vec<AlertId>,
}

/// What alerts may share: the world (a recording, or what is live), the kind and the value.
pub(crate) type Key = (Option<String>, ReasonKind, String);

/// The alerts of each key that joins, in order of time, by their place in `alerts`.
pub(crate) fn keys(alerts: &[&Facts]) -> BTreeMap<Key, Vec<usize>> {
    let mut keys: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (place, alert) in alerts.iter().enumerate() {
        for (kind, value) in shared(alert) {
            keys.entry((alert.recording.clone(), kind, value)).or_default().push(place);
        }
    }
    keys.retain(|(_, kind, _), places| places.len() > 1 && !is_common(*kind, places, alerts));
    keys
}

/// What an alert may share with others.
fn shared(alert: &Facts) -> Vec<(ReasonKind, String)> {
    let mut all = Vec::new();
    let here = |value: &str| format!("{} {value}", alert.endpoint);
    if let Some(recording) = &alert.recording {
        all.push((ReasonKind::Recording, recording.clone()));
    }
    if !alert.storyline.is_empty() {
        all.push((ReasonKind::Storyline, here(&alert.storyline)));
        all.push((ReasonKind::Process, here(&alert.storyline)));
    }
    let others = alert.processes.iter().filter(|uid| !uid.is_empty() && **uid != alert.storyline);
    all.extend(others.map(|uid| (ReasonKind::Process, here(uid))));
    for one in alert.observables.iter().take(bounds::OBSERVABLES) {
        let kind = match one.kind {
            ObservableKind::Hash => ReasonKind::Hash,
            ObservableKind::Address => ReasonKind::Address,
            ObservableKind::Domain => ReasonKind::Domain,
        };
        all.push((kind, one.value.clone()));
    }
    for user in &alert.users {
        let user = user.to_lowercase();
        let plain = user.rsplit('\\').next().unwrap_or_default();
        // A machine's own account ends so.
        if !bounds::COMMON_USERS.contains(&plain) && !plain.ends_with('$') {
            all.push((ReasonKind::User, user));
        }
    }
    all.push((ReasonKind::HostTime, alert.endpoint.to_string()));
    all
}

/// Whether so many have it that it tells nothing.
fn is_common(kind: ReasonKind, places: &[usize], alerts: &[&Facts]) -> bool {
    match kind {
        ReasonKind::Hash | ReasonKind::Address | ReasonKind::Domain | ReasonKind::User => {
            let hosts: BTreeSet<EndpointId> =
                places.iter().map(|place| alerts[*place].endpoint).collect();
            hosts.len() > bounds::COMMON_HOSTS || places.len() > bounds::COMMON_ALERTS
        }
        _ => false,
    }
}

/// Whether two alerts that share something of this kind are tied by it. `earlier` began first.
pub(crate) fn ties(kind: ReasonKind, earlier: &Facts, later: &Facts) -> bool {
    let gap = later.first.nanos_since(earlier.last.min(later.first));
    match kind {
        ReasonKind::Hand | ReasonKind::Recording | ReasonKind::Storyline | ReasonKind::Process => {
            true
        }
        ReasonKind::Hash | ReasonKind::Address | ReasonKind::Domain => gap <= bounds::VALUE_NANOS,
        // On one host the host itself ties.
        ReasonKind::User => earlier.endpoint != later.endpoint && gap <= bounds::USER_NANOS,
        ReasonKind::HostTime => gap <= bounds::HOST_NANOS,
    }
}

/// What people read of a key's value: without the endpoint that makes it unique.
pub(crate) fn shown(kind: ReasonKind, value: &str) -> String {
    match kind {
        ReasonKind::Storyline | ReasonKind::Process => {
            value.split_once(' ').map_or(value, |(_, uid)| uid).to_owned()
        }
        _ => value.to_owned(),
    }
}
