//! Fingerprints of TLS clients: JA3 and JA4.
//!
//! JA3: J. Althouse, J. Atkinson, J. Atkins (Salesforce, 2017, BSD-3-Clause). JA4 for TLS clients:
//! J. Althouse (`FoxIO`, 2023, BSD-3-Clause; the other fingerprints of JA4+ have another licence and
//! are not here).

use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::tls::{ClientHello, is_grease};

/// Hexadecimal digits of each hashed part of a JA4.
const PART: usize = 12;

/// Counts above this are written as this.
const MAX_COUNT: usize = 99;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// The text whose MD5 is the JA3: version, ciphers, extensions, groups, point formats, in decimal
/// and in the order given, GREASE left out.
pub(crate) fn ja3_text(hello: &ClientHello) -> String {
    let joined = |values: &[u16]| {
        let kept = values.iter().filter(|value| !is_grease(**value));
        kept.map(u16::to_string).collect::<Vec<_>>().join("-")
    };
    let formats: Vec<u16> = hello.point_formats.iter().map(|format| u16::from(*format)).collect();
    format!(
        "{},{},{},{},{}",
        hello.legacy_version,
        joined(&hello.ciphers),
        joined(&hello.extensions),
        joined(&hello.groups),
        joined(&formats),
    )
}

pub(crate) fn ja3(hello: &ClientHello) -> String {
    hex::encode(Md5::digest(ja3_text(hello)))
}

pub(crate) fn ja4(hello: &ClientHello) -> String {
    let kept = |values: &[u16]| -> Vec<u16> {
        values.iter().copied().filter(|value| !is_grease(*value)).collect()
    };
    let mut ciphers = kept(&hello.ciphers);
    let mut extensions = kept(&hello.extensions);
    let name = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let begin = format!(
        "t{}{name}{:02}{:02}{}",
        version(hello.version()),
        ciphers.len().min(MAX_COUNT),
        extensions.len().min(MAX_COUNT),
        protocol(hello.alpn.first().map(Vec::as_slice).unwrap_or_default()),
    );
    ciphers.sort_unstable();
    extensions.retain(|kind| *kind != SERVER_NAME && *kind != ALPN);
    extensions.sort_unstable();
    let mut offered = listed(&extensions);
    let signatures = kept(&hello.signatures);
    if !signatures.is_empty() {
        offered.push('_');
        offered.push_str(&listed(&signatures));
    }
    format!("{begin}_{}_{}", part(&listed(&ciphers)), part(&offered))
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character of a protocol's name; of one that is not alphanumeric there, first and
/// last digit of its hexadecimal form.
fn protocol(name: &[u8]) -> String {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return "00".to_owned() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)].iter().collect();
    }
    let (first, last) = (hex::encode([*first]), hex::encode([*last]));
    format!("{}{}", &first[..1], &last[1..])
}

/// Four hexadecimal digits each, joined by commas.
fn listed(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for value in values {
        if !text.is_empty() {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{value:04x}");
    }
    text
}

fn part(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(PART);
    }
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(PART);
    digits
}
