//! A value on its way through modifiers that change it: wildcards, dashes, encodings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::document::Reason;
use crate::sigma::encode::{Endian, dashes, offsets, wide};
use crate::sigma::pattern::{Part, Pattern};

/// A modifier that changes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Contains,
    StartsWith,
    EndsWith,
    WinDash,
    Wide(Endian),
    Base64,
    Base64Offset,
}

impl Step {
    /// The step of that name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "contains" => Self::Contains,
            "startswith" => Self::StartsWith,
            "endswith" => Self::EndsWith,
            "windash" => Self::WinDash,
            "wide" | "utf16le" => Self::Wide(Endian::Little),
            "utf16be" => Self::Wide(Endian::Big),
            "utf16" => Self::Wide(Endian::Marked),
            "base64" => Self::Base64,
            "base64offset" => Self::Base64Offset,
            _ => return None,
        })
    }
}

/// The patterns that `text` becomes by `steps`, of which one has to match.
pub(crate) fn patterns(text: &str, steps: &[Step]) -> Result<Vec<Pattern>, Reason> {
    let mut values = vec![Value::Pattern(Pattern::parse(text))];
    for step in steps {
        let mut next = Vec::new();
        for value in values {
            value.turn(*step, &mut next)?;
        }
        values = next;
    }
    values.into_iter().map(Value::into_pattern).collect()
}

enum Value {
    Pattern(Pattern),
    Bytes(Vec<u8>),
}

impl Value {
    fn turn(self, step: Step, out: &mut Vec<Self>) -> Result<(), Reason> {
        match step {
            Step::Contains | Step::StartsWith | Step::EndsWith => {
                let mut pattern = self.into_pattern()?;
                if step != Step::StartsWith {
                    pattern.push_any_front();
                }
                if step != Step::EndsWith {
                    pattern.push_any();
                }
                out.push(Self::Pattern(pattern));
            }
            Step::WinDash => {
                out.extend(dashes(&self.into_pattern()?)?.into_iter().map(Self::Pattern));
            }
            Step::Wide(endian) => out.push(self.widen(endian)?),
            Step::Base64 => {
                let text = STANDARD.encode(self.into_bytes("base64")?);
                out.push(Self::Pattern(Pattern::literal(&text)));
            }
            Step::Base64Offset => {
                let bytes = self.into_bytes("base64offset")?;
                for text in offsets(&bytes) {
                    out.push(Self::Pattern(Pattern::literal(&text)));
                }
            }
        }
        Ok(())
    }

    /// In UTF-16; wildcards stay wildcards, unless a byte order mark has to stand before them.
    fn widen(self, endian: Endian) -> Result<Self, Reason> {
        if let Self::Pattern(pattern) = &self
            && pattern.as_literal().is_none()
            && endian != Endian::Marked
        {
            let part = |part: &Part| match part {
                Part::Text(text) => text_of(wide(text, endian)).map(Part::Text),
                other => Ok(other.clone()),
            };
            let parts: Result<Vec<Part>, Reason> = pattern.0.iter().map(part).collect();
            return Ok(Self::Pattern(Pattern(parts?)));
        }
        let text = String::from_utf8(self.into_bytes("wide")?).map_err(|_| {
            Reason::BadModifier("wide".to_owned(), "after another encoding".to_owned())
        })?;
        Ok(Self::Bytes(wide(&text, endian)))
    }

    fn into_pattern(self) -> Result<Pattern, Reason> {
        match self {
            Self::Pattern(pattern) => Ok(pattern),
            Self::Bytes(bytes) => text_of(bytes).map(|text| Pattern::literal(&text)),
        }
    }

    fn into_bytes(self, modifier: &str) -> Result<Vec<u8>, Reason> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Pattern(pattern) => match pattern.as_literal() {
                Some(text) => Ok(text.as_bytes().to_vec()),
                None => Err(Reason::BadModifier(
                    modifier.to_owned(),
                    "on a value with wildcards".to_owned(),
                )),
            },
        }
    }
}

/// UTF-16 of ASCII is valid UTF-8 with zero bytes; other text is not and cannot stand in a field
/// of text.
fn text_of(bytes: Vec<u8>) -> Result<String, Reason> {
    String::from_utf8(bytes).map_err(|_| {
        let why = "on this value without `base64` or `base64offset` after it";
        Reason::BadModifier("wide".to_owned(), why.to_owned())
    })
}
