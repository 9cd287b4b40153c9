//! NFKC: full-width letters, signs and blanks from a Japanese keyboard mean the plain ones.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// `text` in NFKC.
pub(crate) fn nfkc(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text)
}

/// What `c` alone becomes in NFKC where that is one ASCII character, else `c`.
pub(crate) fn plain(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let mut buffer = [0_u8; 4];
    let folded = nfkc(c.encode_utf8(&mut buffer));
    let mut chars = folded.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii() => one,
        _ => c,
    }
}
