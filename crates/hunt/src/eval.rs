//! Whether one activity fulfils a predicate: the meaning that every store must agree with.

use std::cmp::Ordering;
use std::net::IpAddr;

use metsuke_event::{Event, Value, ValueRef};

use crate::plan::{End, Predicate, Query, Range, Test};

impl Query {
    /// Whether `event` fulfils the query.
    pub fn matches(&self, event: &Event) -> bool {
        self.predicate.matches(event)
    }
}

impl Predicate {
    /// Whether `event` fulfils the predicate.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.matches(event)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(event)),
            Self::Not(inner) => !inner.matches(event),
            Self::Field(field, test) => {
                event.get_owned(*field).is_some_and(|value| test.matches(value.as_ref()))
            }
        }
    }
}

impl Test {
    /// Whether a value that is set fulfils the test.
    pub fn matches(&self, value: ValueRef<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Equals(wanted) => wanted.as_ref() == value,
            Self::Like(pattern) => pattern.matches(&value.to_text()),
            Self::Within(range) => range.contains(value),
            Self::Network { base, prefix } => match value {
                ValueRef::Ip(address) => in_network(address, *base, *prefix),
                _ => false,
            },
        }
    }
}

impl Range {
    /// Whether `value` lies in the range.
    pub fn contains(&self, value: ValueRef<'_>) -> bool {
        let above = self.low.as_ref().is_none_or(|(low, end)| match compare(value, low) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => *end == End::Included,
            _ => false,
        });
        let below = self.high.as_ref().is_none_or(|(high, end)| match compare(value, high) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => *end == End::Included,
            _ => false,
        });
        above && below
    }
}

fn compare(value: ValueRef<'_>, with: &Value) -> Option<Ordering> {
    match (value, with) {
        (ValueRef::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (ValueRef::U64(a), Value::U64(b)) => Some(a.cmp(b)),
        (ValueRef::I64(a), Value::I64(b)) => Some(a.cmp(b)),
        (ValueRef::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (ValueRef::Ip(IpAddr::V4(a)), Value::Ip(IpAddr::V4(b))) => Some(a.cmp(b)),
        (ValueRef::Ip(IpAddr::V6(a)), Value::Ip(IpAddr::V6(b))) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whether `address` shares its first `prefix` bits with `base`.
fn in_network(address: IpAddr, base: IpAddr, prefix: u8) -> bool {
    match (address, base) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            a.to_bits() & mask == b.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            a.to_bits() & mask == b.to_bits() & mask
        }
        _ => false,
    }
}
