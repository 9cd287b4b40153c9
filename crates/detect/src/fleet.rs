//! How many hosts of a fleet show a detection: what has long been common says less of one host.
//!
//! A host shows a detection *settled* when it first did [`SETTLED_NANOS`] ago or earlier and did so
//! within [`REMEMBERED_NANOS`]: an outbreak on many hosts at once is not common, it is an outbreak.
//! Counts are those of the last full hour of the activities' time. Invariant: at most
//! [`bounds::FLEET_HOSTS`] hosts, [`bounds::FLEET_SHOWN`] pairs of host and detection and
//! [`bounds::FLEET_EACH`] hosts of one detection; pairs and hosts dropped for want of room are
//! counted.

use std::collections::HashMap;

use metsuke_event::{EndpointId, TenantId, Timestamp};

use crate::bounds;

const HOUR_NANOS: i64 = 3_600_000_000_000;
/// A host shows a detection settled after so long: longer than an intrusion goes unnoticed in a
/// fleet where many hosts show it.
const SETTLED_NANOS: i64 = 72 * HOUR_NANOS;
/// What was seen so long ago counts no more: monthly work is still known.
const REMEMBERED_NANOS: i64 = 35 * 24 * HOUR_NANOS;
/// Hosts below which a fleet is too small to say what is common.
const LEAST_HOSTS: usize = 20;
/// Up to this share of the hosts a detection is rare and counts in full,
const RARE: f64 = 0.1;
/// from this on it counts least,
const COMMON: f64 = 0.5;
/// which is so much.
const LEAST: f64 = 0.5;

/// When a host showed a detection first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// What is known of a fleet.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// By tenant and detection the hosts that showed it.
    pub(crate) shown: HashMap<(TenantId, usize), HashMap<EndpointId, Span>>,
    /// Hosts that showed anything, with when they last did.
    pub(crate) hosts: HashMap<(TenantId, EndpointId), Timestamp>,
    /// Pairs in `shown`.
    pub(crate) pairs: usize,
    /// Hosts and pairs dropped since the beginning.
    pub(crate) evicted: u64,
    /// By tenant and detection the hour and the counts of it.
    counted: HashMap<(TenantId, usize), (i64, usize)>,
    sizes: HashMap<TenantId, (i64, usize)>,
}

impl Fleet {
    /// `endpoint` shows `detection` at `time`.
    pub(crate) fn learn(
        &mut self,
        (tenant, endpoint): (TenantId, EndpointId),
        detection: usize,
        time: Timestamp,
    ) {
        self.make_room();
        let last = self.hosts.entry((tenant, endpoint)).or_insert(time);
        *last = time.max(*last);
        let hosts = self.shown.entry((tenant, detection)).or_default();
        if let Some(span) = hosts.get_mut(&endpoint) {
            if time.nanos_since(span.last) > REMEMBERED_NANOS {
                span.first = time;
            }
            span.first = span.first.min(time);
            span.last = span.last.max(time);
        } else if hosts.len() < bounds::FLEET_EACH {
            hosts.insert(endpoint, Span { first: time, last: time });
            self.pairs += 1;
        }
    }

    /// What a hit of `detection` counts at `time`, with the hosts that show it and all hosts.
    pub(crate) fn weight(
        &mut self,
        tenant: TenantId,
        detection: usize,
        time: Timestamp,
    ) -> Option<(f64, usize, usize)> {
        let hour = time.as_nanos().div_euclid(HOUR_NANOS);
        let now = Timestamp::from_nanos(hour.saturating_mul(HOUR_NANOS));
        let remembered = now.plus_nanos(-REMEMBERED_NANOS);
        let size = self.sizes.entry(tenant).or_insert((i64::MIN, 0));
        if size.0 != hour {
            let mut of_tenant = self.hosts.iter().filter(|((of, _), _)| *of == tenant);
            let known = |last: &Timestamp| *last >= remembered;
            *size = (hour, of_tenant.by_ref().filter(|(_, last)| known(last)).count());
        }
        let size = size.1;
        if size < LEAST_HOSTS {
            return None;
        }
        let counted = self.counted.entry((tenant, detection)).or_insert((i64::MIN, 0));
        if counted.0 != hour {
            let settled = now.plus_nanos(-SETTLED_NANOS);
            let is = |span: &&Span| span.first <= settled && span.last >= remembered;
            let hosts = self.shown.get(&(tenant, detection));
            *counted = (hour, hosts.map_or(0, |hosts| hosts.values().filter(is).count()));
        }
        let hosts = counted.1;
        let of = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        // More hosts than are held of one detection: common in any fleet.
        let share = if hosts >= bounds::FLEET_EACH { 1.0 } else { of(hosts) / of(size) };
        if share <= RARE {
            return None;
        }
        let far = ((share - RARE) / (COMMON - RARE)).min(1.0);
        Some((1.0 - far * (1.0 - LEAST), hosts, size))
    }

    /// Drops the eighth that was seen longest ago, of hosts or of pairs, when there are too many.
    fn make_room(&mut self) {
        if self.hosts.len() >= bounds::FLEET_HOSTS {
            let edge = edge(self.hosts.values().copied().collect());
            let before = self.hosts.len();
            self.hosts.retain(|_, last| *last > edge);
            self.evicted += (before - self.hosts.len()) as u64;
        }
        if self.pairs >= bounds::FLEET_SHOWN {
            let spans = self.shown.values().flat_map(HashMap::values);
            let edge = edge(spans.map(|span| span.last).collect());
            for hosts in self.shown.values_mut() {
                hosts.retain(|_, span| span.last > edge);
            }
            self.shown.retain(|_, hosts| !hosts.is_empty());
            let left = self.shown.values().map(HashMap::len).sum();
            self.evicted += (self.pairs - left) as u64;
            self.pairs = left;
        }
    }
}

/// Up to which time an eighth of `times` lies.
fn edge(mut times: Vec<Timestamp>) -> Timestamp {
    let eighth = times.len() / 8;
    *times.select_nth_unstable(eighth).1
}
