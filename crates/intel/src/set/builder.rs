//! Building a set: rows are gathered, sorted where they lie, and handed over without a copy.

use std::sync::Arc;

use bytes::Bytes;

use super::base::{Base, slot};
use super::contexts::Contexts;
use super::key::Key;
use super::nets::Nets;
use super::overlay::Overlay;
use super::table::Table;
use super::{Meta, Set, end_seconds};
use crate::indicator::{Context, Indicator};
use crate::normalise::Refusal;

/// Most rows of a table: their numbers are u32.
const MAX_ROWS: usize = u32::MAX as usize - 1;

/// Gathers indicators. Needs no more memory than the rows themselves, and what `Vec` grows ahead.
#[derive(Debug, Default)]
pub struct Builder {
    seed: u64,
    contexts: Contexts,
    last: Option<(Arc<Context>, u32)>,
    wide: [Vec<[u8; 24]>; 6],
    narrow: [Vec<[u8; 16]>; 6],
    v4: Vec<[u8; 12]>,
    net4: Vec<[u8; 13]>,
    net6: Vec<[u8; 25]>,
    left_out: usize,
}

impl Builder {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds an indicator.
    ///
    /// # Errors
    /// A value that is not in canonical form; it is left out.
    pub fn add(&mut self, indicator: &Indicator) -> Result<(), Refusal> {
        let key = Key::of(indicator.kind, &indicator.value, self.seed)?;
        let context = self.intern(&indicator.context);
        self.put(key, Meta { context, expires: end_seconds(indicator.expires) });
        Ok(())
    }

    /// Adds all of `indicators`; gives back the refusals.
    pub fn extend<'a>(
        &mut self,
        indicators: impl IntoIterator<Item = &'a Indicator>,
    ) -> Vec<Refusal> {
        indicators.into_iter().filter_map(|indicator| self.add(indicator).err()).collect()
    }

    /// How many were left out since a table has four billion rows.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The set. The same said twice by the same source in the same words is kept once, until the later
    /// end.
    pub fn build(self) -> Set {
        let base = Base {
            seed: self.seed,
            // Sorted rows are in order, so the tables take them.
            wide: self.wide.map(|rows| Table::new(sorted(rows)).unwrap_or_default()),
            narrow: self.narrow.map(|rows| Table::new(sorted(rows)).unwrap_or_default()),
            v4: Table::new(sorted(self.v4)).unwrap_or_default(),
            net4: Nets::new(sorted(self.net4)).unwrap_or_default(),
            net6: Nets::new(sorted(self.net6)).unwrap_or_default(),
        };
        Set { base: Arc::new(base), contexts: self.contexts, overlay: Overlay::default() }
    }

    /// The number of `context`; documents bring the same one many times in a row.
    pub(crate) fn intern(&mut self, context: &Arc<Context>) -> u32 {
        if let Some((last, number)) = &self.last
            && Arc::ptr_eq(last, context)
        {
            return *number;
        }
        let number = self.contexts.intern(context);
        self.last = Some((Arc::clone(context), number));
        number
    }

    pub(crate) fn put(&mut self, key: Key, meta: Meta) {
        let meta = meta.to_bytes();
        let taken = match key {
            Key::Wide(kind, key) => push(&mut self.wide[slot(kind)], &[&key, &meta]),
            Key::Narrow(kind, key) => push(&mut self.narrow[slot(kind)], &[&key, &meta]),
            Key::V4(key) => push(&mut self.v4, &[&key, &meta]),
            Key::Net4(first, length) => push(&mut self.net4, &[&first, &[length], &meta]),
            Key::Net6(first, length) => push(&mut self.net6, &[&first, &[length], &meta]),
        };
        self.left_out += usize::from(!taken);
    }

    /// Makes room for as many rows as `base` has.
    pub(crate) fn reserve(&mut self, base: &Base) {
        for (rows, table) in self.wide.iter_mut().zip(&base.wide) {
            rows.reserve_exact(table.len());
        }
        for (rows, table) in self.narrow.iter_mut().zip(&base.narrow) {
            rows.reserve_exact(table.len());
        }
        self.v4.reserve_exact(base.v4.len());
        self.net4.reserve_exact(base.net4.len());
        self.net6.reserve_exact(base.net6.len());
    }
}

fn push<const R: usize>(rows: &mut Vec<[u8; R]>, parts: &[&[u8]]) -> bool {
    if rows.len() >= MAX_ROWS {
        return false;
    }
    let mut row = [0; R];
    let mut at = 0;
    for part in parts {
        row[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    rows.push(row);
    true
}

/// The rows in order, each key and context once, with the latest end.
fn sorted<const R: usize>(mut rows: Vec<[u8; R]>) -> Bytes {
    const END: usize = 4;
    rows.sort_unstable();
    rows.dedup_by(|next, kept| {
        let same = next[..R - END] == kept[..R - END];
        if same {
            let end = |row: &[u8; R]| Meta::from_bytes(&row[R - Meta::BYTES..]).expires;
            let (one, other) = (end(kept), end(next));
            let latest = if one == 0 || other == 0 { 0 } else { one.max(other) };
            kept[R - END..].copy_from_slice(&latest.to_le_bytes());
        }
        same
    });
    rows.shrink_to_fit();
    Bytes::from(rows.into_flattened())
}
