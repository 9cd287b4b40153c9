//! Which of many literals stand anywhere in a text.
//!
//! Each literal is known by grams of four of its bytes, the rarest by what has been seen. A text is
//! read once: at a place its four bytes are looked for in a bit table that fits the first cache, and
//! only where a bit is set are literals compared. A literal of seven bytes or more is known by four
//! grams in a row, so that only every fourth place has to be looked at; one of two or three bytes by
//! a gram of two. Sets that vector instructions search at once are left to the `aho-corasick` crate.
//! Invariant: every literal that stands in the text is given to `wake`, at least once.

use aho_corasick::{AhoCorasick, MatchKind, Span, packed};
use foldhash::HashMap;

/// Bytes a literal is known by.
const GRAM: usize = 4;
/// The same for one of fewer.
const SHORT: usize = 2;
/// Grams that a long literal is known by, and how far apart the places are that are looked at.
const STRIDE: usize = 4;
/// Bytes from which on a literal is long.
pub(crate) const LONG: usize = GRAM + STRIDE - 1;
/// Sets of up to this many literals are searched by vector instructions.
const SMALL_SET: usize = 32;
/// The same for long literals: from here on, looking at every fourth place costs less.
const FEW_LONG: usize = 8;
/// Bits of the table per literal, as a power of two: one place in 64 is looked at in vain.
const ROOM: u32 = 6;
/// Size of the table, as powers of two of its bits: 4 KiB to 32 KiB.
const BITS: (u32, u32) = (15, 18);
/// An odd number with well-mixed bits (2^32 divided by the golden ratio): multiplying by it spreads
/// a gram over the high bits.
const SPREAD: u32 = 0x9e37_79b1;

/// How often grams were seen, to know literals by rare ones.
pub(crate) type Seen = HashMap<u32, u32>;

/// Literals anywhere in a text; each stands for a number.
#[derive(Debug, Default)]
pub(crate) struct Substrings {
    long: Option<Grams<GRAM, STRIDE>>,
    middle: Option<Grams<GRAM, 1>>,
    short: Option<Grams<SHORT, 1>>,
    /// Literals of one byte.
    single: Vec<(u8, u32)>,
    few: Option<Few>,
}

#[derive(Debug)]
struct Grams<const WIDTH: usize, const STRIDE: usize> {
    /// Shift that leaves as many bits of a spread gram as the table has.
    shift: u32,
    table: Box<[u64]>,
    /// Grams; sorted within `heads`.
    entries: Vec<Entry>,
    /// Per hash's high bits the first entry; one more at the end.
    heads: Vec<u32>,
    head_shift: u32,
    literals: Vec<Literal>,
    bytes: Vec<u8>,
}

/// A gram of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    gram: u32,
    literal: u32,
    /// Where in the literal it stands.
    offset: u32,
}

#[derive(Clone, Copy, Debug)]
struct Literal {
    /// In `bytes`.
    start: u32,
    length: u32,
    number: u32,
}

/// Few or short literals.
#[derive(Debug)]
enum Few {
    /// Vector instructions find the next place where one's rarest gram stands; all are compared
    /// there.
    Vector { search: packed::Searcher, literals: Vec<Known> },
    /// More than vector instructions take.
    Automaton { search: Box<AhoCorasick>, numbers: Vec<u32> },
}

/// A literal that is known by a part of it.
#[derive(Debug)]
struct Known {
    bytes: Box<[u8]>,
    number: u32,
    /// Where in it that part stands.
    offset: usize,
}

impl Known {
    /// `text`, known by its rarest gram: beginnings are what literals and values have in common.
    fn new(text: String, number: u32, seen: &Seen) -> Self {
        let times = |window: &[u8]| seen.get(&gram::<GRAM>(window)).copied().unwrap_or(0);
        let windows = text.as_bytes().windows(GRAM).enumerate();
        let rarest = windows.rev().min_by_key(|(_, window)| times(window));
        let offset = rarest.map_or(0, |(offset, _)| offset);
        Self { bytes: text.into_bytes().into(), number, offset }
    }

    /// The part it is known by.
    fn part(&self) -> &[u8] {
        &self.bytes[self.offset..self.bytes.len().min(self.offset + GRAM)]
    }

    /// Whether it stands in `text`, its part at `place`.
    fn stands(&self, text: &[u8], place: usize) -> bool {
        let from = place.checked_sub(self.offset);
        from.and_then(|from| text.get(from..)).is_some_and(|here| here.starts_with(&self.bytes))
    }
}

