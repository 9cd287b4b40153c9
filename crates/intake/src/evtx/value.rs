//! Values of binary XML, as Windows renders them in the text of an event.

use std::fmt::Write;

use metsuke_event::Value;
use metsuke_event::time::Timestamp;
use metsuke_event::value::Text;

use crate::bounds;
use crate::evtx::names::{Names, wide};

/// A value that is binary XML itself.
pub(crate) const BINARY_XML: u8 = 0x21;
/// Marks an array of values.
const ARRAY: u8 = 0x80;

/// Hundreds of nanoseconds from 1601 to 1970.
const EPOCH: i64 = 116_444_736_000_000_000;

/// A FILETIME: hundreds of nanoseconds since 1601.
pub(crate) fn filetime(ticks: u64) -> Option<Timestamp> {
    let ticks = i64::try_from(ticks).ok()?.checked_sub(EPOCH)?;
    ticks.checked_mul(100).map(Timestamp::from_nanos)
}

/// The value; `None` for null, and for what has not the size of its type.
pub(crate) fn read(names: &mut Names, kind: u8, bytes: &[u8]) -> Option<Value> {
    if kind & ARRAY != 0 {
        return array(kind & !ARRAY, bytes).map(|text| Value::Text(text.into()));
    }
    match kind {
        0x01 => Some(Value::Text(names.wide(until_null(bytes)))),
        _ => one(kind, bytes),
    }
}

