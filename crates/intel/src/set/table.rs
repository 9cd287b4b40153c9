//! A table of rows sorted by key, with an index over the keys' first bits and a filter before it.
//!
//! Rows are bytes as they stand in a snapshot: key, context, end. Nearly every look-up finds nothing:
//! the filter answers it from one word of memory. The rest reads one place of the index and a few rows
//! beside each other, without a branch that depends on them, so that look-ups in a row overlap.
//! Invariant: a table is only made of rows that are in order.

use bytes::Bytes;

use super::Meta;
use super::hash::{K1, K2, mix};

/// Most bits of the index: 2^23 starts of 4 bytes are 32 MiB, and serve ten million rows.
const MAX_BITS: u32 = 23;
/// Rows that are looked at without asking where the bucket ends: of buckets with one row in the mean,
/// 99.6 of 100 have no more.
const WINDOW: usize = 4;
/// Bits a row has in the filter: 2 to 3 of 100 strangers pass.
const FILTER_BITS: usize = 12;

/// Rows with keys of `K` bytes.
#[derive(Clone, Debug)]
pub(crate) struct Table<const K: usize> {
    rows: Bytes,
    starts: Vec<u32>,
    shift: u32,
    /// A bloom filter whose bits of one key lie in one word (Putze, Sanders, Singler 2007).
    words: Vec<u64>,
}

impl<const K: usize> Default for Table<K> {
    fn default() -> Self {
        Self { rows: Bytes::new(), starts: Vec::new(), shift: 0, words: Vec::new() }
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
        let bits = count.ilog2().clamp(1, MAX_BITS);
        let shift = 32 - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut words = vec![0; (count * FILTER_BITS).div_ceil(64)];
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
            let (word, mask) = bits_of(&row[..K], words.len());
            words[word] |= mask;
        }
        starts.resize((1 << bits) + 1, last);
        Some(Self { rows, starts, shift, words })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() / Self::ROW
    }

    pub(crate) fn rows(&self) -> &Bytes {
        &self.rows
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.starts.len() * size_of::<u32>() + self.words.len() * size_of::<u64>()
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
    pub(crate) fn find(&self, key: &[u8; K], mut each: impl FnMut(Meta)) {
        if self.words.is_empty() {
            return;
        }
        let (word, mask) = bits_of(key, self.words.len());
        if self.words[word] & mask != mask {
            return;
        }
        let bucket = (lead(key) >> self.shift) as usize;
        let (start, end) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        let wanted = first(key);
        let window = self.rows.get(start * Self::ROW..(start + WINDOW) * Self::ROW);
        let found = match window.filter(|_| end - start <= WINDOW) {
            Some(window) => {
                // Rows of the next bucket do no harm: their keys are others.
                let mut found = WINDOW;
                for (number, row) in window.chunks_exact(Self::ROW).enumerate().rev() {
                    found = if first(&row[..K]) == wanted { number } else { found };
                }
                if found == WINDOW {
                    return;
                }
                start + found
            }
            None => self.halved(start, end, key),
        };
        for row in self.rows[found * Self::ROW..].chunks_exact(Self::ROW) {
            match row[..K].cmp(&key[..]) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => each(Meta::from_bytes(&row[K..])),
                std::cmp::Ordering::Greater => return,
            }
        }
    }

    /// The first row from `low` on, before `high`, whose key is not before `key`.
    #[cold]
    fn halved(&self, mut low: usize, mut high: usize, key: &[u8; K]) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            if self.rows[middle * Self::ROW..middle * Self::ROW + K] < key[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Which word of the filter a key has, and which bits of it.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the upper half of a product with a length")]
fn bits_of(key: &[u8], words: usize) -> (usize, u64) {
    let second = match key {
        [_, _, _, _, _, _, _, _, rest @ ..] => first(rest),
        _ => 0,
    };
    let hash = mix(first(key) ^ K1, second ^ K2);
    let word = ((u128::from(hash) * words as u128) >> 64) as usize;
    let bit = |number: u32| 1_u64 << (hash >> (6 * number) & 63);
    (word, bit(0) | bit(1) | bit(2) | bit(3))
}

/// Up to eight bytes of a key as a number: what differs here differs.
#[inline]
fn first(key: &[u8]) -> u64 {
    match (key.first_chunk(), key.first_chunk()) {
        (Some(eight), _) => u64::from_le_bytes(*eight),
        (_, Some(four)) => u64::from(u32::from_le_bytes(*four)),
        _ => 0,
    }
}

/// The first four bytes of a key as a number in their order.
#[inline]
fn lead(key: &[u8]) -> u32 {
    match key {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}
