//! Pasted reports: the values in free text, defanged or not, with where they stand.
//!
//! What is written defanged is meant as an indicator and believed. What is not must look the part:
//! file names (`cmd.exe`), names in code (`System.Net`), version numbers and ordinary system paths
//! are left out.

use std::collections::HashMap;

use super::{Gathered, Origin, Said};
use crate::indicator::{Indicator, Kind};
use crate::normalise::{self, MAX_VALUE_BYTES};
use crate::problem::{Problem, Reason};
use crate::refang::refang;

mod friends;

/// Letters of the text shown on each side of a value.
const CONTEXT: usize = 40;

/// One value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of value.
    pub kind: Kind,
    /// Its canonical form.
    pub value: String,
    /// Where it stands first: offset in bytes.
    pub offset: usize,
    /// Where it stands first: line, from 1.
    pub line: usize,
    /// The text around it on its line, at most 40 letters to each side.
    pub context: String,
    /// How often it stands there.
    pub count: usize,
    /// It was written so that it does not work.
    pub defanged: bool,
    /// Why to look twice: a private address, for example.
    pub caution: Option<&'static str>,
}

/// Reads a report; the object of each indicator is its line, and doubts are labels.
pub fn read(bytes: &[u8], origin: &Origin) -> (Vec<Indicator>, Vec<Problem>) {
    let mut gathered = Gathered::new(origin);
    let Some(bytes) = gathered.admit(bytes) else { return gathered.finish() };
    let text = String::from_utf8_lossy(bytes);
    for finding in findings(&text) {
        let place = format!("line {}", finding.line);
        let mut said = Said { object: Some(place.as_str().into()), ..Said::default() };
        if let Some(caution) = finding.caution {
            said.label(caution);
            let text = format!("`{}` is {caution}: look twice", finding.value);
            let values = [finding.value.as_str(), caution];
            gathered.note(&place, Reason::new("caution", &values, text));
        }
        gathered.took(&place, Ok((finding.kind, finding.value)), &said);
    }
    gathered.finish()
}

/// The values in `text`, in the order in which they first stand there; each value once.
pub fn findings(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut known: HashMap<(Kind, String), usize> = HashMap::new();
    let mut line = 1;
    let mut line_start = 0;
    for row in text.split_inclusive('\n') {
        let mut before = "";
        for (at, word) in words(row) {
            for (kind, value, defanged) in values(word, before) {
                if let Some(index) = known.get(&(kind, value.clone())) {
                    found[*index].count += 1;
                    found[*index].defanged |= defanged;
                    continue;
                }
                known.insert((kind, value.clone()), found.len());
                let caution = value.parse().ok().and_then(normalise::special);
                found.push(Finding {
                    kind,
                    caution,
                    offset: line_start + at,
                    line,
                    context: context(row, at, word.len()),
                    count: 1,
                    defanged,
                    value,
                });
            }
            before = word;
        }
        line += 1;
        line_start += row.len();
    }
    found
}

/// What stands between blanks, quotes and the like, with its offset; sentences' signs are cut off.
fn words(row: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = row.split(|c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '`' | ',' | ';' | '|' | '“' | '”')
    });
    parts.filter(|part| !part.is_empty()).map(|part| {
        let word = part.trim_start_matches(['(', '*', '•']);
        let mut word = word.strip_prefix('[').filter(|rest| !rest.contains(']')).unwrap_or(word);
        loop {
            let cut = word.trim_end_matches(['.', ':', '!', '?', '*']);
            let cut =
                [(']', '['), (')', '('), ('}', '{')].into_iter().fold(cut, |cut, (end, begin)| {
                    // A bracket that closes nothing in the word is the sentence's.
                    let unmatched = cut.matches(end).count() > cut.matches(begin).count();
                    if unmatched { cut.strip_suffix(end).unwrap_or(cut) } else { cut }
                });
            if cut.len() == word.len() {
                break;
            }
            word = cut;
        }
        // Both are slices of the row.
        (word.as_ptr() as usize - row.as_ptr() as usize, word)
    })
}

