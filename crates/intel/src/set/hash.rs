//! Hashes of texts for keys: small, keyed, and stable, since they stand in snapshots.
//!
//! Invariant: what they give never changes; `docs/spec/intel.md` describes them.

pub(crate) const K1: u64 = 0x9e37_79b9_7f4a_7c15;
pub(crate) const K2: u64 = 0xd6e8_feb8_6659_fd93;
pub(crate) const K3: u64 = 0xa076_1d64_78bd_642f;

/// Upper half XOR lower half of the product.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a u128")]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Hash of a text.
#[inline]
pub(crate) fn text(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(K3);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word), K1);
    }
    if !rest.is_empty() {
        state = mix(state ^ tail(bytes, rest), K1);
    }
    mix(state ^ K2, K3)
}

/// The last bytes filled up with zeros, read without a copy: from the last eight bytes of all where
/// there are eight, else from overlapping pieces.
#[inline]
fn tail(bytes: &[u8], rest: &[u8]) -> u64 {
    let length = rest.len();
    if let Some(last) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*last) >> (64 - 8 * length);
    }
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (length - 4));
    }
    let at = |place: usize| u64::from(rest[place]) << (8 * place);
    at(0) | at(length / 2) | at(length - 1)
}

/// The state of a domain's hash after one more label, to the left of those before.
#[inline]
pub(crate) fn label(state: u64, seed: u64, label: &[u8]) -> u64 {
    mix(state ^ text(seed, label), K2)
}

/// A domain's hash from the state after its last label.
#[inline]
pub(crate) fn domain(state: u64) -> u64 {
    mix(state ^ K1, K3)
}

#[cfg(test)]
mod tests {
    use super::{K1, K2, K3, domain, label, mix, text};

    #[test]
    fn hashes_stay_what_they_are() {
        // Worked out from the description by another program; a change breaks every snapshot.
        let found = [text(0, b""), text(7, b"evil.example"), text(7, b"12345678")];
        assert_eq!(found.map(|hash| format!("{hash:016x}")), EXPECTED);
        // Every length: as if filled up with zeros.
        let bytes: Vec<u8> = (1..40).collect();
        for length in 1..bytes.len() {
            let mut state = 9 ^ (length as u64).wrapping_mul(K3);
            for piece in bytes[..length].chunks(8) {
                let mut word = [0; 8];
                word[..piece.len()].copy_from_slice(piece);
                state = mix(state ^ u64::from_le_bytes(word), K1);
            }
            assert_eq!(text(9, &bytes[..length]), mix(state ^ K2, K3), "{length}");
        }
        let name = label(label(7, 7, b"example"), 7, b"evil");
        assert_eq!(format!("{:016x}", domain(name)), "b39d39f1aa5e5a65");
    }

    const EXPECTED: [&str; 3] = ["63b3f8ca692bfce6", "1189ea5fe7520c73", "4b84bd1028b180ff"];
}
