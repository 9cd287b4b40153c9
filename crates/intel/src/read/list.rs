//! Plain lists: one value a line, as text files, hosts files and ad blockers' lists have it.
//!
//! `#`, `;`, `!` and `//` begin a comment. Of a line of a hosts file (`0.0.0.0 evil.example`) the name
//! is taken.

use super::{Gathered, Origin, Said};
use crate::indicator::Indicator;
use crate::problem::Problem;

/// Reads a list; the object of each indicator is its line.
pub fn read(bytes: &[u8], origin: &Origin) -> (Vec<Indicator>, Vec<Problem>) {
    let mut gathered = Gathered::new(origin);
    let Some(bytes) = gathered.admit(bytes) else { return gathered.finish() };
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!']) || line.starts_with("//") {
            continue;
        }
        let place = format!("line {}", number + 1);
        let said = Said { object: Some(place.as_str().into()), ..Said::default() };
        let value = line.split(" #").next().unwrap_or(line).split("\t#").next().unwrap_or(line);
        let mut words = value.split_whitespace();
        match (words.next(), words.next()) {
            (Some(sink), Some(name))
                if matches!(sink, "0.0.0.0" | "127.0.0.1" | "::" | "::1")
                    && words.next().is_none() =>
            {
                // The loopback names every hosts file begins with.
                if !matches!(name, "localhost" | "localhost.localdomain" | "0.0.0.0") {
                    gathered.take_any(&place, name, &said);
                }
            }
            _ => gathered.take_any(&place, value, &said),
        }
    }
    gathered.finish()
}
