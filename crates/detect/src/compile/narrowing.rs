//! Sigma filter documents, put to the filters they narrow.
//!
//! A document that cannot narrow everything it names is refused whole: half of an exception would
//! go unseen.

use crate::bounds;
use crate::document::{Reason, Refusal};
use crate::sigma::narrow::{Narrowing, Rules};

use super::{Compiler, Target};

impl Compiler {
    pub(super) fn resolve_narrowings(&mut self) {
        for narrowing in std::mem::take(&mut self.narrowings) {
            if let Err((reason, position)) = self.narrow(&narrowing) {
                let position = position.or(Some(narrowing.place()));
                self.refuse(&narrowing.path, Some(narrowing.id), reason, position);
            }
        }
    }

    fn narrow(&mut self, narrowing: &Narrowing) -> Result<(), Refusal> {
        let wanted = self.narrowed(narrowing)?;
        let placeholders = &self.options.placeholders;
        // Once for itself: it is wrong also where it narrows nothing, and tells its size.
        let predicates = &mut self.set.predicates;
        let own = narrowing.compile(&narrowing.source, (0, 0), predicates, placeholders)?;
        let size = self.narrowing_size + own.size() * wanted.len();
        if size > bounds::NARROWING_PREDICATES {
            let what = "predicates of all filter documents, for each filter they narrow";
            return Err((Reason::TooLarge(what), None));
        }
        let mut additions = Vec::with_capacity(wanted.len());
        for index in wanted {
            let filter = &self.set.compiled[index];
            let before = (filter.names.len(), filter.clauses.len());
            let predicates = &mut self.set.predicates;
            let addition = narrowing.compile(&filter.source, before, predicates, placeholders)?;
            additions.push((index, addition));
        }
        self.narrowing_size = size;
        for (index, addition) in additions {
            addition.apply(&mut self.set.compiled[index]);
            self.set.filters[index].narrowed_by.push(narrowing.id.clone());
        }
        self.set.narrowings += 1;
        Ok(())
    }

    /// The filters it narrows, each once.
    fn narrowed(&self, narrowing: &Narrowing) -> Result<Vec<usize>, Refusal> {
        let source = narrowing.source.as_log_source();
        let agrees =
            |index: &usize| source.accepts(&self.set.compiled[*index].source.as_log_source());
        let Rules::Named(names) = &narrowing.rules else {
            return Ok((0..self.set.compiled.len()).filter(agrees).collect());
        };
        let mut wanted = Vec::with_capacity(names.len());
        for (name, at) in names {
            let refuse = |reason| (reason, Some(*at));
            match self.by_name.get(name) {
                None => return Err(refuse(Reason::UnknownReference(name.clone()))),
                Some(Target::Rule(_)) => return Err(refuse(Reason::NotAFilter(name.clone()))),
                Some(Target::Filter(index)) if !agrees(index) => {
                    return Err(refuse(Reason::OtherSource { filter: name.clone() }));
                }
                Some(Target::Filter(index)) => wanted.push(*index),
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }
}
