//! Collects what was left out, by reason, with one example each.

use std::collections::BTreeMap;

use metsuke_event::inventory::LeftOut;

/// What was left out so far. The reasons are few and fixed in this crate, so it stays small.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left(BTreeMap<&'static str, (u64, String)>);

impl Left {
    pub(crate) fn add(&mut self, reason: &'static str, example: impl FnOnce() -> String) {
        self.0.entry(reason).or_insert_with(|| (0, example())).0 += 1;
    }

    pub(crate) fn list(&self) -> Vec<LeftOut> {
        let one = |(reason, (count, example)): (&&str, &(u64, String))| LeftOut {
            reason: (*reason).to_owned(),
            count: *count,
            example: example.clone(),
        };
        self.0.iter().map(one).collect()
    }
}
