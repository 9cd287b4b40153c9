//! A plan: which filters an activity of one log-source class can match, and by which literals.
//!
//! Invariant: a filter that matches is always woken (the tests compare with evaluation of every
//! filter).

use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, packed};
use daachorse::DoubleArrayAhoCorasick;
use metsuke_event::logsource::LogSource;

use crate::filter::Filter;
use crate::predicate::{FieldIx, Predicates};
use crate::witness::{self, Anchor, Literal};

/// Sets of up to this many literals are searched by vector instructions.
const SMALL_SET: usize = 32;

/// Index of a filter in the rule set.
pub(crate) type FilterIx = u32;

/// What to look for in an activity of one class.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Filters without witness.
    pub(crate) always: Vec<FilterIx>,
    pub(crate) fields: Vec<Watch>,
}

/// What to look for in one field.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) field: FieldIx,
    whole: HashMap<Box<str>, Vec<FilterIx>>,
    /// Bytes of the longest key of `whole`: longer values need no look.
    longest: usize,
    start: Tails,
    end: Tails,
    anywhere: Substrings,
}

impl Plan {
    /// The plan for activities of `sources`.
    pub(crate) fn build(
        filters: &[Filter],
        predicates: &Predicates,
        sources: &[LogSource<'_>],
    ) -> Self {
        let mut plan = Self::default();
        let mut watched: BTreeMap<FieldIx, BTreeMap<Literal, Vec<FilterIx>>> = BTreeMap::new();
        for (index, filter) in (0..).zip(filters) {
            let wanted = filter.source.as_log_source();
            if !sources.iter().any(|source| wanted.accepts(source)) {
                continue;
            }
            let Some(literals) = witness::of(&filter.expr, predicates) else {
                plan.always.push(index);
                continue;
            };
            for literal in literals {
                let filters = watched.entry(literal.field).or_default().entry(literal).or_default();
                if filters.last() != Some(&index) {
                    filters.push(index);
                }
            }
        }
        plan.fields = watched.into_iter().map(|(field, set)| Watch::build(field, set)).collect();
        plan
    }
}

impl Watch {
    fn build(field: FieldIx, set: BTreeMap<Literal, Vec<FilterIx>>) -> Self {
        let mut whole: HashMap<Box<str>, Vec<FilterIx>> = HashMap::new();
        let mut start = Vec::new();
        let mut end = Vec::new();
        let mut anywhere = Vec::new();
        for (literal, filters) in set {
            match literal.anchor {
                Anchor::Whole => {
                    whole.insert(literal.text.into_boxed_str(), filters);
                }
                Anchor::Start => start.push((literal.text.into_bytes(), filters)),
                Anchor::End => {
                    let mut bytes = literal.text.into_bytes();
                    bytes.reverse();
                    end.push((bytes, filters));
                }
                Anchor::Anywhere => anywhere.push((literal.text, filters)),
            }
        }
        Self {
            field,
            longest: whole.keys().map(|key| key.len()).max().unwrap_or(0),
            whole,
            start: Tails::build(start),
            end: Tails::build(end),
            anywhere: Substrings::build(anywhere),
        }
    }

    /// Calls `wake` for the filters that a literal in the lower-case `text` wakes.
    pub(crate) fn look(&self, text: &str, wake: &mut impl FnMut(&[FilterIx])) {
        if text.len() <= self.longest
            && let Some(filters) = self.whole.get(text)
        {
            wake(filters);
        }
        self.start.look(text.bytes(), wake);
        self.end.look(text.bytes().rev(), wake);
        self.anywhere.look(text, wake);
    }
}

/// Literals that begin (or, reversed, end) a value: a trie in two flat tables.
#[derive(Debug, Default)]
struct Tails {
    /// Per node the range of its edges.
    nodes: Vec<(u32, u32)>,
    /// Edges: byte and node, sorted by byte within a node.
    edges: Vec<(u8, u32)>,
    /// Filters that wake at a node.
    filters: Vec<Vec<FilterIx>>,
}

impl Tails {
    fn build(literals: Vec<(Vec<u8>, Vec<FilterIx>)>) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let mut children: Vec<BTreeMap<u8, u32>> = vec![BTreeMap::new()];
        let mut filters: Vec<Vec<FilterIx>> = vec![Vec::new()];
        for (bytes, woken) in literals {
            let mut node = 0_usize;
            for byte in bytes {
                let next = u32::try_from(children.len()).unwrap_or(u32::MAX);
                let child = *children[node].entry(byte).or_insert(next);
                if child == next {
                    children.push(BTreeMap::new());
                    filters.push(Vec::new());
                }
                node = child as usize;
            }
            filters[node].extend(woken);
        }
        let mut nodes = Vec::with_capacity(children.len());
        let mut edges = Vec::new();
        for child in children {
            let begin = u32::try_from(edges.len()).unwrap_or(u32::MAX);
            edges.extend(child);
            nodes.push((begin, u32::try_from(edges.len()).unwrap_or(u32::MAX)));
        }
        Self { nodes, edges, filters }
    }

    fn look(&self, bytes: impl Iterator<Item = u8>, wake: &mut impl FnMut(&[FilterIx])) {
        if self.nodes.is_empty() {
            return;
        }
        let mut node = 0_usize;
        for byte in bytes {
            let (begin, end) = self.nodes[node];
            let edges = &self.edges[begin as usize..end as usize];
            let found = if edges.len() <= 8 {
                edges.iter().position(|(edge, _)| *edge == byte)
            } else {
                edges.binary_search_by_key(&byte, |(edge, _)| *edge).ok()
            };
            let Some(edge) = found else { return };
            node = edges[edge].1 as usize;
            if !self.filters[node].is_empty() {
                wake(&self.filters[node]);
            }
        }
    }
}

/// Literals anywhere in a value.
#[derive(Default)]
struct Substrings {
    search: Search,
    filters: Vec<Vec<FilterIx>>,
}

#[derive(Default)]
enum Search {
    #[default]
    None,
    /// Vector instructions tell whether there is any; the automaton then names all.
    Few(Option<packed::Searcher>, AhoCorasick),
    Many(DoubleArrayAhoCorasick<u32>),
}

impl std::fmt::Debug for Substrings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Substrings({})", self.filters.len())
    }
}

impl Substrings {
    fn build(literals: Vec<(String, Vec<FilterIx>)>) -> Self {
        let (texts, filters): (Vec<String>, Vec<Vec<FilterIx>>) = literals.into_iter().unzip();
        if texts.is_empty() {
            return Self::default();
        }
        let search = if texts.len() > SMALL_SET {
            DoubleArrayAhoCorasick::new(&texts).map(Search::Many).ok()
        } else {
            None
        };
        // Few literals, or (it does not happen with distinct ones) a set the other cannot hold.
        let few = || {
            let gate = packed::Searcher::new(&texts);
            AhoCorasick::new(&texts).map(|automaton| Search::Few(gate, automaton)).ok()
        };
        let search = search.or_else(few).unwrap_or_default();
        Self { search, filters }
    }

    fn look(&self, text: &str, wake: &mut impl FnMut(&[FilterIx])) {
        match &self.search {
            Search::None => {}
            Search::Few(gate, automaton) => {
                if gate.as_ref().is_none_or(|gate| gate.find(text).is_some()) {
                    for found in automaton.find_overlapping_iter(text) {
                        wake(&self.filters[found.pattern().as_usize()]);
                    }
                }
            }
            Search::Many(automaton) => {
                for found in automaton.find_overlapping_iter(text) {
                    wake(&self.filters[found.value() as usize]);
                }
            }
        }
    }
}
