//! Rules put together: their references found, their fields numbered, in an order in which each
//! stands on what came before.

use std::collections::HashSet;

use metsuke_event::field;
use metsuke_event::finding::Layer;

use crate::bounds;
use crate::correlate::{Rule, Scope};
use crate::document::{Position, Reason, Refusal};
use crate::predicate::{FieldIx, FieldKey};
use crate::ruleset::Meta;
use crate::sigma::correlation::{By, Correlation, Generate};
use crate::sigma::header::Header;
use crate::yaml::mix;

use super::{Compiler, Target};

impl Compiler {
    /// Rules may stand on rules: those whose references are all resolved come first, in rounds.
    pub(super) fn resolve_rules(&mut self) {
        let mut waiting = std::mem::take(&mut self.rules);
        loop {
            let before = waiting.len();
            let mut later = Vec::new();
            for (header, correlation) in waiting {
                if self.missing(&correlation).is_none() {
                    self.resolve_rule(header, &correlation);
                } else {
                    later.push((header, correlation));
                }
            }
            waiting = later;
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        let stuck: HashSet<String> = waiting
            .iter()
            .flat_map(|(header, _)| [Some(header.meta.detection.id.clone()), header.name.clone()])
            .flatten()
            .collect();
        for (header, correlation) in waiting {
            let Some((name, at)) = self.missing(&correlation) else { continue };
            let reason = if stuck.contains(&name) {
                Reason::Cycle(name)
            } else {
                Reason::UnknownReference(name)
            };
            self.refuse_meta(&header.meta, reason, Some(at));
        }
    }

    fn missing(&self, correlation: &Correlation) -> Option<(String, Position)> {
        correlation.rules.iter().find(|(name, _)| !self.by_name.contains_key(name)).cloned()
    }

    fn resolve_rule(&mut self, mut header: Header, correlation: &Correlation) {
        let targets: Vec<Target> =
            correlation.rules.iter().map(|(name, _)| self.by_name[name]).collect();
        let depth = match self.standable(correlation, &targets) {
            Ok(depth) => depth,
            Err((reason, at)) => {
                self.refuse_meta(&header.meta, reason, at);
                return;
            }
        };
        let scope = match &correlation.by {
            By::Fields(names) => Scope::Fields(
                (0..targets.len())
                    .map(|of| {
                        names.iter().map(|name| self.aliased(correlation, of, name)).collect()
                    })
                    .collect(),
            ),
            By::Storyline => Scope::Storyline,
            By::Host => Scope::Host,
            By::User => Scope::User(self.field("User")),
            By::Fleet => Scope::Fleet,
        };
        let measures = correlation
            .measures
            .iter()
            .map(|names| {
                (0..targets.len())
                    .map(|of| {
                        names.iter().map(|name| self.aliased(correlation, of, name)).collect()
                    })
                    .collect()
            })
            .collect();
        self.inherit(&mut header.meta, &targets);
        match correlation.generate {
            Generate::Unsaid => {}
            Generate::Yes => self.given.extend(&targets),
            Generate::No => self.kept.extend(&targets),
        }
        let digest = targets.iter().fold(correlation.digest, |digest, target| {
            mix(digest, self.meta(*target).detection.id.as_bytes())
        });
        let target = Target::Rule(self.set.rules.len());
        self.name(&header, target);
        self.depth.push(depth);
        self.set.correlations.push(Rule {
            question: correlation.question.clone(),
            references: targets.len(),
            scope,
            measures,
            timespan_nanos: correlation.timespan_nanos,
            shown: correlation.shown.clone(),
            stands_on: targets
                .iter()
                .map(|target| match target {
                    Target::Filter(filter) => (Layer::Filter, *filter),
                    Target::Rule(rule) => (Layer::Rule, *rule),
                })
                .collect(),
            digest,
        });
        self.set.rules.push(header.meta);
    }

    /// How deep it stands on rules, or why it cannot stand on these.
    fn standable(&self, correlation: &Correlation, targets: &[Target]) -> Result<usize, Refusal> {
        let depth = targets.iter().map(|target| match target {
            Target::Filter(_) => 0,
            Target::Rule(rule) => self.depth[*rule],
        });
        let depth = depth.max().unwrap_or(0) + 1;
        if depth > bounds::RULE_CHAIN {
            return Err((Reason::TooLarge("chain of rules"), None));
        }
        let waits = |target: &Target| match target {
            Target::Rule(rule) => self.set.correlations[*rule].waits(),
            Target::Filter(_) => false,
        };
        if let Some(which) = targets.iter().position(waits) {
            let (name, at) = correlation.rules[which].clone();
            return Err((Reason::Waits(name), Some(at)));
        }
        match self.wrong_alias(correlation, targets) {
            Some(name) => {
                let at = correlation.rules.first().map(|(_, at)| *at);
                Err((Reason::Alias(name), at))
            }
            None => Ok(depth),
        }
    }

    fn meta(&self, target: Target) -> &Meta {
        match target {
            Target::Filter(filter) => &self.set.filters[filter],
            Target::Rule(rule) => &self.set.rules[rule],
        }
    }

    /// A rule without tags of its own has those of what it stands on.
    fn inherit(&self, meta: &mut Meta, targets: &[Target]) {
        if !meta.detection.techniques.is_empty() || !meta.detection.tactics.is_empty() {
            return;
        }
        for target in targets {
            let from = &self.meta(*target).detection;
            meta.detection.techniques.extend(from.techniques.iter().cloned());
            meta.detection.tactics.extend(from.tactics.iter().cloned());
        }
        for list in [&mut meta.detection.techniques, &mut meta.detection.tactics] {
            list.sort();
            list.dedup();
        }
    }

    /// An alias that is used and lacks a field for one of the rules, or names a rule that is not
    /// among them: nothing would ever be joined by it.
    fn wrong_alias(&self, correlation: &Correlation, targets: &[Target]) -> Option<String> {
        let wrong = |(_, rules): &&(String, Vec<(String, String)>)| {
            let named: Vec<_> = rules.iter().map(|(rule, _)| self.by_name.get(rule)).collect();
            let strange = named.iter().any(|one| one.is_none_or(|one| !targets.contains(one)));
            strange || targets.iter().any(|target| !named.contains(&Some(target)))
        };
        correlation.aliases.iter().find(wrong).map(|(name, _)| name.clone())
    }

    /// The field that `name`, perhaps an alias, means for reference number `of`.
    fn aliased(&mut self, correlation: &Correlation, of: usize, name: &str) -> FieldIx {
        let target = self.by_name.get(&correlation.rules[of].0).copied();
        let alias = correlation.aliases.iter().find(|(alias, _)| alias == name);
        let name = alias
            .and_then(|(_, rules)| {
                rules.iter().find(|(rule, _)| self.by_name.get(rule).copied() == target)
            })
            .map_or(name, |(_, field)| field);
        self.field(name)
    }

    fn field(&mut self, name: &str) -> FieldIx {
        let row = field::by_sigma(name, None).or_else(|| field::by_name(name));
        self.set.predicates.field(FieldKey { id: row.map(|row| row.id), name: name.into() })
    }
}
