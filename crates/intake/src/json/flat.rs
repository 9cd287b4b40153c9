//! Objects as flat lists of fields with dotted names, and records that are nothing more.

use std::sync::Arc;

use metsuke_event::logsource::LogSource;
use metsuke_event::value::Text;
use metsuke_event::{Kind, Value};
use serde_json::Value as Json;

use crate::bounds;
use crate::builder::{Builder, bounded, time};
use crate::json::{Object, Read};
use crate::record::Record;

/// A scalar or list as a value; `None` for null.
pub(super) fn value(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::String(text) => Value::Text(bounded(&text)),
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::U64(number),
            (None, Some(number)) => Value::I64(number),
            (None, None) => Value::Text(number.to_string().into()),
        },
        Json::Array(list) if list.iter().all(|one| !one.is_object() && !one.is_array()) => {
            let texts = list.into_iter().filter_map(value);
            let texts: Vec<String> = texts.map(|one| one.as_ref().to_text().into_owned()).collect();
            Value::Text(bounded(&texts.join("\n")))
        }
        other => Value::Text(bounded(&other.to_string())),
    })
}

/// The fields of `object`, those of objects in it with dotted names.
pub(super) fn fields(object: Object) -> Vec<(Text, Value)> {
    let mut out = Vec::with_capacity(object.len());
    flatten("", object, 0, &mut out);
    out
}

fn flatten(prefix: &str, object: Object, depth: usize, out: &mut Vec<(Text, Value)>) {
    for (name, json) in object {
        if out.len() >= bounds::FIELDS {
            return;
        }
        let full = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match json {
            Json::Object(inner) if depth < bounds::JSON_DEPTH => {
                flatten(&full, inner, depth + 1, out);
            }
            json => {
                if let Some(value) = value(json) {
                    out.push((full.into(), value));
                }
            }
        }
    }
}

/// The text of a field, by its dotted name.
pub(super) fn text<'f>(fields: &'f [(Text, Value)], name: &str) -> Option<&'f Text> {
    fields.iter().find_map(|(of, value)| match value {
        Value::Text(text) if **of == *name => Some(text),
        _ => None,
    })
}

/// An object that says by no means what it is, unless it is of a service we know.
pub(super) fn read(number: u64, object: Object) -> Read {
    let has = |names: &[&str]| names.iter().all(|name| object.contains_key(*name));
    let (product, service) = if has(&["eventSource", "eventName", "awsRegion"]) {
        ("aws", "cloudtrail")
    } else if has(&["auditID", "verb", "stage"]) {
        ("kubernetes", "audit")
    } else {
        return Err(
            "an object of no form that is known (no Windows event, ECS, OCSF, CloudTrail, \
                    Kubernetes audit or activity of ours)"
                .to_owned(),
        );
    };
    let fields = fields(object);
    let mut builder = Builder::new(Kind::Imported);
    let at = ["eventTime", "@timestamp", "requestReceivedTimestamp"];
    builder.time(at.iter().find_map(|name| time(text(&fields, name)?)));
    builder.host(text(&fields, "recipientAccountId").cloned());
    let called = text(&fields, "eventName").or_else(|| text(&fields, "verb"));
    builder.imported(service, called.map(|name| &**name).unwrap_or_default());
    for (name, value) in fields {
        builder.keep(&name, &value);
    }
    let category = (product == "kubernetes").then_some("application");
    let source = LogSource { product: Some(product), category, service: Some(service) };
    Ok(Record { event: builder.done(), sources: Arc::new([source]), number })
}
