//! STIX 2.1 bundles (OASIS standard of 10 June 2021): their indicators with STIX patterns.
//!
//! A bundle, an envelope of TAXII 2.1, a list of objects or one object. Other objects are counted and
//! told, not read.

use serde_json::Value;

use super::{Gathered, Origin, Said, Tally, stix_pattern, time};
use crate::indicator::{Indicator, Severity};
use crate::problem::{Problem, Reason};

/// Reads the indicators of a bundle; the object of each is its STIX id.
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
    let objects = match &document {
        Value::Array(objects) => objects.as_slice(),
        Value::Object(map) => match map.get("objects") {
            Some(Value::Array(objects)) => objects.as_slice(),
            _ => std::slice::from_ref(&document),
        },
        _ => &[],
    };
    let mut tally = Tally::default();
    let mut any = false;
    for (index, object) in objects.iter().enumerate() {
        match object["type"].as_str() {
            Some("indicator") => {
                any = true;
                indicator(index, object, &mut gathered);
            }
            Some(other) => tally.add(&format!("`{other}`: no indicator")),
            None => tally.add("an object without type"),
        }
    }
    if !any {
        gathered.refuse("document", Reason::nothing_found("holds no object of type `indicator`"));
    }
    tally.tell(&mut gathered, "objects");
    gathered.finish()
}

fn indicator(index: usize, object: &Value, gathered: &mut Gathered<'_>) {
    let id = object["id"].as_str();
    let place = id.map_or_else(|| format!("objects[{index}]"), ToOwned::to_owned);
    if object["revoked"].as_bool() == Some(true) {
        gathered.note(&place, "is revoked by its source");
        return;
    }
    let language = object["pattern_type"].as_str().unwrap_or("stix");
    if language != "stix" {
        gathered.refuse(&place, format!("its pattern is in the language `{language}`, not `stix`"));
        return;
    }
    let Some(pattern) = object["pattern"].as_str() else {
        gathered.refuse(&place, "has no pattern");
        return;
    };
    let said = said(object, id);
    match stix_pattern::parse(pattern) {
        Ok(parsed) => {
            for note in &parsed.notes {
                gathered.note(&place, *note);
            }
            parsed.expression.take(&place, &said, gathered);
        }
        Err(problem) => gathered.refuse(&place, problem),
    }
}

fn said(object: &Value, id: Option<&str>) -> Said {
    let mut said = Said {
        confidence: object["confidence"].as_u64().and_then(|n| u8::try_from(n.min(100)).ok()),
        object: id.map(Into::into),
        first_seen: object["valid_from"].as_str().and_then(time),
        expires: object["valid_until"].as_str().and_then(time),
        ..Said::default()
    };
    if let Some(name) = object["name"].as_str() {
        said.label(name);
    }
    for list in ["indicator_types", "labels"] {
        for label in object[list].as_array().into_iter().flatten().filter_map(Value::as_str) {
            said.label(label);
            if label == "benign" {
                said.severity = Some(Severity::Informational);
            }
        }
    }
    said
}
