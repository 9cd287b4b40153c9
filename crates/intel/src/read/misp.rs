//! MISP JSON: events with attributes and objects, answers of a search, plain lists of attributes.
//!
//! Taken are attributes that their event marks for detection (`to_ids`); the others are counted and
//! told. Two values in one attribute (`filename|sha256`, `domain|ip`) are taken apart.

use serde_json::Value;

use super::{Gathered, Origin, Said, Tally, time};
use crate::indicator::{Indicator, Kind, Severity};
use crate::problem::{Problem, Reason};

/// Reads MISP JSON; the object of each indicator is the attribute's uuid.
pub fn read(bytes: &[u8], origin: &Origin) -> (Vec<Indicator>, Vec<Problem>) {
    let mut gathered = Gathered::new(origin);
    let Some(bytes) = gathered.admit(bytes) else { return gathered.finish() };
    let document: Value = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => {
            gathered.refuse("document", Reason::no_json(&error));
            return gathered.finish();
        }
    };
    let mut tally = Tally::default();
    let found = part(&document, &mut gathered, &mut tally)
        + part(&document["response"], &mut gathered, &mut tally);
    if found == 0 {
        gathered.refuse("document", Reason::nothing_found("holds neither `Event` nor `Attribute`"));
    }
    tally.tell(&mut gathered, "attributes");
    gathered.finish()
}

/// Reads the events and attributes of a document, an answer or a list; gives how many there were.
fn part(part: &Value, gathered: &mut Gathered<'_>, tally: &mut Tally) -> usize {
    let list = match part {
        Value::Array(list) => list.as_slice(),
        Value::Object(_) => std::slice::from_ref(part),
        _ => &[],
    };
    let mut found = 0;
    for one in list {
        if one["Event"].is_object() {
            event(&one["Event"], gathered, tally);
            found += 1;
        } else if one["Attribute"].is_array() && one["info"].is_string() {
            event(one, gathered, tally);
            found += 1;
        } else if let Some(attributes) = one["Attribute"].as_array() {
            for one in attributes {
                attribute(one, &Said::default(), gathered, tally);
            }
            found += 1;
        } else if one["type"].is_string() && one["value"].is_string() {
            attribute(one, &Said::default(), gathered, tally);
            found += 1;
        }
    }
    found
}

fn event(event: &Value, gathered: &mut Gathered<'_>, tally: &mut Tally) {
    let mut said = Said {
        severity: match number(&event["threat_level_id"]) {
            Some(1) => Some(Severity::High),
            Some(2) => Some(Severity::Medium),
            Some(3) => Some(Severity::Low),
            _ => None,
        },
        ..Said::default()
    };
    if let Some(info) = event["info"].as_str() {
        said.label(info);
    }
    tags(event, &mut said);
    for one in event["Attribute"].as_array().into_iter().flatten() {
        attribute(one, &said, gathered, tally);
    }
    for object in event["Object"].as_array().into_iter().flatten() {
        if is_true(&object["deleted"]) {
            continue;
        }
        for one in object["Attribute"].as_array().into_iter().flatten() {
            attribute(one, &said, gathered, tally);
        }
    }
}

fn tags(of: &Value, said: &mut Said) {
    for tag in of["Tag"].as_array().into_iter().flatten() {
        if let Some(name) = tag["name"].as_str() {
            said.label(name);
        }
    }
}

/// MISP writes numbers as numbers or as text, by version.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| number(value) == Some(1))
}

fn moment(value: &Value) -> Option<metsuke_event::Timestamp> {
    value.as_str().and_then(time)
}

fn attribute(one: &Value, event: &Said, gathered: &mut Gathered<'_>, tally: &mut Tally) {
    let name = one["type"].as_str().unwrap_or_default();
    let Some(value) = one["value"].as_str() else {
        return tally.add("an attribute without a value that is text");
    };
    if is_true(&one["deleted"]) {
        return tally.add("deleted by its source");
    }
    if !is_true(&one["to_ids"]) {
        return tally.add("not for detection (`to_ids` is not set)");
    }
    let uuid = one["uuid"].as_str();
    let place = uuid.map_or_else(|| format!("attribute `{name}`"), ToOwned::to_owned);
    let mut said = Said {
        object: uuid.map(Into::into),
        first_seen: moment(&one["first_seen"]).or_else(|| moment(&one["timestamp"])),
        last_seen: moment(&one["last_seen"]),
        ..event.clone()
    };
    tags(one, &mut said);
    let mut understood = false;
    // The separator of `ip-dst|port` is `|`, of some exports `:`, which `guess` knows.
    let parts = if name.contains('|') { value.split('|') } else { value.split('\0') };
    for (name, value) in name.split('|').zip(parts) {
        match wanted(name) {
            Some(Wanted::Kind(kind)) => gathered.take(&place, kind, value, &said),
            Some(Wanted::Address) => gathered.take_any(&place, value, &said),
            Some(Wanted::Path) if value.contains(['/', '\\']) => {
                gathered.take(&place, Kind::Path, value, &said);
            }
            Some(Wanted::Path | Wanted::Beside) | None => {
                if name.starts_with("filename") {
                    said.label(value);
                }
                understood |= matches!(wanted(name), Some(Wanted::Beside));
                continue;
            }
        }
        understood = true;
    }
    if !understood {
        tally.add(&format!("type `{name}`: not understood, or a bare file name"));
    }
}

enum Wanted {
    Kind(Kind),
    /// An address or a network.
    Address,
    /// A path where it is absolute; a bare file name matches too much.
    Path,
    /// Says something of the value beside it.
    Beside,
}

/// What an attribute's type, or a part of it, holds.
fn wanted(name: &str) -> Option<Wanted> {
    Some(Wanted::Kind(match name {
        "sha256" => Kind::Sha256,
        "sha1" => Kind::Sha1,
        "md5" => Kind::Md5,
        "domain" | "hostname" => Kind::Domain,
        "url" | "uri" => Kind::Url,
        "email" | "email-src" | "email-dst" | "email-reply-to" => Kind::Email,
        "mutex" | "named pipe" => Kind::Name,
        "ja3-fingerprint-md5" => Kind::Ja3,
        "ja4-fingerprint" | "ja4" => Kind::Ja4,
        "x509-fingerprint-sha256" | "x509-fingerprint-sha1" | "x509-fingerprint-md5" => {
            Kind::Certificate
        }
        "ip-src" | "ip-dst" | "ip" => return Some(Wanted::Address),
        "filename" => return Some(Wanted::Path),
        "port" | "malware-sample" => return Some(Wanted::Beside),
        _ => return None,
    }))
}
