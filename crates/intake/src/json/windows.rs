//! Windows events as JSON: flat (nxlog, public recordings), winlogbeat's, and as the XML is.

use metsuke_event::Value;
use metsuke_event::value::Text;
use serde_json::Value as Json;

use crate::builder::{bounded, time};
use crate::json::Object;
use crate::json::flat::value;
use crate::windows::{Raw, plain_name};

/// Whether `object` is a Windows event of a form that is known.
pub(super) fn is(object: &Object) -> bool {
    let has = |name: &str| object.contains_key(name);
    has("winlog")
        || object.get("Event").is_some_and(|event| event.get("System").is_some())
        || (has("Channel") && (has("EventID") || has("EventCode")))
        || (has("event_id") && has("log_name"))
        || (has("EventID") && (has("Provider_Name") || has("SourceName") || has("LogName")))
}

/// The event that `object` is.
pub(super) fn raw(number: u64, mut object: Object) -> Raw {
    let mut raw = Raw { number, ..Raw::default() };
    if let Some(Json::Object(event)) = object.remove("Event") {
        xml(&mut raw, event);
    } else if let Some(Json::Object(winlog)) = object.remove("winlog") {
        raw.time = stamp(&object);
        winlogbeat(&mut raw, winlog);
    } else if object.contains_key("event_data") || object.contains_key("log_name") {
        raw.time = stamp(&object);
        winlogbeat(&mut raw, object);
    } else {
        flat(&mut raw, object);
    }
    raw
}

fn stamp(object: &Object) -> Option<metsuke_event::Timestamp> {
    let names = ["UtcTime", "TimeCreated", "@timestamp", "SystemTime", "EventTime", "timestamp"];
    names.iter().find_map(|name| time(object.get(*name)?.as_str()?))
}

fn flat(raw: &mut Raw, object: Object) {
    raw.time = stamp(&object);
    raw.fields.reserve(object.len());
    for (name, json) in object {
        match name.as_str() {
            "EventID" | "EventCode" if raw.event_id == 0 => system(raw, "EventID", json),
            "Channel" | "LogName" => system(raw, "Channel", json),
            "SourceName" | "Provider_Name" => system(raw, "Provider_Name", json),
            "Hostname" | "Computer" | "ComputerName" => {
                if let Json::String(host) = &json {
                    raw.computer = Some(bounded(host));
                }
                push(raw, &name, json);
            }
            "EventData" | "UserData" => data(raw, json),
            _ => push(raw, &name, json),
        }
    }
}

/// Winlogbeat: `winlog.event_data.*` and what stands beside it.
fn winlogbeat(raw: &mut Raw, winlog: Object) {
    for (name, json) in winlog {
        match name.as_str() {
            "channel" | "log_name" => system(raw, "Channel", json),
            "provider_name" | "source_name" => system(raw, "Provider_Name", json),
            "event_id" => system(raw, "EventID", json),
            "computer_name" => system(raw, "Computer", json),
            "event_data" | "user_data" => data(raw, json),
            // The rest is winlogbeat's own; its names are none that rules use.
            "level" | "task" | "opcode" | "keywords" | "message" | "record_id" => {
                push(raw, &name, json);
            }
            _ => {}
        }
    }
}

/// The XML as JSON, as `evtx_dump` and others write it.
fn xml(raw: &mut Raw, event: Object) {
    for (name, json) in event {
        match (name.as_str(), json) {
            ("System", Json::Object(fields)) => {
                for (name, json) in fields {
                    xml_system(raw, &name, json);
                }
            }
            ("EventData" | "UserData", json) => data(raw, json),
            _ => {}
        }
    }
}

fn xml_system(raw: &mut Raw, name: &str, json: Json) {
    let attribute = |json: &Json, wanted: &str| -> Option<String> {
        let attributes = json.get("#attributes").unwrap_or(json);
        attributes.get(wanted)?.as_str().map(str::to_owned)
    };
    match name {
        "Provider" => {
            if let Some(provider) = attribute(&json, "Name") {
                system(raw, "Provider_Name", Json::String(provider));
            }
        }
        "TimeCreated" => {
            raw.time = attribute(&json, "SystemTime").and_then(|text| time(&text));
        }
        "Security" => {
            if let Some(user) = attribute(&json, "UserID") {
                push(raw, "UserID", Json::String(user));
            }
        }
        "Execution" | "Correlation" => {}
        "EventID" => {
            let json = match json {
                Json::Object(mut inner) => inner.remove("#text").unwrap_or(Json::Null),
                json => json,
            };
            system(raw, name, json);
        }
        "Channel" | "Computer" => system(raw, name, json),
        _ => push(raw, name, json),
    }
}

/// A field of the event's head.
fn system(raw: &mut Raw, name: &str, json: Json) {
    // A number as text is a number here.
    let number = match &json {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match (name, &json) {
        ("EventID", _) => {
            raw.event_id = number.unwrap_or_default();
            return raw.fields.push((name.into(), Value::U64(raw.event_id)));
        }
        ("Channel", Json::String(text)) => raw.channel = Some(bounded(text)),
        ("Provider_Name", Json::String(text)) => raw.provider = Some(bounded(text)),
        ("Computer", Json::String(text)) => raw.computer = Some(bounded(text)),
        _ => {}
    }
    push(raw, name, json);
}

/// `EventData` or `UserData`: fields, lists of them, and objects around them.
fn data(raw: &mut Raw, json: Json) {
    let Json::Object(fields) = json else { return };
    for (name, json) in fields {
        match json {
            Json::Object(mut inner) if inner.contains_key("#text") => {
                push(raw, &name, inner.remove("#text").unwrap_or(Json::Null));
            }
            Json::Object(inner) if name != "#attributes" => {
                // An object of UserData around its fields; it stands only one deep.
                for (name, json) in inner.into_iter().filter(|(name, _)| name != "#attributes") {
                    push(raw, &name, json);
                }
            }
            _ if name == "#attributes" => {}
            json => push(raw, &name, json),
        }
    }
}

fn push(raw: &mut Raw, name: &str, json: Json) {
    if let Some(value) = value(json) {
        let name: Text = plain_name(name).map_or_else(|| name.into(), Text::from);
        raw.fields.push((name, value));
    }
}
