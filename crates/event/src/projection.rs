//! Setting and reading dotted paths in JSON objects; shared by the OCSF and ECS projections.

use serde_json::{Map, Value as Json, json};

use crate::source_fields::SourceFields;
use crate::value::{FieldType, Value};

/// A document that is no activity in the format it claims.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// It is not a JSON object.
    #[error("the document is not a JSON object")]
    NotAnObject,
    /// Nothing says what kind of activity it is.
    #[error("the document does not say what happened: `{path}` is missing or unknown ({found})")]
    UnknownKind {
        /// Where the kind is looked for.
        path: &'static str,
        /// What stood there.
        found: String,
    },
    /// A value is of another type than its field.
    #[error("`{path}` holds {found}, which is no {expected:?}")]
    WrongType {
        /// Where it stands.
        path: String,
        /// What stood there, cut at 100 characters.
        found: String,
        /// The type it should have.
        expected: FieldType,
    },
}

/// A value as JSON; times and addresses as text.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(&**text),
        Value::U64(number) => Json::from(*number),
        Value::I64(number) => Json::from(*number),
        Value::Bool(flag) => Json::from(*flag),
        Value::Ip(address) => Json::from(address.to_string()),
        Value::Time(time) => Json::from(time.to_string()),
    }
}

pub(crate) fn from_json(path: &str, json: &Json, ty: FieldType) -> Result<Value, ProjectionError> {
    let read = match (ty, json) {
        (FieldType::Bool, Json::Bool(flag)) => Some(Value::Bool(*flag)),
        (FieldType::U64, Json::Number(number)) => number.as_u64().map(Value::U64),
        (FieldType::I64, Json::Number(number)) => number.as_i64().map(Value::I64),
        (_, Json::String(text)) => Value::parse(ty, text),
        _ => None,
    };
    read.ok_or_else(|| ProjectionError::WrongType {
        path: path.to_owned(),
        found: json.to_string().chars().take(100).collect(),
        expected: ty,
    })
}

/// Sets `path` (dotted) in `object`, making objects on the way. A scalar in the way is kept and
/// the value goes under the full dotted name instead, so nothing is overwritten.
pub(crate) fn set(object: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = object.entry(head).or_insert_with(|| Json::Object(Map::new()));
            match inner {
                Json::Object(inner) => set(inner, rest, value),
                _ => {
                    object.insert(path.to_owned(), value);
                }
            }
        }
    }
}

/// Reads `path` (dotted), nested, flat, or flat from any point on.
pub(crate) fn get<'a>(object: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (head, rest) = path.split_once('.')?;
    get(object.get(head)?.as_object()?, rest)
}

/// The fields of imported events by their source's names, as one object. Types other than text
/// say what they are, for a number in JSON does not tell whether it was signed.
pub(crate) fn bag(fields: &SourceFields) -> Json {
    let tagged = |value: Value| {
        let ty = match value {
            Value::Text(_) => return to_json(&value),
            Value::U64(_) => "u64",
            Value::I64(_) => "i64",
            Value::Bool(_) => "bool",
            Value::Ip(_) => "ip",
            Value::Time(_) => "time",
        };
        json!({ ty: to_json(&value) })
    };
    let pairs = fields.iter().map(|(name, value)| (name.to_string(), tagged(value.to_value())));
    Json::Object(pairs.collect())
}

/// Reads what [`bag`] wrote; what is of no known type is passed over.
pub(crate) fn unbag(json: &Json) -> SourceFields {
    let Json::Object(object) = json else { return SourceFields::default() };
    object.iter().filter_map(|(name, json)| Some((name, untagged(json)?))).collect()
}

fn untagged(json: &Json) -> Option<Value> {
    let Json::Object(object) = json else {
        return Some(Value::Text(json.as_str()?.into()));
    };
    let (ty, inner) = object.iter().next()?;
    let ty = match ty.as_str() {
        "u64" => FieldType::U64,
        "i64" => FieldType::I64,
        "bool" => FieldType::Bool,
        "ip" => FieldType::Ip,
        "time" => FieldType::Time,
        _ => return None,
    };
    from_json("source_fields", inner, ty).ok()
}
