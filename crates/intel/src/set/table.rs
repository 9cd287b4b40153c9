//! A table of rows sorted by key, with an index over the keys' first bits.
//!
//! Rows are bytes as they stand in a snapshot: key, context, end. Invariant: a table is only made of
//! rows that are in order.

use bytes::Bytes;

use super::Meta;

/// Most bits of the index: 2^22 starts of 4 bytes are 16 MiB, and serve ten million rows.
const MAX_BITS: u32 = 22;
/// Within so many rows looking at each is quicker than halving.
const FEW: usize = 8;

/// Rows with keys of `K` bytes.
#[derive(Clone, Debug)]
pub(crate) struct Table<const K: usize> {
    rows: Bytes,
    starts: Vec<u32>,
    shift: u32,
}

impl<const K: usize> Default for Table<K> {
    fn default() -> Self {
        Self { rows: Bytes::new(), starts: Vec::new(), shift: 0 }
    }
}

impl<const K: usize> Table<K> {
    /// Bytes of a row.
    pub(crate) const ROW: usize = K + Meta::BYTES;

    /// A table of `rows`; `None` when they are not in order, not whole, or too many.
    pub(crate) fn new(rows: Bytes) -> Option<Self> {
        let count = rows.len() / Self::ROW;
        if count == 0 || !rows.len().is_multiple_of(Self::ROW) {
            return rows.is_empty().then(Self::default);
        }
        let last = u32::try_from(count).ok()?;
        let bits = count.ilog2().saturating_sub(1).clamp(1, MAX_BITS);
        let shift = 32 - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut before: &[u8] = &[];
        for (number, row) in (0..last).zip(rows.chunks_exact(Self::ROW)) {
            if before > row {
                return None;
            }
            before = row;
            let bucket = (lead(row) >> shift) as usize;
            while starts.len() <= bucket {
                starts.push(number);
            }
        }
        starts.resize((1 << bits) + 1, last);
        Some(Self { rows, starts, shift })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() / Self::ROW
    }

    pub(crate) fn rows(&self) -> &Bytes {
        &self.rows
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.starts.len() * size_of::<u32>()
    }

    #[inline]
    fn row(&self, number: usize) -> &[u8] {
        &self.rows[number * Self::ROW..(number + 1) * Self::ROW]
    }

    /// Key and the rest of each row.
    pub(crate) fn each(&self, each: &mut dyn FnMut([u8; K], Meta)) {
        for row in self.rows.chunks_exact(Self::ROW) {
            let (key, meta) = row.split_at(K);
            if let Ok(key) = key.try_into() {
                each(key, Meta::from_bytes(meta));
            }
        }
    }

    /// Gives what the rows with `key` say.
    #[inline]
    pub(crate) fn find(&self, key: &[u8; K], each: &mut dyn FnMut(Meta)) {
        if self.starts.is_empty() {
            return;
        }
        let bucket = (lead(key) >> self.shift) as usize;
        let (mut low, end) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        let mut high = end;
        while high - low > FEW {
            let middle = low.midpoint(high);
            if self.row(middle)[..K] < key[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let rows = &self.rows[low * Self::ROW..end * Self::ROW];
        for row in rows.chunks_exact(Self::ROW) {
            match row[..K].cmp(&key[..]) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => each(Meta::from_bytes(&row[K..])),
                std::cmp::Ordering::Greater => return,
            }
        }
    }
}

/// The first four bytes of a key as a number.
#[inline]
fn lead(key: &[u8]) -> u32 {
    match key {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}
