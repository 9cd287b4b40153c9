//! Documents in, one immutable [`RuleSet`] and the refusals out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use metsuke_event::finding::Layer;

use crate::document::{Document, Position, Reason, Refusal, Refused};
use crate::own;
use crate::question::Question;
use crate::ruleset::{Meta, Names, RuleSet};
use crate::sigma::correlation::{self, Correlation};
use crate::sigma::header::{self, Header};
use crate::sigma::narrow::{self, Narrowing};
use crate::sigma::{filter, model};
use crate::weigh::Model;
use crate::yaml::{self, Node};

mod narrowing;
mod rules;

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
    /// Predicates that filter documents have added.
    narrowing_size: usize,
    depth: Vec<usize>,
    /// Detections that rules keep for themselves, and those that some rule gives.
    kept: Vec<Target>,
    given: Vec<Target>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let rule = node.get("correlation").map(correlation::parse).or_else(|| own::parse(node));
        if let Some(rule) = rule {
            let header = header::parse(node, path, Layer::Rule)?;
            let rule = rule?;
            self.claim(&header.meta.detection.id, node)?;
            self.rules.push((header, rule));
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

    fn refuse_meta(&mut self, meta: &Meta, reason: Reason, at: Option<Position>) {
        let id = Some(meta.detection.id.clone());
        self.refuse(&meta.path, id, reason, at);
    }

    fn resolve_models(&mut self) {
        for (header, written) in std::mem::take(&mut self.models) {
            let mut wanted = written.detections.iter().map(|(name, _)| name).chain(
                written.require.iter().chain(&written.counts).flat_map(|select| &select.detections),
            );
            if let Some(name) = wanted.find(|name| !self.by_name.contains_key(*name)) {
                let reason = Reason::UnknownReference(name.clone());
                self.refuse_meta(&header.meta, reason, None);
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
        set.silent = vec![false; filters + set.rules.len()];
        for target in self.kept.iter().filter(|target| !self.given.contains(target)) {
            match target {
                Target::Filter(filter) => set.silent[*filter] = true,
                Target::Rule(rule) => set.silent[filters + rule] = true,
            }
        }
        set.asks_kinship = set.correlations.iter().any(|rule| {
            matches!(&rule.question, Question::Sequence(sequence) if sequence.asks_kinship())
        });
        let is_indicator =
            |rule: &usize| matches!(set.correlations[*rule].question, Question::Indicator(_));
        set.indicators = (0..set.correlations.len()).filter(is_indicator).collect();
        set.listeners = vec![Vec::new(); filters + set.rules.len()];
        for (rule, correlation) in set.correlations.iter().enumerate() {
            for (reference, (layer, index)) in correlation.stands_on.iter().enumerate() {
                let index = if *layer == Layer::Rule { filters + index } else { *index };
                set.listeners[index].push((rule, reference));
            }
        }
        set.names = Names::of(&set.predicates.fields);
        for filter in &mut set.compiled {
            filter.expr.order(&set.predicates);
        }
        set.predicates.seal();
        (Arc::new(self.set), self.refused)
    }
}
