//! The values fields hold: a closed set of types, owned and borrowed.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::time::Timestamp;

/// Shared immutable text. Telemetry is hostile: it may hold control characters and bidi marks.
pub type Text = Arc<str>;

/// The type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// UTF-8 text; bytes that were not UTF-8 became U+FFFD.
    Text,
    /// Unsigned number.
    U64,
    /// Signed number.
    I64,
    /// True or false.
    Bool,
    /// IPv4 or IPv6 address; IPv4-mapped IPv6 is stored as IPv4.
    Ip,
    /// Point in time.
    Time,
}

/// An owned value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the type of the same name")]
pub enum Value {
    Text(Text),
    U64(u64),
    I64(i64),
    Bool(bool),
    Ip(IpAddr),
    Time(Timestamp),
}

/// A borrowed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the type of the same name")]
pub enum ValueRef<'a> {
    Text(&'a str),
    U64(u64),
    I64(i64),
    Bool(bool),
    Ip(IpAddr),
    Time(Timestamp),
}

impl ValueRef<'_> {
    /// The owned value.
    pub fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::Text(text.into()),
            Self::U64(number) => Value::U64(number),
            Self::I64(number) => Value::I64(number),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Ip(address) => Value::Ip(address),
            Self::Time(time) => Value::Time(time),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// The value as text, the form in which rules compare and people read it.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::U64(number) => Cow::Owned(number.to_string()),
            Self::I64(number) => Cow::Owned(number.to_string()),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Ip(address) => Cow::Owned(address.to_string()),
            Self::Time(time) => Cow::Owned(time.to_string()),
        }
    }
}

impl Value {
    /// The borrowed value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) => ValueRef::Text(text),
            Self::U64(number) => ValueRef::U64(*number),
            Self::I64(number) => ValueRef::I64(*number),
            Self::Bool(flag) => ValueRef::Bool(*flag),
            Self::Ip(address) => ValueRef::Ip(*address),
            Self::Time(time) => ValueRef::Time(*time),
        }
    }

    /// Reads `text` as a value of type `ty`; `None` when it is not one.
    pub fn parse(ty: FieldType, text: &str) -> Option<Self> {
        Some(match ty {
            FieldType::Text => Self::Text(text.into()),
            FieldType::U64 => Self::U64(text.parse().ok()?),
            FieldType::I64 => Self::I64(text.parse().ok()?),
            FieldType::Bool => Self::Bool(text.parse().ok()?),
            FieldType::Ip => Self::Ip(text.parse::<IpAddr>().ok()?.to_canonical()),
            FieldType::Time => Self::Time(text.parse().ok()?),
        })
    }
}

/// How a Rust type is held in a field; implemented for the six kinds of value only.
pub(crate) trait Held: Sized {
    fn as_value(&self) -> ValueRef<'_>;
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! held {
    ($rust:ty, $variant:ident) => {
        impl Held for $rust {
            fn as_value(&self) -> ValueRef<'_> {
                ValueRef::$variant(*self)
            }
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(inner) => Some(*inner),
                    _ => None,
                }
            }
        }
    };
}

held!(u64, U64);
held!(i64, I64);
held!(bool, Bool);
held!(IpAddr, Ip);
held!(Timestamp, Time);

impl Held for Text {
    fn as_value(&self) -> ValueRef<'_> {
        ValueRef::Text(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(Self::clone(text)),
            _ => None,
        }
    }
}
