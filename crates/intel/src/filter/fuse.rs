//! A binary fuse filter with three places a key and fingerprints of 16 bits.
//!
//! Source: T. M. Graf, D. Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters", ACM JEA
//! 2022, algorithms 1 to 3. 18 bits a key, wrong for 1 of 65,536 strangers.

use crate::set::hash::{K1, mix};

/// Trials with new seeds; each succeeds with more than 9 of 10.
const MAX_TRIALS: u32 = 64;
/// Largest segment; larger ones do not help (section 4 of the paper).
const MAX_SEGMENT: u32 = 1 << 18;

/// No filter could be made.
#[derive(Debug, thiserror::Error)]
#[error("no filter after {MAX_TRIALS} trials; try again with another seed")]
pub struct FuseError;

/// The filter over keys of 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fuse {
    seed: u64,
    keys: u64,
    segment: u32,
    /// Number of segments a key may begin in, times their length.
    span: u32,
    prints: Vec<u16>,
}

impl Fuse {
    /// The filter of `keys`, which may hold a key twice.
    ///
    /// # Errors
    /// [`FuseError`], for more than about 3 × 10^9 keys too.
    pub fn new(mut keys: Vec<u64>, mut seed: u64) -> Result<Self, FuseError> {
        keys.sort_unstable();
        keys.dedup();
        let Some((segment, span)) = shape(keys.len()) else { return Err(FuseError) };
        let size = span as usize + 2 * segment as usize;
        let mut filter =
            Self { seed, keys: keys.len() as u64, segment, span, prints: vec![0; size] };
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let mut hashes = keys;
        let mut last = None;
        for _ in 0..MAX_TRIALS {
            // From keys to hashes, and between seeds: both ways are one to one, so nothing is lost.
            for hash in &mut hashes {
                *hash = scramble(last.map_or(*hash, |last| unscramble(*hash, last)), seed);
            }
            last = Some(seed);
            filter.seed = seed;
            if filter.fill(&mut hashes) {
                return Ok(filter);
            }
            seed = mix(seed ^ K1, K1).wrapping_add(1);
        }
        Err(FuseError)
    }

    /// Tries to set the fingerprints for `hashes`, whose order it changes.
    fn fill(&mut self, hashes: &mut [u64]) -> bool {
        // In order of their first place, so that neighbours in time are neighbours in memory.
        hashes.sort_unstable();
        let size = self.prints.len();
        let mut counts = vec![0_u8; size];
        let mut joined = vec![0_u64; size];
        for hash in &*hashes {
            for (number, place) in (0_u8..).zip(self.places(*hash)) {
                // Two bits for the XOR of the places' numbers, six for how many.
                if counts[place] >= 0xfc {
                    return false;
                }
                counts[place] = (counts[place] + 4) ^ number;
                joined[place] ^= hash;
            }
        }
        let mut alone: Vec<u32> = Vec::new();
        let mut order: Vec<(u64, u8)> = Vec::with_capacity(hashes.len());
        for start in 0..self.span + 2 * self.segment {
            alone.push(start);
            while let Some(place) = alone.pop() {
                let place = place as usize;
                if counts[place] >> 2 != 1 {
                    continue;
                }
                let (hash, mine) = (joined[place], counts[place] & 3);
                order.push((hash, mine));
                for (number, other) in (0_u8..).zip(self.places(hash)) {
                    counts[other] = (counts[other] - 4) ^ number;
                    joined[other] ^= hash;
                    if counts[other] >> 2 == 1
                        && let Ok(other) = u32::try_from(other)
                    {
                        alone.push(other);
                    }
                }
            }
        }
        if order.len() < hashes.len() {
            return false;
        }
        self.prints.fill(0);
        for (hash, mine) in order.into_iter().rev() {
            let places = self.places(hash);
            let others =
                places.iter().fold(fingerprint(hash), |all, place| all ^ self.prints[*place]);
            // The own place is still 0 here.
            self.prints[places[usize::from(mine)]] = others;
        }
        true
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a hash")]
    fn places(&self, hash: u64) -> [usize; 3] {
        let first = ((u128::from(hash) * u128::from(self.span)) >> 64) as u32;
        let mask = self.segment - 1;
        let second = (first + self.segment) ^ ((hash >> 18) as u32 & mask);
        let third = (first + 2 * self.segment) ^ (hash as u32 & mask);
        [first as usize, second as usize, third as usize]
    }

    /// Whether `key` may be one of its keys.
    #[inline]
    pub fn has(&self, key: u64) -> bool {
        if self.prints.is_empty() {
            return false;
        }
        let hash = scramble(key, self.seed);
        let [first, second, third] = self.places(hash);
        fingerprint(hash) ^ self.prints[first] ^ self.prints[second] ^ self.prints[third] == 0
    }

    /// How many keys it holds.
    pub fn len(&self) -> u64 {
        self.keys
    }

    /// It holds no key.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Bytes of the fingerprints.
    pub fn memory(&self) -> usize {
        self.prints.len() * size_of::<u16>()
    }

    pub(crate) fn write_head(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.keys.to_le_bytes());
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.span.to_le_bytes());
    }

    pub(crate) fn write_prints(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.prints.iter().flat_map(|print| print.to_le_bytes()));
    }

    /// The filter of a head of 24 bytes and what begins `body`, with how much of it that is.
    pub(crate) fn read(head: &[u8], body: &[u8]) -> Option<(Self, usize)> {
        let long = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let short = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (seed, keys, segment, span) = (long(0)?, long(8)?, short(16)?, short(20)?);
        if (segment, span) == (0, 0) {
            return Some((Self::default(), 0));
        }
        // Only shapes that are made here: every place then lies inside.
        let expected = shape(usize::try_from(keys).ok()?)?;
        if expected != (segment, span) {
            return None;
        }
        let size = (span as usize + 2 * segment as usize) * size_of::<u16>();
        let (prints, _) = body.get(..size)?.as_chunks::<2>();
        let prints = prints.iter().map(|print| u16::from_le_bytes(*print)).collect();
        Some((Self { seed, keys, segment, span, prints }, size))
    }
}

