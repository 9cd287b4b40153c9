//! From a field and a value as written to the tests they mean.

use std::net::IpAddr;

use metsuke_event::{FieldSpec, FieldType, Kind, Timestamp, Value};

use crate::error::QueryError;
use crate::lexer::Word;
use crate::names::{Comparison, address_fields, comparison, hash_fields, word_fields};
use crate::parser::joined;
use crate::pattern::{Pattern, Piece};
use crate::plan::{End, Predicate, Range, Test};

const DAY_NANOS: i64 = 86_400_000_000_000;

/// A word without a field name: a SHA-256 means the hash fields, an address or network also the
/// address fields, anything else is looked for in command lines, paths and names.
pub(crate) fn word_tests(word: &Word) -> Result<Predicate, QueryError> {
    if word.is_any() {
        return Ok(Predicate::All);
    }
    let literal = word.literal();
    if let Some(text) = literal
        && text.len() == 64
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        let value = Value::Text(text.to_ascii_lowercase().into());
        let tests =
            hash_fields().map(|spec| Predicate::Field(spec.id, Test::Equals(value.clone())));
        return Ok(joined(tests.collect(), Predicate::Or));
    }
    let mut tests = Vec::new();
    if let Some(test) = literal.and_then(address_test) {
        tests.extend(address_fields().map(|spec| Predicate::Field(spec.id, test.clone())));
    }
    for pieces in forms(word) {
        let mut wide = vec![Piece::Many];
        wide.extend(pieces.iter().cloned());
        wide.push(Piece::Many);
        let pattern = pattern(wide, word)?;
        tests.extend(
            word_fields().map(|spec| Predicate::Field(spec.id, Test::Like(pattern.clone()))),
        );
    }
    Ok(joined(tests, Predicate::Or))
}

/// `FIELD:WORD`.
pub(crate) fn value_tests(spec: &FieldSpec, word: &Word) -> Result<Predicate, QueryError> {
    if word.is_any() {
        return Ok(Predicate::Field(spec.id, Test::Exists));
    }
    let tests = match spec.ty {
        FieldType::Text => text_tests(spec, word)?,
        FieldType::Ip => vec![ip_test(spec, word)?],
        FieldType::Time => vec![time_test(spec, word)?],
        _ => vec![Test::Equals(typed(spec, word)?)],
    };
    let tests = tests.into_iter().map(|test| Predicate::Field(spec.id, test)).collect();
    Ok(joined(tests, Predicate::Or))
}

/// `FIELD:[LOW TO HIGH]` and the comparisons.
pub(crate) fn range_tests(
    spec: &FieldSpec,
    low: Option<&(Word, End)>,
    high: Option<&(Word, End)>,
) -> Result<Predicate, QueryError> {
    if spec.ty == FieldType::Bool
        && let Some((word, _)) = low.or(high)
    {
        return Err(QueryError::new(format!("`{}` is true or false", spec.name), word.span)
            .hint(format!("write {}:true or {}:false", spec.name, spec.name)));
    }
    let read = |bound: Option<&(Word, End)>| {
        bound.map(|(word, end)| Ok((typed(spec, word)?, *end))).transpose()
    };
    let range = Range { low: read(low)?, high: read(high)? };
    if range.low.is_none() && range.high.is_none() {
        return Ok(Predicate::Field(spec.id, Test::Exists));
    }
    Ok(Predicate::Field(spec.id, Test::Within(range)))
}

fn text_tests(spec: &FieldSpec, word: &Word) -> Result<Vec<Test>, QueryError> {
    let how = comparison(spec);
    let mut tests = Vec::new();
    for pieces in forms(word) {
        let plain = match pieces {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text.as_str()),
            _ => None,
        };
        let test = match (plain, how) {
            (Some(text), Comparison::Lower) => {
                let text = text.to_lowercase();
                if spec.name == "class" {
                    known_class(&text, word)?;
                }
                Test::Equals(Value::Text(text.into()))
            }
            (Some(text), Comparison::Contained) if !text.is_empty() => {
                let pieces = vec![Piece::Many, Piece::Literal(text.to_owned()), Piece::Many];
                Test::Like(pattern(pieces, word)?)
            }
            _ => Test::Like(pattern(pieces.to_vec(), word)?),
        };
        tests.push(test);
    }
    Ok(tests)
}

