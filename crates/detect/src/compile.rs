//! Documents in, one immutable [`RuleSet`] and the refusals out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use metsuke_event::field;
use metsuke_event::finding::Layer;

use crate::bounds;
use crate::correlate::{Question, Rule};
use crate::document::{Document, Position, Reason, Refusal, Refused};
use crate::predicate::{FieldIx, FieldKey};
use crate::ruleset::{Meta, RuleSet};
use crate::sigma::correlation::{self, Correlation};
use crate::sigma::header::{self, Header};
use crate::sigma::narrow::{self, Narrowing};
use crate::sigma::{filter, model};
use crate::weigh::Model;
use crate::yaml::{self, Node};

mod narrowing;

/// Compiles `documents` together. What cannot be compiled comes back by name with the reason and
/// touches nothing else. Order does not matter, but of two documents with one id the first counts.
pub fn compile(documents: impl IntoIterator<Item = Document>) -> (Arc<RuleSet>, Vec<Refused>) {
    compile_with(documents, Options::default())
}

/// What a site says beside its documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Values of placeholders (`%Servers%` of the modifier `expand`) by name, without percent
    /// signs, in Sigma's notation. A rule whose placeholder has no value here is refused.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

/// Like [`compile`], with what the site says.
pub fn compile_with(
    documents: impl IntoIterator<Item = Document>,
    options: Options,
) -> (Arc<RuleSet>, Vec<Refused>) {
    let mut compiler = Compiler { options, ..Compiler::default() };
    for document in documents {
        compiler.read(&document);
    }
    compiler.resolve_rules();
    compiler.resolve_narrowings();
    compiler.resolve_models();
    compiler.finish()
}

#[derive(Default)]
struct Compiler {
    options: Options,
    set: RuleSet,
    refused: Vec<Refused>,
    ids: HashSet<String>,
    /// Filters and rules by id and by name; the number counts filters and rules apart.
    by_name: HashMap<String, Target>,
    names: HashMap<String, String>,
    rules: Vec<(Header, Correlation)>,
    models: Vec<(Header, model::Model)>,
    narrowings: Vec<Narrowing>,
    depth: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Target {
    Filter(usize),
    Rule(usize),
}

impl Compiler {
    fn read(&mut self, document: &Document) {
        match yaml::parse(&document.text) {
            Err((reason, position)) => self.refuse(&document.path, None, reason, position),
            Ok(nodes) if nodes.is_empty() => {
                self.refuse(&document.path, None, Reason::UnknownKind, None);
            }
            Ok(nodes) => {
                for node in &nodes {
                    let id = node.get("id").and_then(Node::text).map(str::to_owned);
                    if let Err((reason, position)) = self.read_node(&document.path, node) {
                        self.refuse(&document.path, id, reason, position);
                    }
                }
            }
        }
    }

    fn read_node(&mut self, path: &str, node: &Node) -> Result<(), Refusal> {
        if let Some(correlation) = node.get("correlation") {
            let header = header::parse(node, path, Layer::Rule)?;
            let correlation =
                correlation::parse(node).map_err(|reason| correlation.refuse_key(reason, 0))?;
            self.claim(&header.meta.detection.id, node)?;
            self.rules.push((header, correlation));
        } else if node.get("model").is_some() {
            let header = header::parse(node, path, Layer::Model)?;
            let model = model::parse(node)?;
            self.claim(&header.meta.detection.id, node)?;
            self.models.push((header, model));
        } else if node.get("filter").is_some() {
            let narrowing = narrow::parse(node, path)?;
            self.claim(&narrowing.id, node)?;
            self.narrowings.push(narrowing);
        } else if node.get("detection").is_some() {
            let predicates = &mut self.set.predicates;
            let (header, filter) =
                filter::compile(node, path, predicates, &self.options.placeholders)?;
            self.claim(&header.meta.detection.id, node)?;
            let target = Target::Filter(self.set.filters.len());
            self.name(&header, target);
            self.set.filters.push(header.meta);
            self.set.compiled.push(filter);
        } else {
            return Err(node.refuse(Reason::UnknownKind));
        }
        Ok(())
    }

    fn claim(&mut self, id: &str, node: &Node) -> Result<(), Refusal> {
        if self.ids.insert(id.to_owned()) {
            return Ok(());
        }
        let at = node.get("id").or_else(|| node.get("name")).unwrap_or(node);
        Err(at.refuse(Reason::DuplicateId(id.to_owned())))
    }

    fn name(&mut self, header: &Header, target: Target) {
        let id = &header.meta.detection.id;
        self.by_name.insert(id.clone(), target);
        if let Some(name) = &header.name {
            self.by_name.entry(name.clone()).or_insert(target);
            self.names.insert(id.clone(), name.clone());
        }
    }

    fn refuse(&mut self, path: &str, id: Option<String>, reason: Reason, at: Option<Position>) {
        self.refused.push(Refused { path: path.to_owned(), id, reason, position: at });
    }

    fn refuse_meta(&mut self, meta: &Meta, reason: Reason) {
        let id = Some(meta.detection.id.clone());
        self.refuse(&meta.path, id, reason, None);
    }

