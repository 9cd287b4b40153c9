//! Tables: CSV with commas, semicolons, tabs or bars, with or without names of columns.
//!
//! Without names the columns are guessed from the first rows, and it is told what was guessed.
//! `#` begins a comment; the last one before the rows may hold the names (as feeds of abuse.ch do).

use super::{Gathered, Origin, Said, guess, time};
use crate::indicator::{Action, Indicator, Kind, Severity};
use crate::problem::{Problem, Reason};

/// Rows that are looked at to guess the columns.
const LOOKED_AT: usize = 50;
/// Most columns; what stands further right is not read.
const MAX_COLUMNS: usize = 64;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Value(Option<Kind>),
    Type,
    Confidence,
    Severity,
    Action,
    Labels,
    FirstSeen,
    LastSeen,
    Expires,
    Object,
    Other,
}

/// Reads a table; the object of each indicator is its id, else its row's line.
pub fn read(bytes: &[u8], origin: &Origin) -> (Vec<Indicator>, Vec<Problem>) {
    let mut gathered = Gathered::new(origin);
    let Some(bytes) = gathered.admit(bytes) else { return gathered.finish() };
    let (names, body) = comments(bytes);
    let delimiter = delimiter(body);
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(body);
    let skipped = bytes.len() - body.len();
    let lines_before = memchr::memchr_iter(b'\n', &bytes[..skipped]).count() as u64;
    let mut head: Vec<(u64, Vec<String>)> = Vec::new();
    let mut columns: Option<Vec<Column>> = None;
    let mut records = reader.byte_records();
    loop {
        let next = records.next();
        let at_end = next.is_none();
        match next {
            Some(Ok(record)) => {
                let line = record.position().map_or(0, ::csv::Position::line) + lines_before;
                let cells = record.iter().take(MAX_COLUMNS);
                let row: Vec<String> =
                    cells.map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
                match &columns {
                    Some(columns) => take_row(line, &row, columns, &mut gathered),
                    None => head.push((line, row)),
                }
            }
            Some(Err(error)) => {
                gathered.refuse("document", format!("is no table any more: {error}"));
                break;
            }
            None => {}
        }
        if columns.is_none() && (at_end || head.len() >= LOOKED_AT) {
            let found = choose(names.as_deref(), delimiter, &mut head, &mut gathered);
            for (line, row) in head.drain(..) {
                take_row(line, &row, &found, &mut gathered);
            }
            columns = Some(found);
        }
        if at_end {
            break;
        }
    }
    if gathered.count() == 0 {
        gathered.refuse("document", Reason::nothing_found("holds no row with an indicator"));
    }
    gathered.finish()
}

/// The last comment before the rows, and what follows.
fn comments(bytes: &[u8]) -> (Option<String>, &[u8]) {
    let mut names = None;
    let mut rest = bytes;
    while rest.first() == Some(&b'#') {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let line = String::from_utf8_lossy(&rest[1..end]).trim().trim_matches('#').to_owned();
        if line.contains([',', ';', '\t', '|']) {
            names = Some(line);
        }
        rest = &rest[end..];
    }
    (names, rest)
}

/// The separator that stands most often in the first lines.
fn delimiter(body: &[u8]) -> u8 {
    let head = &body[..body.len().min(4096)];
    let count = |sign: u8| memchr::memchr_iter(sign, head).count();
    // Of equals the comma, which is last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}

/// Decides what the columns hold, and tells it. A row of names is taken off `head`.
fn choose(
    comment: Option<&str>,
    delimiter: u8,
    head: &mut Vec<(u64, Vec<String>)>,
    gathered: &mut Gathered<'_>,
) -> Vec<Column> {
    let first_names = head.first().and_then(|(_, row)| by_names(row));
    if let Some(columns) = first_names {
        head.remove(0);
        return columns;
    }
    if let Some(comment) = comment {
        let row: Vec<String> = comment
            .split(char::from(delimiter))
            .map(|cell| cell.trim().trim_matches('"').to_owned())
            .collect();
        if let Some(columns) = by_names(&row) {
            return columns;
        }
    }
    let width = head.iter().map(|(_, row)| row.len()).max().unwrap_or(0);
    let recognised = |column: usize| {
        head.iter()
            .filter(|(_, row)| row.get(column).is_some_and(|cell| guess(cell).is_ok()))
            .count()
    };
    let columns: Vec<_> =
        (0..width)
            .map(|column| {
                if recognised(column) * 2 > head.len() {
                    Column::Value(None)
                } else {
                    Column::Other
                }
            })
            .collect();
    let chosen: Vec<_> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| **column != Column::Other)
        .map(|(number, _)| (number + 1).to_string())
        .collect();
    if !chosen.is_empty() {
        gathered.note(
            "columns",
            format!("have no names; indicators are looked for in column {}", chosen.join(", ")),
        );
    }
    columns
}

