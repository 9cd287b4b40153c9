//! What a site lays over the content: exceptions, tuning, past findings, what hosts are worth.
//!
//! An [`Overlay`] knows detections by id and belongs to no rule set, so both can be changed apart
//! while an engine runs ([`crate::Engine::lay`], [`crate::Engine::with_rules`]). An excepted hit is
//! collected, not alerted: it is found and marked, and neither rules nor models see it. A detection
//! that is switched off finds nothing where it is off.
//!
//! Invariant: an exception that does not compile hides nothing and is named with the reason.

mod laid;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use metsuke_event::finding::Level;
use metsuke_event::{EndpointId, Timestamp};

use crate::bounds;
use crate::compile::Options;
use crate::document::{Reason, Refusal, Refused};
use crate::predicate::Predicates;
use crate::sigma::filter::{self, Place};
use crate::weigh::Judged;
use crate::yaml::{self, Kind, Node, cut};

pub(crate) use laid::{Laid, Tuned};

/// The group of endpoints that a site did not put into one.
pub const DEFAULT_GROUP: &str = "default";

/// Where something holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// On these endpoints,
    pub endpoints: BTreeSet<EndpointId>,
    /// and on those of these groups. With neither: everywhere.
    pub groups: BTreeSet<String>,
}

/// Hits that are collected and not alerted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its id: hits that it hides carry it.
    pub id: String,
    /// Ids of the detections it is about; empty: every filter and rule. Of a model, what meets the
    /// exception is not weighed by that model and stays a hit.
    pub detections: Vec<String>,
    /// Where it holds.
    pub scope: Scope,
    /// What the activity must be like: a search as Sigma writes it, in YAML (a mapping, all of it;
    /// a list, one of it). A field's name means what it means in the filter that struck. Empty:
    /// whatever the activity is like.
    pub condition: String,
    /// From this time of activities on it hides nothing more.
    pub expires: Option<Timestamp>,
}

/// A detection switched off, or given another level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// The detection's id.
    pub detection: String,
    /// Where. What is said of an endpoint counts before what is said of its group, and that before
    /// what is said of all; of two that say as much the later counts.
    pub scope: Scope,
    /// Whether it is in force; left as it is when not said.
    pub enabled: Option<bool>,
    /// Its level; left as it is when not said. A model's is the level of its alerts, whatever their
    /// score.
    pub level: Option<Level>,
}

/// What a site says about the content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// Exceptions; a hit that several hide is counted for the first.
    pub exceptions: Vec<Exception>,
    /// Tuning.
    pub tunings: Vec<Tuning>,
    /// The groups of endpoints; an endpoint that is not here is in [`DEFAULT_GROUP`].
    pub groups: HashMap<EndpointId, BTreeSet<String>>,
    /// Past findings of analysts, by the detection's id: what was often wrong counts less.
    pub findings: HashMap<String, Judged>,
    /// What endpoints are worth, 1 when not said, within [`crate::bounds::IMPORTANCE`]: points of
    /// models are multiplied by it.
    pub importance: HashMap<EndpointId, f64>,
    /// Values of placeholders in conditions, as in [`Options`].
    pub placeholders: BTreeMap<String, Vec<String>>,
}

/// A compiled [`Site`]; immutable, shared by engines.
#[derive(Debug, Default)]
pub struct Overlay {
    exceptions: Vec<Compiled>,
    tunings: Vec<Tuning>,
    groups: HashMap<EndpointId, BTreeSet<String>>,
    findings: HashMap<String, Judged>,
    importance: HashMap<EndpointId, f64>,
    options: Options,
}

/// An exception whose condition is known to compile.
#[derive(Debug)]
struct Compiled {
    written: Exception,
    condition: Option<Node>,
}

impl Overlay {
    /// Compiles what a site says. An exception that cannot be compiled is named (its id stands for
    /// path and id) and hides nothing.
    pub fn compile(mut site: Site) -> (Arc<Self>, Vec<Refused>) {
        let options = Options { placeholders: std::mem::take(&mut site.placeholders) };
        let mut refused = Vec::new();
        let mut refuse = |id: &str, (reason, position): Refusal| {
            refused.push(Refused {
                path: format!("exception {}", cut(id)),
                id: Some(id.to_owned()),
                reason,
                position,
            });
        };
        let mut exceptions: Vec<Compiled> = Vec::with_capacity(site.exceptions.len());
        for written in std::mem::take(&mut site.exceptions) {
            let known = |other: &Compiled| other.written.id == written.id;
            let outcome = if exceptions.len() >= bounds::EXCEPTIONS {
                Err((Reason::TooLarge("exceptions of a site"), None))
            } else if exceptions.iter().any(known) {
                Err((Reason::DuplicateId(cut(&written.id)), None))
            } else {
                condition(&written.condition, &options)
            };
            match outcome {
                Ok(condition) => exceptions.push(Compiled { written, condition }),
                Err(refusal) => refuse(&written.id, refusal),
            }
        }
        let mut tunings = std::mem::take(&mut site.tunings);
        for tuning in tunings.drain(tunings.len().min(bounds::TUNINGS)..) {
            refuse(&tuning.detection, (Reason::TooLarge("tunings of a site"), None));
        }
        let Site { groups, findings, importance, .. } = site;
        (Arc::new(Self { exceptions, tunings, groups, findings, importance, options }), refused)
    }

    /// Ids of the exceptions without a condition: they hide whatever they are about, also when their
    /// text is not empty but says nothing (a comment, `null`).
    pub fn unconditional(&self) -> impl Iterator<Item = &str> {
        let bare = self.exceptions.iter().filter(|one| one.condition.is_none());
        bare.map(|one| one.written.id.as_str())
    }

    /// Whether `scope` holds on `endpoint`, and how closely it names it.
    fn covers(&self, scope: &Scope, endpoint: EndpointId) -> Option<Closeness> {
        if scope.endpoints.contains(&endpoint) {
            return Some(Closeness::Endpoint);
        }
        let in_group = match self.groups.get(&endpoint) {
            Some(groups) => !groups.is_disjoint(&scope.groups),
            None => scope.groups.contains(DEFAULT_GROUP),
        };
        if in_group {
            return Some(Closeness::Group);
        }
        let everywhere = scope.endpoints.is_empty() && scope.groups.is_empty();
        everywhere.then_some(Closeness::Everywhere)
    }
}

/// How closely a scope names an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Everywhere,
    Group,
    Endpoint,
}

/// Reads a condition and sees that it compiles; nothing for an empty one.
fn condition(text: &str, options: &Options) -> Result<Option<Node>, Refusal> {
    let mut nodes = yaml::parse(text)?;
    if nodes.len() > 1 {
        let expected = "one search: a mapping or a list of mappings";
        return Err(nodes[1].refuse(Reason::WrongType { field: "condition".to_owned(), expected }));
    }
    let Some(node) = nodes.pop().filter(|node| !node.is_null()) else { return Ok(None) };
    if let Kind::Scalar { .. } = node.kind {
        let expected = "a mapping of fields and values, or a list of such";
        return Err(node.refuse(Reason::WrongType { field: "condition".to_owned(), expected }));
    }
    compiled(&node, None, &mut Predicates::default(), options)?;
    Ok(Some(node))
}

/// The condition at `node` for filters of `category`.
fn compiled(
    node: &Node,
    category: Option<String>,
    predicates: &mut Predicates,
    options: &Options,
) -> Result<crate::filter::Filter, Refusal> {
    let place = Place { predicates, placeholders: &options.placeholders, category, before: (0, 0) };
    filter::search(node, place)
}
