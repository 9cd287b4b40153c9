//! Networks of one family: sorted by first address, each with the one around it.
//!
//! Networks lie inside one another or apart, never across. So the last one that begins at or before an
//! address holds it, or one of those around it does, and then all further out do too.

use bytes::Bytes;

use super::Meta;

/// Most bits of the index.
const MAX_BITS: u32 = 20;
/// No network around.
const NONE: u32 = u32::MAX;

/// Bytes of an address: a family.
pub(crate) const V4: usize = 4;
/// Bytes of an address of IPv6.
pub(crate) const V6: usize = 16;

/// Networks of addresses of `A` bytes. A row: first address, length of the prefix, then what is said.
#[derive(Clone, Debug)]
pub(crate) struct Nets<const A: usize> {
    rows: Bytes,
    around: Vec<u32>,
    starts: Vec<u32>,
    shift: u32,
}

impl<const A: usize> Default for Nets<A> {
    fn default() -> Self {
        Self { rows: Bytes::new(), around: Vec::new(), starts: Vec::new(), shift: 0 }
    }
}

impl<const A: usize> Nets<A> {
    /// Bytes of a row.
    pub(crate) const ROW: usize = A + 1 + Meta::BYTES;

    /// Networks of `rows`; `None` when they are not in order, not whole, no networks, or too many.
    pub(crate) fn new(rows: Bytes) -> Option<Self> {
        let count = rows.len() / Self::ROW;
        if count == 0 || !rows.len().is_multiple_of(Self::ROW) {
            return rows.is_empty().then(Self::default);
        }
        let last = u32::try_from(count).ok().filter(|count| *count < NONE)?;
        let bits = (count.ilog2() + 1).clamp(4, MAX_BITS);
        let shift = 32 - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut around = Vec::with_capacity(count);
        // Those that are open at this row, from the outermost; at most as many as a prefix has bits.
        let mut open: Vec<u32> = Vec::new();
        let mut before: &[u8] = &[];
        for (number, row) in (0..last).zip(rows.chunks_exact(Self::ROW)) {
            let (first, length) = (&row[..A], row[A]);
            if before > row || usize::from(length) > A * 8 || !is_first(first, length) {
                return None;
            }
            before = row;
            while let Some(top) = open.last() {
                let top = Self::of(&rows, *top);
                if holds(&top[..A], top[A], first) {
                    break;
                }
                open.pop();
            }
            around.push(open.last().copied().unwrap_or(NONE));
            open.push(number);
            let bucket = (lead(first) >> shift) as usize;
            while starts.len() <= bucket {
                starts.push(number);
            }
            // The same network said by many sources nests in itself; the way out goes through all.
        }
        starts.resize((1 << bits) + 1, last);
        Some(Self { rows, around, starts, shift })
    }

    fn of(rows: &[u8], number: u32) -> &[u8] {
        &rows[number as usize * Self::ROW..(number as usize + 1) * Self::ROW]
    }

    pub(crate) fn len(&self) -> usize {
        self.around.len()
    }

    pub(crate) fn rows(&self) -> &Bytes {
        &self.rows
    }

    pub(crate) fn index_bytes(&self) -> usize {
        (self.starts.len() + self.around.len()) * size_of::<u32>()
    }

    /// First address, prefix and the rest of each row.
    pub(crate) fn each(&self, each: &mut dyn FnMut([u8; A], u8, Meta)) {
        for row in self.rows.chunks_exact(Self::ROW) {
            if let Ok(first) = row[..A].try_into() {
                each(first, row[A], Meta::from_bytes(&row[A + 1..]));
            }
        }
    }

    /// Gives the networks that hold `address`, the narrowest first.
    #[inline]
    pub(crate) fn find(&self, address: &[u8; A], mut each: impl FnMut([u8; A], u8, Meta)) {
        if self.starts.is_empty() {
            return;
        }
        let bucket = (lead(address) >> self.shift) as usize;
        let (mut low, mut high) = (self.starts[bucket], self.starts[bucket + 1]);
        while low < high {
            let middle = low.midpoint(high);
            if Self::of(&self.rows, middle)[..A] <= address[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // `low` is the first that begins after the address.
        let mut at = low.checked_sub(1).unwrap_or(NONE);
        while at != NONE {
            let row = Self::of(&self.rows, at);
            if holds(&row[..A], row[A], address)
                && let Ok(first) = row[..A].try_into()
            {
                each(first, row[A], Meta::from_bytes(&row[A + 1..]));
            }
            at = self.around[at as usize];
        }
    }
}

/// Whether the network of `first` and `length` holds `address`.
#[inline]
pub(crate) fn holds(first: &[u8], length: u8, address: &[u8]) -> bool {
    let whole = usize::from(length / 8);
    let rest = length % 8;
    if first[..whole] != address[..whole] {
        return false;
    }
    rest == 0 || (first[whole] ^ address[whole]) >> (8 - rest) == 0
}

/// Whether no bit after the prefix is set.
fn is_first(first: &[u8], length: u8) -> bool {
    let whole = usize::from(length / 8);
    let rest = length % 8;
    let inside = usize::from(rest > 0);
    (rest == 0 || first[whole] & (0xff >> rest) == 0)
        && first[whole + inside..].iter().all(|byte| *byte == 0)
}

#[inline]
fn lead(address: &[u8]) -> u32 {
    match address {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{holds, is_first};

    #[test]
    fn prefixes_end_where_they_say() {
        assert!(holds(&[10, 0, 0, 0], 8, &[10, 9, 8, 7]));
        assert!(holds(&[10, 128, 0, 0], 9, &[10, 200, 0, 0]));
        assert!(!holds(&[10, 128, 0, 0], 9, &[10, 127, 0, 0]));
        assert!(holds(&[1, 2, 3, 4], 32, &[1, 2, 3, 4]));
        assert!(is_first(&[10, 128, 0, 0], 9));
        assert!(!is_first(&[10, 64, 0, 0], 9));
    }
}
