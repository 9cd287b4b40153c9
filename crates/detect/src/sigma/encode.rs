//! What some modifiers make of a value: UTF-16, base64 at any offset, other dashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::document::Reason;
use crate::sigma::pattern::{Part, Pattern};

/// The characters that Windows programs take for the dash of an option.
const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];
/// Variants that `windash` may make of one value.
const DASH_VARIANTS: usize = 1_000;

/// Order of the bytes of UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
    Marked,
}

/// `text` in UTF-16.
pub(crate) fn wide(text: &str, endian: Endian) -> Vec<u8> {
    let mut bytes = if endian == Endian::Marked { vec![0xff, 0xfe] } else { Vec::new() };
    for unit in text.encode_utf16() {
        bytes.extend(if endian == Endian::Big { unit.to_be_bytes() } else { unit.to_le_bytes() });
    }
    bytes
}

/// The base64 text of `bytes` at the three places it can have in a longer text, without the
/// characters that neighbours would change.
pub(crate) fn offsets(bytes: &[u8]) -> Vec<String> {
    const SKIP: [usize; 3] = [0, 2, 3];
    let text = |offset: usize| {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(bytes);
        let encoded = STANDARD_NO_PAD.encode(&padded);
        let end = if padded.len().is_multiple_of(3) { encoded.len() } else { encoded.len() - 1 };
        encoded.get(SKIP[offset]..end).unwrap_or_default().to_owned()
    };
    (0..3).map(text).filter(|text| !text.is_empty()).collect()
}

/// The pattern with each dash that begins an option replaced by each of [`DASHES`].
pub(crate) fn dashes(pattern: &Pattern) -> Result<Vec<Pattern>, Reason> {
    let mut variants = vec![Pattern::default()];
    let mut before = None;
    for part in &pattern.0 {
        let Part::Text(text) = part else {
            for variant in &mut variants {
                variant.0.push(part.clone());
            }
            before = None;
            continue;
        };
        let mut pieces: Vec<String> = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
            let dash = DASHES.contains(&c) && !word(before.as_ref()) && word(chars.peek());
            before = Some(c);
            if !dash {
                for piece in &mut pieces {
                    piece.push(c);
                }
                continue;
            }
            if pieces.len() * DASHES.len() * variants.len() > DASH_VARIANTS {
                return Err(Reason::TooLarge("variants of `windash`"));
            }
            pieces = pieces
                .iter()
                .flat_map(|piece| DASHES.iter().map(move |dash| format!("{piece}{dash}")))
                .collect();
        }
        variants = variants
            .iter()
            .flat_map(|variant| {
                pieces.iter().map(move |piece| {
                    let mut longer = variant.clone();
                    longer.0.push(Part::Text(piece.clone()));
                    longer
                })
            })
            .collect();
    }
    Ok(variants)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, dashes, offsets};

    #[test]
    fn variants() {
        assert_eq!(offsets(b"foobar"), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
        assert_eq!(dashes(&Pattern::parse("-a /b")).expect("few").len(), 25);
        assert_eq!(dashes(&Pattern::parse("a-b")).expect("few").len(), 1);
        assert!(dashes(&Pattern::parse("-a -b -c -d -e -f")).is_err());
    }
}
