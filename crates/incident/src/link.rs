//! Ties between alerts: which there are, and how they are told.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::{AlertId, EndpointId};
use serde::{Deserialize, Serialize};

use crate::fleet::{Fleet, Question};
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

    /// The kind of a stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        const ALL: [ReasonKind; 9] = [
            ReasonKind::Hand,
            ReasonKind::Recording,
            ReasonKind::Storyline,
            ReasonKind::Process,
            ReasonKind::Hash,
            ReasonKind::Address,
            ReasonKind::Domain,
            ReasonKind::User,
            ReasonKind::HostTime,
        ];
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is about a value that any host may have, so that the fleet can say how common it is.
    pub const fn is_value(self) -> bool {
        matches!(self, Self::Hash | Self::Address | Self::Domain | Self::User)
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

/// Something that alerts share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// What it is.
    pub(crate) kind: ReasonKind,
    /// The value; with the endpoint before it where it tells something only there.
    pub(crate) value: String,
    /// Those that share it, two at least, in order of time, by their place among all alerts.
    pub(crate) places: Vec<usize>,
    /// Of what is live, not of a recording.
    is_live: bool,
}

impl Shared {
    /// The hosts of its alerts.
    pub(crate) fn hosts(&self, alerts: &[&Facts]) -> BTreeSet<EndpointId> {
        self.places.iter().map(|place| alerts[*place].endpoint).collect()
    }

    /// What the fleet is asked about it; nothing where that would not change anything.
    pub(crate) fn question(&self, alerts: &[&Facts]) -> Option<Question> {
        let first = self.places.first().filter(|_| self.is_live && self.kind.is_value())?;
        Some(Question { kind: self.kind, value: self.value.clone(), since: alerts[*first].first })
    }

    /// Whether so many have it that it tells nothing.
    fn is_common(&self, alerts: &[&Facts], fleet: &Fleet) -> bool {
        if !self.kind.is_value() {
            return false;
        }
        let hosts = self.hosts(alerts).len();
        if hosts > 1 && self.places.len() > bounds::COMMON_ALERTS_PER_HOST * hosts {
            return true;
        }
        let known = self.question(alerts).and_then(|question| fleet.reach(&question));
        known.map_or(hosts > bounds::UNASKED_HOSTS, |reach| reach.is_common(hosts as u64))
    }
}

/// What joins: everything that alerts share and that is not common.
pub(crate) fn joining(alerts: &[&Facts], fleet: &Fleet) -> Vec<Shared> {
    let mut all = all_shared(alerts);
    all.retain(|one| !one.is_common(alerts, fleet));
    all
}

/// Everything that two alerts or more share. A value that comes again after nothing could tie it any
/// more is another thing to share: what the fleet had in spring does not matter in autumn.
pub(crate) fn all_shared(alerts: &[&Facts]) -> Vec<Shared> {
    let mut keys: BTreeMap<(Option<&str>, ReasonKind, String), Vec<usize>> = BTreeMap::new();
    for (place, alert) in alerts.iter().enumerate() {
        for (kind, value) in shared(alert) {
            keys.entry((alert.recording.as_deref(), kind, value)).or_default().push(place);
        }
    }
    let mut all = Vec::new();
    for ((recording, kind, value), places) in keys {
        for places in episodes(kind, places, alerts) {
            let (value, is_live) = (value.clone(), recording.is_none());
            all.push(Shared { kind, value, places, is_live });
        }
    }
    all
}

/// Alerts that share something, parted where so much time lies between that it ties no longer.
fn episodes(kind: ReasonKind, places: Vec<usize>, alerts: &[&Facts]) -> Vec<Vec<usize>> {
    let gap = match kind {
        ReasonKind::Hash | ReasonKind::Address | ReasonKind::Domain => bounds::VALUE_NANOS,
        ReasonKind::User => bounds::USER_NANOS,
        _ => i64::MAX,
    };
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut end = None;
    for place in places {
        let alert = alerts[place];
        match (parts.last_mut(), end) {
            (Some(part), Some(end)) if alert.first.nanos_since(end) <= gap => part.push(place),
            _ => parts.push(vec![place]),
        }
        end = end.max(Some(alert.last));
    }
    parts.retain(|part| part.len() > 1);
    parts
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