/// The length of a segment, and of those a key may begin in, for `count` keys.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the paper's formulas, within the range of counts; the results are checked"
)]
fn shape(count: usize) -> Option<(u32, u32)> {
    let keys = count.max(2) as f64;
    let segment = 1_u32 << ((keys.ln() / 3.33_f64.ln() + 2.25).floor() as u32).min(30);
    let segment = segment.clamp(4, MAX_SEGMENT);
    let factor = (0.875 + 0.25 * 1e6_f64.ln() / keys.ln()).max(1.125);
    let capacity = (keys * factor).round();
    if capacity > f64::from(u32::MAX / 2) {
        return None;
    }
    let segments = (capacity as u32).div_ceil(segment).saturating_sub(2).max(1);
    Some((segment, segments.checked_mul(segment)?))
}

/// The finaliser of `MurmurHash3`, which is one to one.
#[inline]
fn scramble(key: u64, seed: u64) -> u64 {
    let mut hash = key.wrapping_add(seed);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The key whose scrambled form is `hash`.
fn unscramble(hash: u64, seed: u64) -> u64 {
    let mut key = hash ^ (hash >> 33);
    key = key.wrapping_mul(0x9cb4_b2f8_1293_37db);
    key = (key ^ (key >> 33)).wrapping_mul(0x4f74_430c_22a5_4005);
    (key ^ (key >> 33)).wrapping_sub(seed)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "16 bits are wanted")]
fn fingerprint(hash: u64) -> u16 {
    (hash ^ (hash >> 32)) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fuse, scramble, unscramble};

    #[test]
    fn strangers_are_seldom_held() {
        let keys: Vec<u64> = (0..100_000).map(|n| n * 7).collect();
        let fuse = Fuse::new(keys.clone(), 9).expect("made");
        assert!(keys.iter().all(|key| fuse.has(*key)));
        let wrong = (0..1_000_000_u64).filter(|n| fuse.has(n * 7 + 1)).count();
        // 15 expected.
        assert!(wrong < 60, "{wrong}");
        let bits = fuse.memory() * 8 / keys.len();
        assert!(bits <= 20, "{bits} bits a key");
    }

    proptest! {
        #[test]
        fn scrambling_is_one_to_one(key: u64, seed: u64) {
            prop_assert_eq!(unscramble(scramble(key, seed), seed), key);
        }

        #[test]
        fn no_key_is_missed(keys in prop::collection::vec(any::<u64>(), 0..600), seed: u64) {
            let fuse = Fuse::new(keys.clone(), seed).expect("made");
            for key in keys {
                prop_assert!(fuse.has(key));
            }
            let (mut head, mut body) = (Vec::new(), Vec::new());
            fuse.write_head(&mut head);
            fuse.write_prints(&mut body);
            let read = Fuse::read(&head, &body).map(|(fuse, _)| fuse);
            prop_assert_eq!(read, Some(fuse));
        }
    }
}
