//! What to look for in one field: literals by where they stand, and what each wakes.

use std::collections::BTreeMap;

use foldhash::HashMap;

use crate::grams::{Seen, Substrings};
use crate::predicate::{FieldIx, PredIx};
use crate::witness::{Anchor, Literal};

/// What to look for in one field.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) field: FieldIx,
    whole: Exact,
    /// Ends that are a whole last part of a path, with the sign before it.
    last: Exact,
    start: Tails,
    end: Tails,
    anywhere: Substrings,
    /// Per literal what it wakes: where it begins in `woken`; one more at the end.
    begins: Vec<u32>,
    woken: Vec<u32>,
    /// Per literal the predicate that it tells.
    tells: Vec<Option<PredIx>>,
}

/// What a literal is looked for for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sought {
    /// What it wakes.
    pub(crate) wakes: Vec<u32>,
    /// The predicate that holds exactly when it is seen.
    pub(crate) tells: Option<PredIx>,
}

impl Watch {
    /// A watch of `field` for literals, each with what it is looked for for.
    pub(crate) fn build(field: FieldIx, set: BTreeMap<Literal, Sought>, seen: &Seen) -> Self {
        let mut found = Self {
            field,
            whole: Exact::default(),
            last: Exact::default(),
            start: Tails::default(),
            end: Tails::default(),
            anywhere: Substrings::default(),
            begins: vec![0],
            woken: Vec::new(),
            tells: Vec::new(),
        };
        let (mut start, mut end, mut anywhere) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (literal, sought)) in (0..).zip(set) {
            found.tells.push(sought.tells);
            found.woken.extend(sought.wakes);
            found.begins.push(u32::try_from(found.woken.len()).unwrap_or(u32::MAX));
            match literal.anchor {
                Anchor::Whole => found.whole.insert(literal.text, number),
                Anchor::Start => start.push((literal.text.into_bytes(), number)),
                Anchor::End if last_part(&literal.text) == Some(&literal.text) => {
                    found.last.insert(literal.text, number);
                }
                Anchor::End => {
                    let mut bytes = literal.text.into_bytes();
                    bytes.reverse();
                    end.push((bytes, number));
                }
                Anchor::Anywhere => anywhere.push((literal.text, number)),
            }
        }
        found.start = Tails::build(start);
        found.end = Tails::build(end);
        found.anywhere = Substrings::build(anywhere, seen);
        found
    }

    /// Calls `wake` for each literal in the lower-case `text` with what it wakes and tells, at
    /// least once.
    pub(crate) fn look(&self, text: &str, wake: &mut impl FnMut(&[u32], Option<PredIx>)) {
        let mut found = |number: u32| {
            let number = number as usize;
            let woken = self.begins[number] as usize..self.begins[number + 1] as usize;
            wake(&self.woken[woken], self.tells[number]);
        };
        self.whole.look(text, &mut found);
        if self.last.lengths != 0
            && let Some(last) = last_part(text)
        {
            self.last.look(last, &mut found);
        }
        self.start.look(text.bytes(), &mut found);
        self.end.look(text.bytes().rev(), &mut found);
        self.anywhere.look(text, &mut found);
    }
}

/// The last part of a path with the sign before it.
fn last_part(text: &str) -> Option<&str> {
    let at = memchr::memrchr2(b'\\', b'/', text.as_bytes())?;
    text.get(at..)
}

/// Literals that are the whole of what is looked at.
#[derive(Debug, Default)]
struct Exact {
    numbers: HashMap<Box<str>, u32>,
    /// Bit `n` for literals of `n` bytes, the last for longer ones.
    lengths: u64,
}

impl Exact {
    fn insert(&mut self, text: String, number: u32) {
        self.lengths |= 1 << text.len().min(63);
        self.numbers.insert(text.into_boxed_str(), number);
    }

    fn look(&self, text: &str, wake: &mut impl FnMut(u32)) {
        if self.lengths >> text.len().min(63) & 1 == 1
            && let Some(number) = self.numbers.get(text)
        {
            wake(*number);
        }
    }
}