impl Substrings {
    /// A search for `literals`, each with its number.
    pub(crate) fn build(literals: Vec<(String, u32)>, seen: &Seen) -> Self {
        let single = |(text, number): &(String, u32)| match text.as_bytes() {
            [byte] => Some((*byte, *number)),
            _ => None,
        };
        let singles = literals.iter().filter_map(single).collect();
        let mut left = literals;
        left.retain(|(text, _)| text.len() > 1);
        let mut from = |length: usize, few: usize| -> Vec<(String, u32)> {
            if left.iter().filter(|(text, _)| text.len() >= length).count() <= few {
                return Vec::new();
            }
            let here = |(text, _): &mut (String, u32)| text.len() >= length;
            left.extract_if(.., here).collect()
        };
        let long = from(LONG, FEW_LONG);
        let (middle, short) = (from(GRAM, SMALL_SET), from(SHORT, SMALL_SET));
        Self {
            long: Grams::build(&long, seen),
            middle: Grams::build(&middle, seen),
            short: Grams::build(&short, &Seen::default()),
            single: singles,
            few: Few::build(left, seen),
        }
    }

    /// Calls `wake` with the number of every literal in `text`.
    pub(crate) fn look(&self, text: &str, wake: &mut impl FnMut(u32)) {
        for (byte, number) in &self.single {
            if memchr::memchr(*byte, text.as_bytes()).is_some() {
                wake(*number);
            }
        }
        if let Some(few) = &self.few {
            few.look(text, wake);
        }
        if let Some(short) = &self.short {
            short.look(text.as_bytes(), wake);
        }
        if let Some(middle) = &self.middle {
            middle.look(text.as_bytes(), wake);
        }
        if let Some(long) = &self.long {
            long.look(text.as_bytes(), wake);
        }
    }
}

impl Few {
    fn build(literals: Vec<(String, u32)>, seen: &Seen) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let known = |(text, number)| Known::new(text, number, seen);
        let literals: Vec<Known> = literals.into_iter().map(known).collect();
        let mut parts: Vec<&[u8]> = literals.iter().map(Known::part).collect();
        parts.sort_unstable();
        parts.dedup();
        if let Some(search) = packed::Searcher::new(parts) {
            return Some(Self::Vector { search, literals });
        }
        let texts = literals.iter().map(|literal| &literal.bytes);
        let search = AhoCorasick::builder().match_kind(MatchKind::Standard).build(texts).ok()?;
        let numbers = literals.iter().map(|literal| literal.number).collect();
        Some(Self::Automaton { search: Box::new(search), numbers })
    }

    fn look(&self, text: &str, wake: &mut impl FnMut(u32)) {
        match self {
            Self::Vector { search, literals } => {
                let mut at = 0;
                while let Some(found) = search.find_in(text, Span::from(at..text.len())) {
                    for literal in literals {
                        if literal.stands(text.as_bytes(), found.start()) {
                            wake(literal.number);
                        }
                    }
                    at = found.start() + 1;
                }
            }
            Self::Automaton { search, numbers } => {
                for found in search.find_overlapping_iter(text) {
                    wake(numbers[found.pattern().as_usize()]);
                }
            }
        }
    }
}

/// The gram of `WIDTH` bytes, 4 or 2, at the beginning of `bytes`.
fn gram<const WIDTH: usize>(bytes: &[u8]) -> u32 {
    if WIDTH == GRAM {
        return bytes.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk));
    }
    bytes.first_chunk().map_or(0, |chunk| u32::from(u16::from_le_bytes(*chunk)))
}

/// Counts the grams of `text`.
pub(crate) fn count(text: &str, seen: &mut Seen) {
    for window in text.as_bytes().windows(GRAM) {
        *seen.entry(gram::<GRAM>(window)).or_default() += 1;
    }
}