fn context(row: &str, at: usize, length: usize) -> String {
    let start = row[..at].char_indices().rev().nth(CONTEXT - 1).map_or(0, |(index, _)| index);
    let tail = &row[at + length..];
    let end = tail.char_indices().nth(CONTEXT).map_or(tail.len(), |(index, _)| index);
    let shown = row[start..at + length + end].trim();
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The values in one word; `before` is the word before it.
fn values(word: &str, before: &str) -> Vec<(Kind, String, bool)> {
    if word.len() < 4 || word.len() > MAX_VALUE_BYTES {
        return Vec::new();
    }
    let whole = refang(word);
    let defanged = whole != word;
    if whole.contains("://") {
        // `URL:http://…` and `(http://…` alike: from the scheme on.
        let at = whole.find("://").unwrap_or(0);
        let letters = whole[..at].bytes().rev().take_while(u8::is_ascii_alphabetic).count();
        let url = normalise::url(&whole[at - letters..]);
        return url.ok().map(|url| (Kind::Url, url, defanged)).into_iter().collect();
    }
    let hashes: Vec<_> = digests(&whole, before);
    if !hashes.is_empty() {
        return hashes.into_iter().map(|(kind, value)| (kind, value, defanged)).collect();
    }
    let bare = match whole.rsplit_once(['=', ':']) {
        // `IP=198.51.100.7`, but not a port and not a drive.
        Some((name, value))
            if name.len() > 1
                && value.len() > 5
                && name.bytes().all(|b| b.is_ascii_alphabetic()) =>
        {
            value
        }
        _ => &*whole,
    };
    one(bare, before, defanged).map(|(kind, value)| (kind, value, defanged)).into_iter().collect()
}

fn one(word: &str, before: &str, defanged: bool) -> Option<(Kind, String)> {
    if let Ok(found) = normalise::ja4(word) {
        return Some((Kind::Ja4, found));
    }
    let has_digit_or_colon = word.contains(|c: char| c.is_ascii_digit() || c == ':');
    if has_digit_or_colon && word.contains(['.', ':']) {
        if friends::is_version(before) && !defanged {
            return None;
        }
        if word.contains('/') && normalise::network(word).is_some() {
            return super::guess(word).ok();
        }
        // `::` alone, times (`12:30`) and the like are no addresses anyone means.
        if word.len() >= 7
            && let Ok(found) = normalise::any_address(word)
        {
            return Some(found);
        }
    }
    if word.contains('@') {
        return normalise::email(word).ok().map(|found| (Kind::Email, found));
    }
    if word.starts_with('/') || word.contains(":\\") || word.starts_with("\\\\") {
        return friends::path(word).map(|found| (Kind::Path, found));
    }
    if let Some((host, _)) = word.split_once('/') {
        // `evil.example/gate.php`, but not `and/or` and not `file.c/file.h`.
        return (friends::is_domain(host, defanged) && host.contains('.'))
            .then(|| normalise::url(word).ok().map(|found| (Kind::Url, found)))
            .flatten();
    }
    let host = word.split(':').next().unwrap_or(word);
    if !friends::is_domain(host, defanged) {
        return None;
    }
    normalise::domain(host).ok().map(|found| (Kind::Domain, found))
}

/// The digests in a word: runs of 32, 40 or 64 hexadecimal digits between other signs.
fn digests(word: &str, before: &str) -> Vec<(Kind, String)> {
    let runs = word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ja3 = |text: &str| text.to_ascii_lowercase().contains("ja3");
    runs.filter_map(|run| {
        let kind = match run.len() {
            64 => Kind::Sha256,
            40 => Kind::Sha1,
            32 if ja3(before) || ja3(word) => Kind::Ja3,
            32 => Kind::Md5,
            _ => return None,
        };
        kind.normalise(run).ok().map(|value| (kind, value))
    })
    .collect()
}
