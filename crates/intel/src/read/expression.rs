//! What STIX patterns and OpenIOC criteria have in common: comparisons joined by AND and OR.
//!
//! An indicator stands alone, so an expression is split. OR: each operand for itself. AND: where one
//! operand is a hash, the hashes are taken (a hash names its file, the rest describes it); else each
//! operand is taken for itself and it is told that it matches more than was asked for.

use super::{Gathered, Said};
use crate::indicator::Kind;

/// A comparison, or several joined.
#[derive(Debug)]
pub(crate) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    /// A comparison that is understood.
    Is(Wanted, String),
    /// One that is not: what it says.
    NotUnderstood(String),
}

/// What kind of value a comparison asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    One(Kind),
    /// Whatever it looks like: an address, a network or a domain.
    Any,
}

/// Label of what is only a part of what was asked for.
pub(crate) const PARTIAL: &str = "partial";

impl Expression {
    /// Takes what can be taken, and tells the rest.
    pub(crate) fn take(&self, place: &str, said: &Said, gathered: &mut Gathered<'_>) {
        match self {
            Self::Any(operands) => {
                for operand in operands {
                    operand.take(place, said, gathered);
                }
            }
            Self::Is(wanted, value) => take_one(place, *wanted, value, said, gathered),
            Self::NotUnderstood(what) => {
                gathered.refuse(place, format!("not understood: {what}"));
            }
            Self::All(operands) if operands.len() == 1 => operands[0].take(place, said, gathered),
            Self::All(operands) => take_all(place, operands, said, gathered),
        }
    }

    fn is_hash(&self) -> bool {
        match self {
            Self::Is(Wanted::One(kind), _) => {
                matches!(kind, Kind::Sha256 | Kind::Sha1 | Kind::Md5 | Kind::Certificate)
            }
            Self::Any(operands) => !operands.is_empty() && operands.iter().all(Self::is_hash),
            Self::All(operands) => operands.iter().any(Self::is_hash),
            Self::Is(..) | Self::NotUnderstood(_) => false,
        }
    }
}

fn take_all(place: &str, operands: &[Expression], said: &Said, gathered: &mut Gathered<'_>) {
    let hashes = operands.iter().filter(|operand| operand.is_hash());
    let found = hashes.clone().count();
    if found > 0 {
        if found < operands.len() {
            gathered.note(
                place,
                format!(
                    "of {} conditions joined by AND the {found} with hashes are taken",
                    operands.len()
                ),
            );
        }
        for operand in hashes {
            operand.take(place, said, gathered);
        }
        return;
    }
    let mut said = said.clone();
    said.label(PARTIAL);
    gathered.note(
        place,
        format!(
            "{} conditions joined by AND are taken one by one, labelled `{PARTIAL}`: they match more than was asked for",
            operands.len()
        ),
    );
    for operand in operands {
        operand.take(place, &said, gathered);
    }
}

fn take_one(place: &str, wanted: Wanted, value: &str, said: &Said, gathered: &mut Gathered<'_>) {
    match wanted {
        Wanted::One(kind @ (Kind::Ipv4 | Kind::Ipv6)) if value.contains('/') => {
            // STIX writes networks as the value of an address.
            let found = super::guess(value);
            match found {
                Ok((Kind::Ipv4 | Kind::Ipv6 | Kind::Cidr, _)) | Err(_) => {
                    gathered.took(place, found, said);
                }
                Ok(_) => gathered.take(place, kind, value, said),
            }
        }
        Wanted::One(kind) => gathered.take(place, kind, value, said),
        Wanted::Any => gathered.take_any(place, value, said),
    }
}