fn known_class(text: &str, word: &Word) -> Result<(), QueryError> {
    if Kind::from_name(text).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    Err(QueryError::new(format!("no class is called `{text}`"), word.span)
        .hint(format!("classes: {}; wildcards work: class:process.*", known.join(", "))))
}

fn ip_test(spec: &FieldSpec, word: &Word) -> Result<Test, QueryError> {
    let Some(text) = word.literal() else {
        return Ok(Test::Like(pattern(word.folded.clone(), word)?));
    };
    address_test(text).ok_or_else(|| {
        QueryError::new(format!("`{text}` is no address"), word.span).hint(format!(
            "write an address, a network such as {}:10.0.0.0/8, or a pattern such as 10.*",
            spec.name
        ))
    })
}

fn address_test(text: &str) -> Option<Test> {
    if let Some((base, prefix)) = text.split_once('/') {
        let base = base.parse::<IpAddr>().ok()?.to_canonical();
        let prefix: u8 = prefix.parse().ok()?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        return (prefix <= longest).then_some(Test::Network { base, prefix });
    }
    Value::parse(FieldType::Ip, text).map(Test::Equals)
}

/// A time, or a day, which means all of it.
fn time_test(spec: &FieldSpec, word: &Word) -> Result<Test, QueryError> {
    if let Some(day) = word.literal().and_then(day_start) {
        return Ok(Test::Within(Range {
            low: Some((Value::Time(day), End::Included)),
            high: Some((Value::Time(day.plus_nanos(DAY_NANOS)), End::Excluded)),
        }));
    }
    Ok(Test::Equals(typed(spec, word)?))
}

fn day_start(text: &str) -> Option<Timestamp> {
    (text.len() == 10).then(|| format!("{text}T00:00:00Z").parse().ok())?
}

/// The value in the field's type.
fn typed(spec: &FieldSpec, word: &Word) -> Result<Value, QueryError> {
    let wrong = |expected: &str, hint: String| {
        QueryError::new(format!("`{}` holds {expected}", spec.name), word.span).hint(hint)
    };
    let Some(text) = word.literal() else {
        return Err(wrong(
            kind_of(spec.ty),
            format!("wildcards do not work here; use a range such as {}:[10 TO 20]", spec.name),
        ));
    };
    let hex = text.strip_prefix("0x");
    let value = match (spec.ty, hex) {
        (FieldType::U64, Some(hex)) => u64::from_str_radix(hex, 16).ok().map(Value::U64),
        (FieldType::Time, _) => {
            day_start(text).map(Value::Time).or_else(|| Value::parse(spec.ty, text))
        }
        (FieldType::Bool, _) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => Value::parse(spec.ty, text),
    };
    value.ok_or_else(|| {
        let example = match spec.ty {
            FieldType::U64 => "4121 or 0x1019",
            FieldType::I64 => "-1",
            FieldType::Bool => "true or false",
            FieldType::Ip => "192.0.2.7",
            FieldType::Time => "2026-11-21 or 2026-11-21T09:30:00Z",
            FieldType::Text => "text",
        };
        wrong(kind_of(spec.ty), format!("write for example {}:{example}", spec.name))
    })
}

const fn kind_of(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Text => "text",
        FieldType::U64 => "a number from 0 to 18446744073709551615",
        FieldType::I64 => "a number",
        FieldType::Bool => "true or false",
        FieldType::Ip => "an address",
        FieldType::Time => "a time",
    }
}

/// The value as written and, where it differs, in NFKC.
fn forms(word: &Word) -> Vec<&[Piece]> {
    if word.raw == word.folded { vec![&word.raw] } else { vec![&word.raw, &word.folded] }
}

fn pattern(pieces: Vec<Piece>, word: &Word) -> Result<Pattern, QueryError> {
    Pattern::new(pieces)
        .ok_or_else(|| QueryError::new("the pattern is too long", word.span).hint("shorten it"))
}