impl<const WIDTH: usize, const STRIDE: usize> Grams<WIDTH, STRIDE> {
    /// Nothing for no literals. Each has to have `WIDTH + STRIDE - 1` bytes or more.
    fn build(literals: &[(String, u32)], seen: &Seen) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let entries = literals.len() * STRIDE;
        let wanted = u32::try_from(entries).unwrap_or(u32::MAX).ilog2() + 1 + ROOM;
        let bits = wanted.clamp(BITS.0, BITS.1);
        let head_bits = bits.saturating_sub(ROOM).max(4);
        let mut found = Self {
            shift: u32::BITS - bits,
            table: vec![0; 1 << (bits - 6)].into(),
            entries: Vec::with_capacity(entries),
            heads: vec![0; (1 << head_bits) + 1],
            head_shift: u32::BITS - head_bits,
            literals: Vec::with_capacity(literals.len()),
            bytes: Vec::new(),
        };
        for (text, number) in literals {
            found.add(text.as_bytes(), *number, seen);
        }
        let head_shift = found.head_shift;
        let head = |gram: u32| (gram.wrapping_mul(SPREAD) >> head_shift) as usize;
        found.entries.sort_unstable_by_key(|entry| (head(entry.gram), *entry));
        for entry in &found.entries {
            found.heads[head(entry.gram) + 1] += 1;
        }
        let mut total = 0;
        for head in &mut found.heads {
            total += *head;
            *head = total;
        }
        Some(found)
    }

    fn add(&mut self, text: &[u8], number: u32, seen: &Seen) {
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let grams: Vec<u32> = text.windows(WIDTH).map(gram::<WIDTH>).collect();
        let times = |gram: &u32| u64::from(seen.get(gram).copied().unwrap_or(0));
        let rows = grams.windows(STRIDE).enumerate();
        // The last of the rarest: beginnings are what literals have in common.
        let rarest = rows.rev().min_by_key(|(_, row)| row.iter().map(times).sum::<u64>());
        let Some((offset, row)) = rarest else { return };
        for (gram, offset) in row.iter().zip(offset..) {
            let bit = (gram.wrapping_mul(SPREAD) >> self.shift) as usize;
            self.table[bit / 64] |= 1 << (bit % 64);
            let literal = size(self.literals.len());
            self.entries.push(Entry { gram: *gram, literal, offset: size(offset) });
        }
        let (start, length) = (size(self.bytes.len()), size(text.len()));
        self.literals.push(Literal { start, length, number });
        self.bytes.extend_from_slice(text);
    }

    fn look(&self, text: &[u8], wake: &mut impl FnMut(u32)) {
        if WIDTH == STRIDE {
            let (chunks, _) = text.as_chunks::<WIDTH>();
            for (place, chunk) in chunks.iter().enumerate() {
                self.try_at(text, place * STRIDE, gram::<WIDTH>(chunk), wake);
            }
            return;
        }
        for (place, window) in text.windows(WIDTH).step_by(STRIDE).enumerate() {
            self.try_at(text, place * STRIDE, gram::<WIDTH>(window), wake);
        }
    }

    #[inline]
    fn try_at(&self, text: &[u8], at: usize, gram: u32, wake: &mut impl FnMut(u32)) {
        let bit = (gram.wrapping_mul(SPREAD) >> self.shift) as usize;
        if self.table[(bit / 64) & (self.table.len() - 1)] >> (bit % 64) & 1 == 1 {
            self.compare(text, at, gram, wake);
        }
    }

    #[cold]
    fn compare(&self, text: &[u8], at: usize, gram: u32, wake: &mut impl FnMut(u32)) {
        let head = (gram.wrapping_mul(SPREAD) >> self.head_shift) as usize;
        let entries = &self.entries[self.heads[head] as usize..self.heads[head + 1] as usize];
        for entry in entries.iter().filter(|entry| entry.gram == gram) {
            let literal = self.literals[entry.literal as usize];
            let start = literal.start as usize;
            let wanted = &self.bytes[start..start + literal.length as usize];
            let here = at.checked_sub(entry.offset as usize).and_then(|from| text.get(from..));
            if here.is_some_and(|here| here.starts_with(wanted)) {
                wake(literal.number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Seen, Substrings, count};

    fn check(literals: &[String], seen: &Seen, text: &str) {
        let numbered = literals.iter().cloned().zip(0..).collect();
        let mut found = Vec::new();
        Substrings::build(numbered, seen).look(text, &mut |number| found.push(number));
        found.sort_unstable();
        found.dedup();
        let there = |(_, literal): &(u32, &String)| text.contains(literal.as_str());
        let expected: Vec<u32> =
            (0..).zip(literals).filter(there).map(|(number, _)| number).collect();
        assert_eq!(found, expected, "{literals:?} in {text}");
    }

    proptest! {
        #[test]
        fn every_literal_is_found(
            literals in prop::collection::btree_set("[ab]{1,9}|[a-dä]{2,9}", 1..90),
            text in "[ab]{0,40}|[a-dä]{0,60}",
            counted in "[ab]{0,40}",
        ) {
            let literals: Vec<String> = literals.into_iter().collect();
            let mut seen = Seen::default();
            count(&counted, &mut seen);
            check(&literals, &seen, &text);
        }
    }
}
