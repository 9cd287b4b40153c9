//! Names of processes seen lately, so that an alert can name the processes of its steps.
//!
//! Bounded by two generations: when the young one is full, the old one is forgotten.

use std::collections::{BTreeSet, HashMap};

use metsuke_catalog::{AlertContext, ProcessBrief};
use metsuke_event::finding::Alert;
use metsuke_event::{EndpointId, Event, Text};
use metsuke_incident::{Observable, bounds, observables};

/// Processes per generation; about 200 bytes each.
const GENERATION: usize = 50_000;

type Key = (EndpointId, Text);

/// Names of processes seen lately.
#[derive(Debug, Default)]
pub(crate) struct Names {
    young: HashMap<Key, ProcessBrief>,
    old: HashMap<Key, ProcessBrief>,
    hosts: HashMap<EndpointId, Text>,
    /// What hits were about, by the process that acted.
    touched: HashMap<Key, BTreeSet<Observable>>,
    touched_before: HashMap<Key, BTreeSet<Observable>>,
}

impl Names {
    /// Remembers the process that acted in `event`.
    pub(crate) fn see(&mut self, event: &Event) {
        let endpoint = event.id.endpoint;
        if let Some(host) = &event.host
            && self.hosts.get(&endpoint) != Some(host)
        {
            self.hosts.insert(endpoint, Text::clone(host));
        }
        let process = &event.process;
        let Some(uid) = &process.uid else { return };
        let key = (endpoint, Text::clone(uid));
        // After an exec the same process has another name.
        let exec = event.activity.kind() == metsuke_event::Kind::ProcessExec;
        if !exec && self.young.contains_key(&key) {
            return;
        }
        let text = |text: &Option<Text>| text.as_deref().map(str::to_owned);
        let brief = ProcessBrief {
            name: text(&process.name),
            exe: text(&process.exe),
            user: text(&process.user_name),
        };
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, brief);
    }

    /// Remembers what `event`, on which something struck, was about.
    pub(crate) fn struck(&mut self, event: &Event) {
        let Some(uid) = &event.process.uid else { return };
        let found = observables(event);
        if found.is_empty() {
            return;
        }
        if self.touched.len() >= GENERATION {
            self.touched_before = std::mem::take(&mut self.touched);
        }
        let known = self.touched.entry((event.id.endpoint, Text::clone(uid))).or_default();
        known.extend(found.into_iter().take(bounds::OBSERVABLES.saturating_sub(known.len())));
    }

    /// The names `alert` speaks of.
    pub(crate) fn context(&self, alert: &Alert) -> AlertContext {
        let steps = alert.highlights.iter().map(|step| step.process.as_str());
        let processes = steps
            .chain([alert.storyline.as_str()])
            .filter_map(|uid| {
                let key = (alert.endpoint, Text::from(uid));
                let brief = self.young.get(&key).or_else(|| self.old.get(&key))?;
                Some((uid.to_owned(), brief.clone()))
            })
            .collect();
        let host = self.hosts.get(&alert.endpoint).map(ToString::to_string);
        let mut touched = BTreeSet::new();
        for step in &alert.highlights {
            let key = (alert.endpoint, Text::from(step.process.as_str()));
            let known = [&self.touched, &self.touched_before].into_iter();
            touched.extend(known.filter_map(|known| known.get(&key)).flatten().cloned());
        }
        let observables = touched.into_iter().take(bounds::OBSERVABLES).collect();
        AlertContext { host, processes, observables }
    }
}