/// Literals that begin (or, reversed, end) a value: a trie in flat tables.
#[derive(Debug, Default)]
struct Tails {
    /// Per first byte its node, 0 for none.
    first: Vec<u32>,
    /// Per node the range of its edges.
    nodes: Vec<(u32, u32)>,
    /// Edges: byte and node, sorted by byte within a node.
    edges: Vec<(u8, u32)>,
    /// The literal that ends at a node, plus one.
    ends: Vec<u32>,
}

impl Tails {
    fn build(literals: Vec<(Vec<u8>, u32)>) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let mut children: Vec<BTreeMap<u8, u32>> = vec![BTreeMap::new()];
        let mut ends = vec![0];
        for (bytes, number) in literals {
            let mut node = 0_usize;
            for byte in bytes {
                let next = u32::try_from(children.len()).unwrap_or(u32::MAX);
                let child = *children[node].entry(byte).or_insert(next);
                if child == next {
                    children.push(BTreeMap::new());
                    ends.push(0);
                }
                node = child as usize;
            }
            ends[node] = number + 1;
        }
        let mut first = vec![0; 256];
        for (byte, node) in &children[0] {
            first[usize::from(*byte)] = *node;
        }
        let mut nodes = Vec::with_capacity(children.len());
        let mut edges = Vec::new();
        for child in children {
            let begin = u32::try_from(edges.len()).unwrap_or(u32::MAX);
            edges.extend(child);
            nodes.push((begin, u32::try_from(edges.len()).unwrap_or(u32::MAX)));
        }
        Self { first, nodes, edges, ends }
    }

    fn look(&self, mut bytes: impl Iterator<Item = u8>, wake: &mut impl FnMut(u32)) {
        if self.nodes.is_empty() {
            return;
        }
        if self.ends[0] > 0 {
            wake(self.ends[0] - 1);
        }
        let Some(byte) = bytes.next() else { return };
        let mut node = self.first[usize::from(byte)] as usize;
        if node == 0 {
            return;
        }
        loop {
            if self.ends[node] > 0 {
                wake(self.ends[node] - 1);
            }
            let Some(byte) = bytes.next() else { return };
            let (begin, end) = self.nodes[node];
            let edges = &self.edges[begin as usize..end as usize];
            let found = if edges.len() <= 8 {
                edges.iter().position(|(edge, _)| *edge == byte)
            } else {
                edges.binary_search_by_key(&byte, |(edge, _)| *edge).ok()
            };
            let Some(edge) = found else { return };
            node = edges[edge].1 as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::{Sought, Watch};
    use crate::grams::Seen;
    use crate::predicate::FieldIx;
    use crate::witness::{Anchor, Literal};

    const ANCHORS: [Anchor; 4] = [Anchor::Whole, Anchor::Start, Anchor::End, Anchor::Anywhere];

    fn stands(anchor: Anchor, literal: &str, text: &str) -> bool {
        match anchor {
            Anchor::Whole => text == literal,
            Anchor::Start => text.starts_with(literal),
            Anchor::End => text.ends_with(literal),
            Anchor::Anywhere => text.contains(literal),
        }
    }

    proptest! {
        #[test]
        fn every_literal_is_seen_where_it_stands(
            literals in prop::collection::btree_set((0..4_usize, r"[ab/\\]{1,5}|[/\\][ab]{1,4}"), 1..30),
            text in r"[ab/\\]{0,8}",
        ) {
            let field = FieldIx(1);
            let of = |(anchor, text): &(usize, String)| {
                Literal { field, anchor: ANCHORS[*anchor], text: text.clone() }
            };
            let mut expected = BTreeSet::new();
            let mut set = BTreeMap::new();
            for (number, literal) in (0..).zip(literals.iter().map(of)) {
                if stands(literal.anchor, &literal.text, &text) {
                    expected.insert(number);
                }
                set.insert(literal, Sought { wakes: vec![number], tells: None });
            }
            let mut found = BTreeSet::new();
            Watch::build(field, set, &Seen::default())
                .look(&text, &mut |wakes, _| found.extend(wakes.iter().copied()));
            prop_assert_eq!(found, expected);
        }
    }
}
