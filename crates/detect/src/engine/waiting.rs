//! Sequences that end with what must not come: armed, ended, and struck when their time is over.

use std::collections::HashMap;
use std::sync::Arc;

use metsuke_event::{EndpointId, Event, Timestamp};

use super::{Engine, Findings, Strike};
use crate::awaited::{Due, GRACE_NANOS, Pending};
use crate::clock::believed;
use crate::correlate::{Correlator, Key, Rule, Struck};
use crate::question::Question;
use crate::weigh::Found;

/// When the last activity of each endpoint was: how far is known what came there, and what did not.
#[derive(Clone, Debug, Default)]
pub struct Ends(HashMap<EndpointId, Timestamp>);

impl Ends {
    /// Takes note of an activity.
    pub fn note(&mut self, event: &Event) {
        let time = believed(event);
        let last = self.0.entry(event.id.endpoint).or_insert(time);
        *last = time.max(*last);
    }
}

impl Engine {
    /// Says that it is `now`, where no activity says it: sequences that wait for something not to
    /// come strike a minute after their time is over, also on hosts that say nothing more. `now`
    /// must not be ahead of activities that are still to be observed by more than that minute.
    pub fn advance(&mut self, now: Timestamp) -> Findings {
        self.advance_each(|_| Some(now))
    }

    /// Like [`Engine::advance`], with a time for each endpoint, for their clocks differ. What is
    /// waited for on one that `now` has no time for is waited for still.
    pub fn advance_each(&mut self, now: impl Fn(EndpointId) -> Option<Timestamp>) -> Findings {
        let over = self.awaited.over_each(now);
        self.struck(over)
    }

    /// Says that no activity comes any more and that all before `last` were observed: what was over by
    /// then strikes. Whether something came after it, nobody knows; what waits for that does not
    /// strike.
    pub fn close(&mut self, last: Timestamp) -> Findings {
        self.advance(last.plus_nanos(GRACE_NANOS))
    }

    /// Like [`Engine::close`], with an end for each endpoint: records of one may end before those of
    /// another, or its clock be ahead.
    pub fn close_each(&mut self, ends: &Ends) -> Findings {
        self.advance_each(|endpoint| ends.0.get(&endpoint).map(|last| last.plus_nanos(GRACE_NANOS)))
    }

    /// How many sequences wait for something not to come: time alone matters to them.
    pub fn waiting(&self) -> usize {
        self.awaited.len()
    }

    /// What is over on the endpoint of `event`.
    pub(super) fn over_by(&mut self, event: &Event) -> Findings {
        let over = self.awaited.over(event.id.endpoint, believed(event));
        if over.is_empty() { Findings::default() } else { self.struck(over) }
    }

    /// Ends what waits under `key`, when reference number `reference` is what must not come.
    pub(super) fn ends(&mut self, rule: &Rule, key: &Key, reference: usize, time: Timestamp) {
        if let Question::Sequence(sequence) = &rule.question
            && let Some(trailing) = &sequence.trailing
            && (trailing.without[reference] || sequence.until[reference])
        {
            self.awaited.disarm(key, time);
        }
    }

    /// Waits for `strike`, which `event` brought, unless what must not come was there.
    pub(super) fn arm(
        &mut self,
        rule: &Rule,
        key: Key,
        (event, struck): (&Event, &Struck),
        mut strike: Strike,
    ) {
        let Question::Sequence(sequence) = &rule.question else { return };
        let Some(trailing) = &sequence.trailing else { return };
        // A step may come late: the last is not always the one at hand.
        let Some(since) = struck.hits.last().map(|hit| hit.time) else { return };
        let over = since.plus_nanos(trailing.within_nanos);
        if self.correlator.windows.get(&key).is_some_and(|window| {
            window.hits.iter().any(|hit| {
                let ends = trailing.without[hit.reference] || sequence.until[hit.reference];
                let is_step = struck.hits.iter().any(|step| step.event == hit.event);
                ends && !is_step && since <= hit.time && hit.time <= over
            })
        }) {
            return;
        }
        self.mark(event, &mut strike);
        let withheld = self.withheld(event, &strike);
        let Strike { mut hit, events, .. } = strike;
        hit.time = over;
        let pending = Pending { since, hit, events, withheld };
        self.awaited.arm((event.id.endpoint, over, key), pending);
    }

    /// The findings of what is over.
    fn struck(&mut self, over: Vec<(Due, Pending)>) -> Findings {
        let rules = Arc::clone(&self.rules);
        let mut findings = Findings::default();
        for ((endpoint, time, key), pending) in over {
            let rule = &rules.correlations[key.0];
            if !self.correlator.rest(rule, &key, time) {
                continue;
            }
            self.counters.rule_hits += 1;
            let Pending { hit, events, withheld, .. } = pending;
            match &hit.excepted {
                Some(id) => {
                    self.counters.excepted += 1;
                    self.laid.count(id);
                }
                None if !hit.storyline.is_empty() => {
                    let detection = rules.filters.len() + key.0;
                    let found = Found::of(&hit, detection, time, (withheld, events));
                    let alerts = self.weigh_found((hit.event.tenant, endpoint, time), vec![found]);
                    self.counters.alerts += alerts.len() as u64;
                    findings.alerts.extend(alerts);
                }
                None => {}
            }
            findings.hits.push(hit);
        }
        findings
    }
}

impl Correlator {
    /// Whether the rule did not strike under `key` within its timespan of `time`; then it does now.
    fn rest(&mut self, rule: &Rule, key: &Key, time: Timestamp) -> bool {
        let Some(window) = self.windows.get_mut(key) else { return true };
        let rested = window.rested(rule, time);
        if rested {
            window.struck = Some(time);
        }
        rested
    }
}