/// The columns by their names, when one of them holds values and no cell looks like one.
fn by_names(row: &[String]) -> Option<Vec<Column>> {
    if row.iter().any(|cell| guess(cell).is_ok()) {
        return None;
    }
    let columns: Vec<_> = row.iter().map(|cell| by_name(cell)).collect();
    columns.iter().any(|column| matches!(column, Column::Value(_))).then_some(columns)
}

fn by_name(name: &str) -> Column {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-', '.'], "_");
    let kind = |kind| Column::Value(Some(kind));
    match name.as_str() {
        "indicator" | "ioc" | "ioc_value" | "value" | "indicator_value" | "observable" | "ip"
        | "ip_address" | "ipv4" | "ipv6" | "dst_ip" | "dest_ip" | "destination_ip" | "src_ip"
        | "host" | "address" | "network" | "cidr" | "hash" | "file_hash" => Column::Value(None),
        "sha256" | "sha256_hash" | "sha_256" | "filehash_sha256" => kind(Kind::Sha256),
        "sha1" | "sha1_hash" | "sha_1" | "filehash_sha1" => kind(Kind::Sha1),
        "md5" | "md5_hash" | "filehash_md5" => kind(Kind::Md5),
        "domain" | "hostname" | "fqdn" | "domain_name" => kind(Kind::Domain),
        "url" | "uri" => kind(Kind::Url),
        "path" | "file_path" | "filepath" => kind(Kind::Path),
        "email" | "sender" => kind(Kind::Email),
        "ja3" | "ja3_md5" | "ja3_fingerprint" => kind(Kind::Ja3),
        "ja4" => kind(Kind::Ja4),
        "mutex" => kind(Kind::Name),
        "certificate" | "sslcert" | "cert_sha1" | "cert_sha256" => kind(Kind::Certificate),
        "type" | "ioc_type" | "indicator_type" | "kind" => Column::Type,
        "confidence" | "confidence_level" => Column::Confidence,
        "severity" | "threat_level" | "risk" => Column::Severity,
        "action" => Column::Action,
        "tags" | "labels" | "malware" | "family" | "threat" | "signature" | "description"
        | "comment" | "listingreason" | "malware_printable" | "name" => Column::Labels,
        "first_seen" | "first_seen_utc" | "firstseen" | "created" | "date" | "dateadded"
        | "listingdate" | "valid_from" => Column::FirstSeen,
        "last_seen" | "last_seen_utc" | "last_online" | "lastseen" => Column::LastSeen,
        "expires" | "expiration" | "expiry" | "valid_until" => Column::Expires,
        "id" | "uuid" | "ioc_id" | "object" => Column::Object,
        _ => Column::Other,
    }
}

fn take_row(line: u64, row: &[String], columns: &[Column], gathered: &mut Gathered<'_>) {
    let place = format!("line {line}");
    let mut said = Said { object: Some(place.as_str().into()), ..Said::default() };
    let mut kind = None;
    for (cell, column) in row.iter().zip(columns).filter(|(cell, _)| !cell.is_empty()) {
        match column {
            Column::Type => kind = by_type(cell),
            Column::Confidence => {
                said.confidence = cell.trim_end_matches('%').parse().ok().map(|n: u8| n.min(100));
            }
            Column::Severity => said.severity = Severity::from_name(cell),
            Column::Action => {
                said.action = Action::from_name(cell);
                if said.action.is_none() {
                    gathered.note(&place, format!("`{cell}` is no action: alert, block or allow"));
                }
            }
            Column::Labels => cell.split([',', ';', '|']).for_each(|label| said.label(label)),
            Column::FirstSeen => said.first_seen = time(cell),
            Column::LastSeen => said.last_seen = time(cell),
            Column::Expires => {
                said.expires = time(cell);
                if said.expires.is_none() {
                    gathered.note(&place, format!("`{cell}` is no time, so it does not expire"));
                }
            }
            Column::Object => said.object = Some(cell.as_str().into()),
            Column::Value(_) | Column::Other => {}
        }
    }
    for (cell, column) in row.iter().zip(columns) {
        let Column::Value(named) = column else { continue };
        if cell.is_empty() || matches!(cell.as_str(), "n/a" | "N/A" | "None" | "null" | "-") {
            continue;
        }
        // The row's own word first, then the column's; for addresses and hashes the form decides.
        match named.or(kind) {
            Some(kind) => gathered.take(&place, kind, cell, &said),
            None => gathered.take_any(&place, cell, &said),
        }
    }
}

/// The kind a row's type names, where the value's form does not tell it.
fn by_type(cell: &str) -> Option<Kind> {
    let name = cell.to_ascii_lowercase();
    Some(match name.as_str() {
        "domain" | "hostname" | "fqdn" => Kind::Domain,
        "url" | "uri" => Kind::Url,
        "ja3" | "ja3_fingerprint" => Kind::Ja3,
        "mutex" | "name" => Kind::Name,
        "path" | "filepath" => Kind::Path,
        "certificate" | "sslcert" | "cert" => Kind::Certificate,
        _ => return None,
    })
}