fn one(kind: u8, bytes: &[u8]) -> Option<Value> {
    let signed = |number: i64| u64::try_from(number).map_or(Value::I64(number), Value::U64);
    Some(match kind {
        0x01 => {
            let mut text = String::new();
            wide(until_null(bytes), &mut text);
            Value::Text(text.into())
        }
        // Code page unknown: as Latin-1.
        0x02 => {
            let bytes = &bytes[..bytes.len().min(bounds::TEXT_BYTES / 2)];
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            text(bytes[..end].iter().map(|byte| char::from(*byte)).collect())
        }
        0x03 => signed(i64::from(i8::from_le_bytes(bytes.try_into().ok()?))),
        0x04 => Value::U64(u64::from(u8::from_le_bytes(bytes.try_into().ok()?))),
        0x05 => signed(i64::from(i16::from_le_bytes(bytes.try_into().ok()?))),
        0x06 => Value::U64(u64::from(u16::from_le_bytes(bytes.try_into().ok()?))),
        0x07 => signed(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        0x08 => Value::U64(u64::from(u32::from_le_bytes(bytes.try_into().ok()?))),
        0x09 => signed(i64::from_le_bytes(bytes.try_into().ok()?)),
        0x0a => Value::U64(u64::from_le_bytes(bytes.try_into().ok()?)),
        0x0b => text(f32::from_le_bytes(bytes.try_into().ok()?).to_string()),
        0x0c => text(f64::from_le_bytes(bytes.try_into().ok()?).to_string()),
        0x0d => Value::Bool(bytes.iter().any(|byte| *byte != 0)),
        0x0e => text(hex(&bytes[..bytes.len().min(bounds::TEXT_BYTES / 2)])),
        0x0f => text(guid(bytes)?),
        0x10 | 0x14 | 0x15 => text(format!("0x{:x}", number(bytes)?)),
        0x11 => {
            let ticks = u64::from_le_bytes(bytes.try_into().ok()?);
            filetime(ticks).map_or_else(|| old_time(ticks), |time| Some(Value::Time(time)))?
        }
        0x12 => Value::Time(system_time(bytes)?),
        0x13 => text(sid(bytes)?),
        0x20 => Value::U64(number(bytes)?),
        _ => return None,
    })
}

/// A time that [`Timestamp`] does not reach: 1601 stands for never.
fn old_time(ticks: u64) -> Option<Value> {
    let seconds = i64::try_from(ticks / 10_000_000).ok()?.checked_sub(EPOCH / 10_000_000)?;
    let time = chrono::DateTime::from_timestamp(seconds, 0)?;
    Some(text(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
}

fn text(text: String) -> Value {
    Value::Text(Text::from(text))
}

fn number(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        4 => Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(u64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

/// UTF-16 up to its null.
fn until_null(bytes: &[u8]) -> &[u8] {
    let (mut units, _) = bytes.as_chunks::<2>();
    while let [rest @ .., [0, 0]] = units {
        units = rest;
    }
    &bytes[..units.len() * 2]
}

/// The values of an array, each on a line of its own.
fn array(kind: u8, bytes: &[u8]) -> Option<String> {
    if kind == 0x01 {
        let mut joined = String::new();
        wide(until_null(bytes), &mut joined);
        return Some(joined.replace('\0', "\n"));
    }
    let size = match kind {
        0x03 | 0x04 => 1,
        0x05 | 0x06 => 2,
        0x07 | 0x08 | 0x0b | 0x0d | 0x14 => 4,
        0x09 | 0x0a | 0x0c | 0x11 | 0x15 => 8,
        0x0f | 0x12 => 16,
        _ => return None,
    };
    let values = bytes.chunks_exact(size).filter_map(|bytes| one(kind, bytes));
    let texts: Vec<String> = values.map(|value| value.as_ref().to_text().into_owned()).collect();
    Some(texts.join("\n"))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    // The first three parts are numbers, little-endian.
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let digits = hex(&order.map(|index| bytes[index]));
    let mut text = String::with_capacity(38);
    text.push('{');
    for (index, part) in [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20]]
        .into_iter()
        .chain([&digits[20..]])
        .enumerate()
    {
        if index > 0 {
            text.push('-');
        }
        text.push_str(part);
    }
    text.push('}');
    Some(text)
}

fn sid(bytes: &[u8]) -> Option<String> {
    let (revision, rest) = bytes.split_first()?;
    let (count, rest) = rest.split_first()?;
    let (authority, rest) = rest.split_first_chunk::<6>()?;
    let (parts, _) = rest.as_chunks::<4>();
    if parts.len() < usize::from(*count) {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text = format!("S-{revision}-{authority}");
    for part in &parts[..usize::from(*count)] {
        write!(text, "-{}", u32::from_le_bytes(*part)).ok()?;
    }
    Some(text)
}

fn system_time(bytes: &[u8]) -> Option<Timestamp> {
    let (parts, _) = bytes.as_chunks::<2>();
    let [year, month, _, day, hour, minute, second, millis] = parts else { return None };
    let part = |bytes: &[u8; 2]| u32::from(u16::from_le_bytes(*bytes));
    let year = i32::from(u16::from_le_bytes(*year));
    let date = chrono::NaiveDate::from_ymd_opt(year, part(month), part(day))?;
    let time = date.and_hms_milli_opt(part(hour), part(minute), part(second), part(millis))?;
    time.and_utc().timestamp_nanos_opt().map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use metsuke_event::Value;

    use super::{Names, read};

    #[test]
    fn values_read_as_windows_writes_them() {
        let check = |kind: u8, bytes: &[u8], text: &str| {
            let value = read(&mut Names::default(), kind, bytes);
            let found = value.as_ref().map(|value| value.as_ref().to_text().into_owned());
            assert_eq!(found.as_deref(), Some(text), "type {kind:#x}");
        };
        check(0x01, b"a\0\xfc\0\0\0", "aü");
        check(0x81, b"a\0\0\0b\0\0\0", "a\nb");
        check(0x07, &(-3_i32).to_le_bytes(), "-3");
        check(0x07, &3_i32.to_le_bytes(), "3");
        check(0x0d, &[1, 0, 0, 0], "true");
        check(0x0e, &[0xde, 0xad], "DEAD");
        check(0x14, &0x1f4_u32.to_le_bytes(), "0x1f4");
        check(0x11, &132_539_328_000_000_000_u64.to_le_bytes(), "2021-01-01T00:00:00Z");
        check(0x11, &[0; 8], "1601-01-01T00:00:00Z");
        check(0x13, &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0], "S-1-5-18");
        let guid: Vec<u8> = (0..16).collect();
        check(0x0f, &guid, "{03020100-0504-0706-0809-0A0B0C0D0E0F}");
        assert_eq!(read(&mut Names::default(), 0x00, &[]), None);
        assert_eq!(read(&mut Names::default(), 0x08, &[1]), None);
        assert_eq!(read(&mut Names::default(), 0x0a, &[0; 8]), Some(Value::U64(0)));
    }
}