    /// Rules may stand on rules: those whose references are all resolved come first, in rounds.
    fn resolve_rules(&mut self) {
        let mut waiting = std::mem::take(&mut self.rules);
        loop {
            let before = waiting.len();
            let mut later = Vec::new();
            for (header, correlation) in waiting {
                if correlation.rules.iter().all(|name| self.by_name.contains_key(name)) {
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
            let missing = correlation.rules.iter().find(|name| !self.by_name.contains_key(*name));
            let name = missing.cloned().unwrap_or_default();
            let reason = if stuck.contains(&name) {
                Reason::Cycle(name)
            } else {
                Reason::UnknownReference(name)
            };
            self.refuse_meta(&header.meta, reason);
        }
    }

    fn resolve_rule(&mut self, mut header: Header, correlation: &Correlation) {
        let targets: Vec<Target> =
            correlation.rules.iter().map(|name| self.by_name[name]).collect();
        let depth = targets.iter().map(|target| match target {
            Target::Filter(_) => 0,
            Target::Rule(rule) => self.depth[*rule],
        });
        let depth = depth.max().unwrap_or(0) + 1;
        if depth > bounds::RULE_CHAIN {
            self.refuse_meta(&header.meta, Reason::TooLarge("chain of rules"));
            return;
        }
        let group_by = correlation.rules.iter().map(|rule| {
            correlation
                .group_by
                .iter()
                .map(|name| self.group_field(correlation, rule, name))
                .collect()
        });
        let group_by: Vec<Vec<FieldIx>> = group_by.collect::<Vec<_>>();
        let question = match &correlation.kind {
            correlation::Kind::EventCount(least) => Question::EventCount(*least),
            correlation::Kind::ValueCount(least, name) => {
                Question::ValueCount(*least, self.field(name))
            }
            correlation::Kind::Temporal(condition) => Question::Temporal(condition.clone()),
            correlation::Kind::TemporalOrdered => Question::Ordered,
        };
        self.inherit(&mut header.meta, &targets);
        let target = Target::Rule(self.set.rules.len());
        self.name(&header, target);
        self.depth.push(depth);
        self.set.correlations.push(Rule {
            question,
            references: correlation.rules.len(),
            group_by,
            timespan_nanos: correlation.timespan_nanos,
            shown: correlation.shown.clone(),
            stands_on: targets
                .iter()
                .map(|target| match target {
                    Target::Filter(filter) => (Layer::Filter, *filter),
                    Target::Rule(rule) => (Layer::Rule, *rule),
                })
                .collect(),
        });
        self.set.rules.push(header.meta);
    }

    /// A rule without tags of its own has those of what it stands on.
    fn inherit(&self, meta: &mut Meta, targets: &[Target]) {
        if !meta.detection.techniques.is_empty() || !meta.detection.tactics.is_empty() {
            return;
        }
        for target in targets {
            let from = match target {
                Target::Filter(filter) => &self.set.filters[*filter].detection,
                Target::Rule(rule) => &self.set.rules[*rule].detection,
            };
            meta.detection.techniques.extend(from.techniques.iter().cloned());
            meta.detection.tactics.extend(from.tactics.iter().cloned());
        }
        for list in [&mut meta.detection.techniques, &mut meta.detection.tactics] {
            list.sort();
            list.dedup();
        }
    }

    fn group_field(&mut self, correlation: &Correlation, rule: &str, name: &str) -> FieldIx {
        let alias = correlation.aliases.iter().find(|(alias, _)| alias == name);
        let name = alias
            .and_then(|(_, rules)| rules.iter().find(|(of, _)| of == rule))
            .map_or(name, |(_, field)| field);
        self.field(name)
    }

    fn field(&mut self, name: &str) -> FieldIx {
        let row = field::by_sigma(name, None).or_else(|| field::by_name(name));
        self.set.predicates.field(FieldKey { id: row.map(|row| row.id), name: name.into() })
    }

    fn resolve_models(&mut self) {
        for (header, written) in std::mem::take(&mut self.models) {
            let mut wanted = written.detections.iter().map(|(name, _)| name).chain(
                written.require.iter().chain(&written.counts).flat_map(|select| &select.detections),
            );
            if let Some(name) = wanted.find(|name| !self.by_name.contains_key(*name)) {
                let reason = Reason::UnknownReference(name.clone());
                self.refuse_meta(&header.meta, reason);
                continue;
            }
            let metas = self.set.filters.iter().chain(&self.set.rules);
            let model = Model::resolve(&written, metas, &self.names);
            self.set.weighings.push(model);
            self.set.models.push(header.meta);
        }
    }

    fn finish(mut self) -> (Arc<RuleSet>, Vec<Refused>) {
        let set = &mut self.set;
        let filters = set.filters.len();
        set.listeners = vec![Vec::new(); filters + set.rules.len()];
        for (rule, correlation) in set.correlations.iter().enumerate() {
            for (reference, (layer, index)) in correlation.stands_on.iter().enumerate() {
                let index = if *layer == Layer::Rule { filters + index } else { *index };
                set.listeners[index].push((rule, reference));
            }
        }
        for (index, key) in (0..).zip(&set.predicates.fields) {
            if !key.name.is_empty() {
                set.fields_named.entry(key.name.clone()).or_default().push(FieldIx(index));
            }
        }
        set.predicates.seal();
        (Arc::new(self.set), self.refused)
    }
}
