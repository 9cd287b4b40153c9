//! A table of rows sorted by key, with an index over the keys' first bits.
//!
//! Rows are bytes as they stand in a snapshot: key, context, end. A place of the index says where the
//! rows with its first bits begin, and with 32 bits which keys they may be: nearly every look-up finds
//! nothing, and ends there. The others read a few rows beside each other, without a branch that depends
//! on them, so that look-ups in a row overlap. Invariant: a table is only made of rows that are in order.

use bytes::Bytes;

use super::Meta;
use super::hash::{K1, K2, mix};

/// Most bits of the index: 2^23 places of 8 bytes are 64 MiB, and serve ten million rows.
const MAX_BITS: u32 = 23;
/// Rows that are looked at without asking how many there are: with one row a place in the mean, 99.6 of
/// 100 places have no more.
const WINDOW: usize = 4;

/// Keys whose memory is asked for at once: about as many as a core keeps under way.
pub(crate) const BATCH: usize = 16;

/// Rows with keys of `K` bytes.
#[derive(Clone, Debug)]
pub(crate) struct Table<const K: usize> {
    rows: Bytes,
    /// Lower half: where its rows begin. Upper half: three bits of each of their keys.
    places: Vec<u64>,
    shift: u32,
}

impl<const K: usize> Default for Table<K> {
    fn default() -> Self {
        Self { rows: Bytes::new(), places: Vec::new(), shift: 0 }
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
        let mut places: Vec<u64> = Vec::with_capacity((1 << bits) + 1);
        let mut before: &[u8] = &[];
        for (number, row) in (0..last).zip(rows.chunks_exact(Self::ROW)) {
            if before > row {
                return None;
            }
            before = row;
            let place = (lead(row) >> shift) as usize;
            while places.len() <= place {
                places.push(u64::from(number));
            }
            places[place] |= bits_of(&row[..K]) << 32;
        }
        places.resize((1 << bits) + 1, u64::from(last));
        Some(Self { rows, places, shift })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() / Self::ROW
    }

    pub(crate) fn rows(&self) -> &Bytes {
        &self.rows
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.places.len() * size_of::<u64>()
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
        if self.places.is_empty() {
            return;
        }
        let place = (lead(key) >> self.shift) as usize;
        let bits = bits_of(key);
        if self.places[place] >> 32 & bits != bits {
            return;
        }
        let (start, end) = (begin(self.places[place]), begin(self.places[place + 1]));
        let wanted = first(key);
        let window = self.rows.get(start * Self::ROW..(start + WINDOW) * Self::ROW);
        let found = match window.filter(|_| end - start <= WINDOW) {
            Some(window) => {
                // Rows of the next place do no harm: their keys are others.
                let mut found = WINDOW;
                for (number, row) in window.chunks_exact(Self::ROW).enumerate().rev() {
                    found = if first(&row[..K]) == wanted { number } else { found };
                }
                start + found
            }
            None => self.halved(start, end, key),
        };
        let mut at = found * Self::ROW;
        while let Some(row) = self.rows.get(at..at + Self::ROW) {
            if first(&row[..K]) != wanted {
                return;
            }
            if row.first_chunk() == Some(key) {
                each(Meta::from_bytes(&row[K..]));
            }
            at += Self::ROW;
        }
    }

    /// Reads what a look-up of each of `keys` will read, all at once: memory answers many questions in the
    /// time of one, and the look-ups that follow find their lines in the cache.
    #[inline]
    pub(crate) fn warm(&self, keys: &[[u8; K]]) {
        let mut starts = [usize::MAX; BATCH];
        for (start, key) in starts.iter_mut().zip(keys).take(BATCH) {
            let place = self.places.get((lead(key) >> self.shift) as usize).copied().unwrap_or(0);
            let bits = bits_of(key);
            if place >> 32 & bits == bits {
                *start = begin(place) * Self::ROW;
            }
        }
        // First and last byte of the rows that are read: they may lie in two lines, or two pages.
        let touched = starts.iter().flat_map(|start| {
            let last = start.saturating_add(WINDOW * Self::ROW - 1);
            [self.rows.get(*start), self.rows.get(last)]
        });
        // Without this the compiler would see that nobody asks for them.
        std::hint::black_box(touched.flatten().fold(0, |all, byte| all ^ byte));
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

/// Three of 32 bits, by what the key is.
#[inline]
fn bits_of(key: &[u8]) -> u64 {
    let hash = mix(first(key) ^ K1, first(&key[key.len().min(8)..]) ^ K2);
    let bit = |number: u32| 1_u64 << (hash >> (5 * number) & 31);
    bit(0) | bit(1) | bit(2)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn begin(place: u64) -> usize {
    place as u32 as usize
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
