//! Who is whose parent, as far as activities told: for the kinship that sequences ask for.
//!
//! Kept only when a rule asks. Invariant: at most [`bounds::KIN`] processes; those that were
//! learned first are dropped first, and counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use metsuke_event::Event;

use crate::bounds;

/// Parents of processes, by `process.uid`.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    parents: HashMap<Arc<str>, Arc<str>>,
    order: VecDeque<Arc<str>>,
    /// Processes dropped since the beginning.
    pub(crate) evicted: u64,
}

impl Kin {
    /// Takes what `event` says of its process and parent.
    pub(crate) fn learn(&mut self, event: &Event) {
        if let (Some(child), Some(parent)) = (&event.process.uid, &event.process.parent_uid) {
            self.add(child, parent);
        }
    }

    /// Takes one parent; the first that is told is kept.
    pub(crate) fn add(&mut self, child: &Arc<str>, parent: &Arc<str>) {
        if self.parents.contains_key(child) {
            return;
        }
        if self.order.len() >= bounds::KIN
            && let Some(oldest) = self.order.pop_front()
        {
            self.parents.remove(&oldest);
            self.evicted += 1;
        }
        self.order.push_back(Arc::clone(child));
        self.parents.insert(Arc::clone(child), Arc::clone(parent));
    }

    /// The process of `event`, its parent, grandparent and so on, as far as they are known.
    pub(crate) fn line(&self, event: &Event) -> Vec<String> {
        let Some(own) = &event.process.uid else { return Vec::new() };
        let mut line = vec![own.to_string()];
        let mut next = event.process.parent_uid.as_ref().or_else(|| self.parents.get(own));
        while let Some(parent) = next
            && line.len() < bounds::KIN_DEPTH
        {
            line.push(parent.to_string());
            next = self.parents.get(parent);
        }
        line
    }

    /// All of it, in the order it was learned.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Arc<str>)> {
        self.order.iter().map(|child| (child, &self.parents[child]))
    }
}
