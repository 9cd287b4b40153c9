//! What the bytes of a file say of it, found in one pass: digests, fuzzy hash, entropy, first bytes,
//! type.
//!
//! Pure: bytes in, facts out. Reading, budgets and remembering are the hasher's.

use std::sync::Arc;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tlsh2::TlshDefaultBuilder;

use crate::magic::{self, ContentType, SAMPLE};

/// First bytes that are kept: what a person needs to recognise a format.
pub const HEADER_BYTES: usize = 32;

/// Bytes of a TLSH without its version mark "T1": checksum, length, quartile ratios, 32 of body.
const TLSH_BYTES: usize = 35;

/// Whether the fuzzy hash is made too: it costs several times what the other digests cost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fuzzy {
    /// It is.
    Wanted,
    /// It is left out.
    Spared,
}

/// What is known of a file's whole content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    sha256: [u8; 32],
    sha1: [u8; 20],
    md5: [u8; 16],
    tlsh: Option<[u8; TLSH_BYTES]>,
    header: [u8; HEADER_BYTES],
    header_length: u8,
    entropy: u16,
    kind: ContentType,
    fuzzy: Fuzzy,
}

impl Content {
    /// Its SHA-256.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// SHA-256 (FIPS 180-4), lower-case hexadecimal.
    pub fn sha256(&self) -> Arc<str> {
        hex(&self.sha256).into()
    }

    /// SHA-1 (FIPS 180-4), lower-case hexadecimal.
    pub fn sha1(&self) -> Arc<str> {
        hex(&self.sha1).into()
    }

    /// MD5 (RFC 1321), lower-case hexadecimal.
    pub fn md5(&self) -> Arc<str> {
        hex(&self.md5).into()
    }

    /// TLSH with 128 buckets and a checksum of one byte, in its T1 form. `None` for fewer than 50
    /// bytes, for content with too little variety, and where it was spared.
    pub fn tlsh(&self) -> Option<Arc<str>> {
        let digits = hex(self.tlsh.as_ref()?).to_ascii_uppercase();
        Some(format!("T1{digits}").into())
    }

    /// Whether TLSH was made as far as the content allows.
    pub fn fuzzy(&self) -> Fuzzy {
        self.fuzzy
    }

    /// Shannon entropy in thousandths of a bit per byte, 0 to 8,000.
    pub fn entropy(&self) -> u64 {
        u64::from(self.entropy)
    }

    /// The first bytes, at most [`HEADER_BYTES`], lower-case hexadecimal; `None` of an empty file.
    pub fn header(&self) -> Option<Arc<str>> {
        let bytes = self.header.get(..usize::from(self.header_length))?;
        (!bytes.is_empty()).then(|| hex(bytes).into())
    }

    /// What it is, by its first bytes.
    pub fn kind(&self) -> ContentType {
        self.kind
    }
}

/// Takes in content piece by piece.
pub struct Digester {
    sha256: Sha256,
    sha1: Sha1,
    md5: Md5,
    tlsh: Option<Box<TlshDefaultBuilder>>,
    counts: Box<[u64; 256]>,
    sample: Vec<u8>,
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digester").finish_non_exhaustive()
    }
}

impl Digester {
    /// One that has taken in nothing yet.
    pub fn new(fuzzy: Fuzzy) -> Self {
        let wanted = fuzzy == Fuzzy::Wanted;
        Self {
            sha256: Sha256::new(),
            sha1: Sha1::new(),
            md5: Md5::new(),
            tlsh: wanted.then(|| Box::new(TlshDefaultBuilder::new())),
            counts: Box::new([0; 256]),
            sample: Vec::with_capacity(SAMPLE),
        }
    }

    /// Takes in what follows.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        self.md5.update(bytes);
        if let Some(tlsh) = &mut self.tlsh {
            tlsh.update(bytes);
        }
        for byte in bytes {
            self.counts[usize::from(*byte)] += 1;
        }
        let room = SAMPLE - self.sample.len();
        self.sample.extend(bytes.iter().take(room));
    }

    /// What was taken in, as facts.
    pub fn finish(self) -> Content {
        let mut header = [0; HEADER_BYTES];
        let length = self.sample.len().min(HEADER_BYTES);
        header[..length].copy_from_slice(&self.sample[..length]);
        let fuzzy = if self.tlsh.is_some() { Fuzzy::Wanted } else { Fuzzy::Spared };
        Content {
            sha256: self.sha256.finalize().into(),
            sha1: self.sha1.finalize().into(),
            md5: self.md5.finalize().into(),
            tlsh: self.tlsh.and_then(|tlsh| packed(&tlsh.build()?.hash())),
            header,
            header_length: u8::try_from(length).unwrap_or(0),
            entropy: entropy(&self.counts),
            kind: magic::of(&self.sample),
            fuzzy,
        }
    }
}

/// All facts of `bytes` at once.
pub fn of_bytes(bytes: &[u8]) -> Content {
    let mut digester = Digester::new(Fuzzy::Wanted);
    digester.update(bytes);
    digester.finish()
}

/// "T1" and hexadecimal digits as bytes.
fn packed(text: &[u8]) -> Option<[u8; TLSH_BYTES]> {
    let digits = text.strip_prefix(b"T1")?;
    let mut bytes = [0; TLSH_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (digits.len() == 2 * TLSH_BYTES).then_some(bytes)
}

/// Shannon's entropy of byte frequencies, in thousandths of a bit.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "files are far below 2^52 bytes, and the result lies between 0 and 8,000"
)]
fn entropy(counts: &[u64; 256]) -> u16 {
    let total: u64 = counts.iter().sum();
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = *count as f64 / total as f64;
            -share * share.log2()
        })
        .sum();
    (bits * 1000.0).round().clamp(0.0, 8000.0) as u16
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Digester, Fuzzy, of_bytes};

    /// FIPS 180-4 and RFC 1321 examples.
    #[test]
    fn digests_of_published_examples() {
        let abc = of_bytes(b"abc");
        assert_eq!(&*abc.md5(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(&*abc.sha1(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            &*abc.sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(abc.tlsh(), None, "too short");
        assert_eq!((abc.header().as_deref(), abc.entropy()), (Some("616263"), 1585));
        let nothing = of_bytes(b"");
        assert_eq!(&*nothing.md5(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!((nothing.header(), nothing.entropy()), (None, 0));
    }

    /// The example of the reference implementation's Rust port.
    #[test]
    fn tlsh_of_a_published_example() {
        let text = b"Sed ut perspiciatis unde omnis iste natuserror sit voluptatem accusantium";
        assert_eq!(
            of_bytes(text).tlsh().as_deref(),
            Some("T184A022B383C2A2A20ACB0830880CF0202CCAC080033A023800338A30B0880AA8E0BE38")
        );
        assert_eq!(of_bytes(&[b'a'; 4096]).tlsh(), None, "no variety");
    }

    #[test]
    fn entropy_between_nothing_and_eight_bits() {
        let all: Vec<u8> = (0..=255).cycle().take(4096).collect();
        assert_eq!(of_bytes(&all).entropy(), 8000);
        assert_eq!(of_bytes(&[7; 100]).entropy(), 0);
        assert_eq!(of_bytes(b"aabb").entropy(), 1000);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            cuts in prop::collection::vec(0_usize..2000, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut digester = Digester::new(Fuzzy::Wanted);
            for pair in cuts.windows(2) {
                digester.update(&bytes[pair[0]..pair[1]]);
            }
            prop_assert_eq!(digester.finish(), of_bytes(&bytes));
        }
    }
}
