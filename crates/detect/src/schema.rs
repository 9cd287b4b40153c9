//! Test: the published schema says of documents what the readers say.
//!
//! `docs/spec/detections.schema.json` is read by a small judge that knows the words the schema uses,
//! and fails on any other. Both must agree on a table of documents, on each of them with a key that
//! is not known, without one of its keys, and with wrong values; and on all that ships.

use serde_json::{Map, Value, json};

use crate::yaml::{self, Kind, Node};
use crate::{Document, compile};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/spec/detections.schema.json")).expect("JSON")
}

/// Whether `value` is as `schema` says.
fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let rules = schema.as_object().expect("a schema is an object");
    rules.iter().all(|(word, rule)| word_holds(root, rules, word, rule, value))
}

fn word_holds(
    root: &Value,
    rules: &Map<String, Value>,
    word: &str,
    rule: &Value,
    value: &Value,
) -> bool {
    let list = || rule.as_array().expect("a list").iter();
    let number = || rule.as_f64().expect("a number");
    let size = |len: Option<usize>, holds: fn(u64, u64) -> bool| {
        len.is_none_or(|len| holds(len as u64, rule.as_u64().expect("a count")))
    };
    let items = value.as_array();
    let object = value.as_object();
    match word {
        "$schema" | "title" | "description" | "default" | "$defs" => true,
        "$ref" => {
            let path = rule.as_str().expect("a path").strip_prefix('#').expect("in this schema");
            valid(root, root.pointer(path).expect("a definition"), value)
        }
        "type" => match rule {
            Value::Array(types) => types.iter().any(|one| is(one, value)),
            one => is(one, value),
        },
        "const" => rule == value,
        "enum" => list().any(|one| one == value),
        "pattern" => {
            let pattern = regex::Regex::new(rule.as_str().expect("a pattern")).expect("valid");
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "minimum" => value.as_f64().is_none_or(|value| value >= number()),
        "maximum" => value.as_f64().is_none_or(|value| value <= number()),
        "minItems" => size(items.map(Vec::len), |len, least| len >= least),
        "maxItems" => size(items.map(Vec::len), |len, most| len <= most),
        "minProperties" => size(object.map(Map::len), |len, least| len >= least),
        "maxProperties" => size(object.map(Map::len), |len, most| len <= most),
        "items" => items.is_none_or(|items| items.iter().all(|item| valid(root, rule, item))),
        "anyOf" => list().any(|one| valid(root, one, value)),
        "oneOf" => list().filter(|one| valid(root, one, value)).count() == 1,
        "required" => object.is_none_or(|object| {
            list().all(|key| object.contains_key(key.as_str().expect("a key")))
        }),
        "properties" => object.is_none_or(|object| {
            object
                .iter()
                .all(|(key, value)| rule.get(key).is_none_or(|schema| valid(root, schema, value)))
        }),
        "additionalProperties" => object.is_none_or(|object| {
            let known =
                |key: &String| rules.get("properties").is_some_and(|of| of.get(key).is_some());
            object.iter().filter(|(key, _)| !known(key)).all(|(_, value)| match rule {
                Value::Bool(allowed) => *allowed,
                schema => valid(root, schema, value),
            })
        }),
        other => unreachable!("the schema uses `{other}`, which this judge does not know"),
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => unreachable!("type `{other}`"),
    }
}

/// What a reader of YAML makes of a node.
fn plain(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain: true } => serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| value.is_number() || value.is_boolean())
            .unwrap_or_else(|| text.clone().into()),
        Kind::Scalar { text, .. } => text.clone().into(),
        Kind::List(items) => items.iter().map(plain).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, node)| (key.clone(), plain(node)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// Whether the readers take it, beside the filters `a` and `b`.
fn read(document: &Value) -> bool {
    let filter = |id: &str| {
        format!(
            "title: {id}\nid: {id}\nlogsource: {{product: linux}}\ndetection: {{s: {{F: 1}}, condition: s}}\n---\n"
        )
    };
    let text = format!("{}{}{document}", filter("a"), filter("b"));
    let (_, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    refused.is_empty()
}

fn right() -> Vec<Value> {
    let document =
        |kind: &str, body: Value| json!({"title": "T", "id": "t", "level": "high", kind: body});
    vec![
        document(
            "sequence",
            json!({"by": "host", "within": "15m", "until": ["b"], "steps": [
                {"detections": ["a", "b"]},
                {"absent": ["b"]},
                {"detections": "a", "within": "2m", "process": "child"},
            ]}),
        ),
        document(
            "first-seen",
            json!({"detections": ["a"], "value": ["Image", "User"], "by": ["User"], "within": "14d", "learning": "2d"}),
        ),
        document(
            "threshold",
            json!({"detections": "a", "by": "fleet", "within": "5m", "count": 20, "distinct": {"DestinationIp": 10}}),
        ),
        json!({"title": "T", "id": "t", "indicator-match": {"kinds": ["sha256"], "lists": ["block"],
            "sources": "us", "confidence": 70}, "needs": ["process.exec"],
            "responses": {"detect": ["scan"], "block": ["terminate"]}}),
        document(
            "model",
            json!({"timespan": "6h", "threshold": 50, "weights": {"low": 3}, "detections": {"a": 30},
                "counts": {"tactics": ["discovery"]}, "breadth": {"from": 3, "points": 6, "limit": 30},
                "require": [{"label": "l", "level": "medium", "techniques": ["T1059"], "detections": ["a"]}],
                "in-order": "required", "levels": {"critical": 85}, "half-life": "6h", "reach": "ignored",
                "suppress": "1d"}),
        ),
    ]
}

/// `value` with each of its parts changed in turn.
fn variants(value: &Value) -> Vec<Value> {
    let mut found = vec![json!("nonsense"), json!(-7), json!([]), json!(100_000)];
    match value {
        Value::Object(object) => {
            let mut more = object.clone();
            more.insert("unheard-of".to_owned(), json!("x"));
            found.push(more.into());
            for (key, part) in object {
                let mut less = object.clone();
                less.remove(key);
                found.push(less.into());
                for variant in variants(part) {
                    let mut other = object.clone();
                    other.insert(key.clone(), variant);
                    found.push(other.into());
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut less = items.clone();
                less.remove(index);
                found.push(less.into());
                for variant in variants(item) {
                    let mut other = items.clone();
                    other[index] = variant;
                    found.push(other.into());
                }
            }
        }
        _ => {}
    }
    found
}

#[test]
fn what_the_schema_forbids_is_refused() {
    let schema = schema();
    let (mut both, mut neither, mut reader_only) = (0, 0, 0);
    for right in right() {
        assert!(valid(&schema, &schema, &right), "{right}");
        assert!(read(&right), "{right}");
        for variant in variants(&right) {
            match (valid(&schema, &schema, &variant), read(&variant)) {
                (true, true) => both += 1,
                (false, false) => neither += 1,
                (true, false) => {
                    // What no schema can know: that a detection is there.
                    let text = variant.to_string();
                    let unknown =
                        ["nonsense", "-7", "100000"].iter().any(|name| text.contains(name));
                    let structure = text.contains("\"steps\"");
                    assert!(unknown || structure, "only the schema takes {variant}");
                }
                (false, true) => {
                    reader_only += 1;
                    eprintln!("only the reader takes {variant}");
                }
            }
        }
    }
    assert!(both > 20 && neither > 60, "{both} {neither}");
    assert_eq!(reader_only, 0);
}

#[test]
fn what_ships_is_as_the_schema_says() {
    let schema = schema();
    let mut judged = 0;
    for document in metsuke_content::documents() {
        for node in yaml::parse(&document.text).expect("YAML") {
            let own = ["sequence", "first-seen", "threshold", "indicator-match", "model"];
            if own.iter().any(|kind| node.get(kind).is_some()) {
                judged += 1;
                assert!(valid(&schema, &schema, &plain(&node)), "{}", document.path);
            }
        }
    }
    assert!(judged >= 5, "only {judged}");
}
