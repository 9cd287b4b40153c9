//! Properties of the projections: whatever an activity holds comes back from OCSF and from ECS as
//! it was, nothing is spelled twice, and what does not fit a format is on its published list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use metsuke_event::ecs::{self, from_ecs, to_ecs};
use metsuke_event::field::{Group, meta};
use metsuke_event::ocsf::{self, from_ocsf, to_ocsf};
use metsuke_event::{
    BootId, EndpointId, Event, FIELDS, FieldSpec, FieldType, Kind, Timestamp, Value,
};
use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::Value as Json;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,24}",
        // Hostile text: control characters, bidi marks, quotes, dots, other scripts.
        2 => "\\PC{0,16}",
        1 => any::<String>(),
        1 => Just("a.b.c".to_owned()),
        1 => Just("\u{202e}gpj.exe\u{0}\n\"\\".to_owned()),
        1 => Just("1234".to_owned()),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        // The vocabulary keeps IPv4-mapped addresses as IPv4.
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()),
    ]
}

fn value(ty: FieldType) -> BoxedStrategy<Value> {
    match ty {
        FieldType::Text => text().prop_map(|text| Value::Text(text.into())).boxed(),
        FieldType::U64 => prop_oneof![any::<u64>(), 0..70_000_u64].prop_map(Value::U64).boxed(),
        FieldType::I64 => any::<i64>().prop_map(Value::I64).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Ip => address().prop_map(Value::Ip).boxed(),
        FieldType::Time => {
            any::<i64>().prop_map(|nanos| Value::Time(Timestamp::from_nanos(nanos))).boxed()
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        value(FieldType::Text),
        value(FieldType::U64),
        value(FieldType::I64),
        value(FieldType::Bool),
        value(FieldType::Ip),
        value(FieldType::Time),
    ]
}

/// The group of the entity that an activity of `kind` is about.
fn object_group(kind: Kind) -> Option<Group> {
    match kind.name().split('.').next() {
        Some("file") => Some(Group::File),
        Some("network") => Some(Group::Network),
        Some("dns") => Some(Group::Dns),
        Some("module") => Some(Group::Module),
        Some("sensor") => Some(Group::Health),
        Some("imported") => Some(Group::Imported),
        _ => None,
    }
}

/// Some of the fields that an activity of `kind` can hold.
fn some_fields(kind: Kind) -> impl Strategy<Value = Vec<(&'static FieldSpec, Option<Value>)>> {
    let fields: Vec<_> = FIELDS
        .iter()
        .copied()
        .filter(|spec| spec.group == Group::Process || Some(spec.group) == object_group(kind))
        .map(|spec| (Just(spec), proptest::option::of(value(spec.ty))))
        .collect();
    fields
}

prop_compose! {
    fn identity()(endpoint in any::<u128>(), boot in any::<u128>(), seq in any::<u64>(), tenant in any::<u32>(), time in any::<i64>(),
        received in proptest::option::of(any::<i64>()), host in proptest::option::of(text())) -> Event {
        let mut event = Event::empty(Kind::SensorHealth);
        event.id.endpoint = EndpointId::from_u128(endpoint);
        event.id.boot = BootId::from_u128(boot);
        event.id.seq = seq;
        event.id.tenant.0 = tenant;
        event.time = Timestamp::from_nanos(time);
        event.received = received.map(Timestamp::from_nanos);
        event.host = host.map(Into::into);
        event
    }
}

fn event() -> impl Strategy<Value = Event> {
    let kind = proptest::sample::select(Kind::ALL);
    kind.prop_flat_map(|kind| {
        let unmapped = btree_map(text(), any_value(), 0..4);
        (identity(), some_fields(kind), unmapped).prop_map(move |(envelope, fields, unmapped)| {
            let class = (meta::CLASS, Value::Text(kind.name().into()));
            let fields = fields.into_iter().filter_map(|(spec, value)| Some((spec.id, value?)));
            let (mut event, rest) = Event::from_fields(fields.chain([class])).expect("has a class");
            assert!(rest.is_empty(), "every field was for this kind: {rest:?}");
            event.id = envelope.id;
            event.time = envelope.time;
            event.received = envelope.received;
            event.host = envelope.host;
            event.unmapped = unmapped.into_iter().collect();
            event
        })
    })
}

/// The order of imported fields says nothing; JSON objects do not keep it.
fn sorted(mut event: Event) -> Event {
    let mut fields: Vec<(String, Value)> =
        event.unmapped.iter().map(|(name, value)| (name.to_string(), value.to_value())).collect();
    fields.sort_by(|left, right| left.0.cmp(&right.0));
    event.unmapped = fields.into_iter().collect();
    event
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn fields_and_back(event in event()) {
        let (again, rest) =
            Event::from_fields(event.fields().map(|(spec, value)| (spec.id, value))).expect("has a class");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(Event { unmapped: event.unmapped.clone(), ..again }, event);
    }

    #[test]
    fn ocsf_and_back(event in event()) {
        let document = to_ocsf(&event);
        let again = from_ocsf(&document);
        prop_assert!(again.is_ok(), "{:?}: {document:#}", again);
        prop_assert_eq!(sorted(again.expect("just checked")), sorted(event));
    }

    #[test]
    fn ocsf_survives_its_text(event in event()) {
        let text = to_ocsf(&event).to_string();
        let document: Json = serde_json::from_str(&text).expect("JSON");
        prop_assert_eq!(sorted(from_ocsf(&document).expect("ours")), sorted(event));
    }

    #[test]
    fn ecs_and_back(event in event()) {
        let document = to_ecs(&event);
        let again = from_ecs(&document);
        prop_assert!(again.is_ok(), "{:?}: {document:#}", again);
        prop_assert_eq!(sorted(again.expect("just checked")), sorted(event));
    }

    #[test]
    fn ecs_with_dotted_names_is_read_alike(event in event()) {
        let document = to_ecs(&event);
        let mut flat = serde_json::Map::new();
        flatten("", &document, &mut flat);
        prop_assert_eq!(sorted(from_ecs(&Json::Object(flat)).expect("ours")), sorted(event));
    }

    /// Whatever stands in a document, reading it gives an answer and not a panic.
    #[test]
    fn any_document_gets_an_answer(
        class in proptest::sample::select(vec![1001_u64, 1007, 4001, 4003, 1002, 0, 77]),
        activity in 0..9_u64,
        path in proptest::sample::select(FIELDS.iter().map(|spec| spec.name).collect::<Vec<_>>()),
        junk in prop_oneof![Just(Json::Null), any::<i64>().prop_map(Json::from), text().prop_map(Json::from), Just(serde_json::json!([1, {"a": 2}]))],
    ) {
        let document = serde_json::json!({"class_uid": class, "activity_id": activity, "event.action": "process.exec", "actor": {"process": junk.clone()}, path: junk});
        let _ = from_ocsf(&document);
        let _ = from_ecs(&document);
    }
}

/// Objects become dotted names; the bag of imported fields stays as it is, for dots in its names
/// are part of them.
fn flatten(prefix: &str, json: &Json, flat: &mut serde_json::Map<String, Json>) {
    match json {
        Json::Object(object) if prefix != "metsuke.source_fields" => {
            for (name, inner) in object {
                let path =
                    if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&path, inner, flat);
            }
        }
        _ => {
            flat.insert(prefix.to_owned(), json.clone());
        }
    }
}

/// An event of `kind` with every field set.
fn full(kind: Kind) -> Event {
    let fields = FIELDS.iter().filter(|spec| {
        matches!(spec.group, Group::Meta | Group::Process) || Some(spec.group) == object_group(kind)
    });
    let fields = fields.map(|spec| {
        let value = match spec.ty {
            _ if spec.id == meta::CLASS => Value::Text(kind.name().into()),
            _ if matches!(spec.id, meta::ENDPOINT | meta::BOOT) => {
                Value::Text("0123456789abcdef0123456789abcdef".into())
            }
            FieldType::Text => Value::Text(spec.name.into()),
            FieldType::U64 => Value::U64(u64::from(spec.id.0)),
            FieldType::I64 => Value::I64(-i64::from(spec.id.0)),
            FieldType::Bool => Value::Bool(true),
            FieldType::Ip => Value::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            FieldType::Time => Value::Time(Timestamp::from_nanos(1_700_000_000_123_456_789)),
        };
        (spec.id, value)
    });
    Event::from_fields(fields).expect("has a class").0
}

/// The paths of every scalar in a document.
fn paths(prefix: &str, json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(object) => {
            for (name, inner) in object {
                let path =
                    if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                paths(&path, inner, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| paths(prefix, item, found)),
        _ => found.push(prefix.to_owned()),
    }
}

#[test]
fn a_full_activity_of_every_kind_survives_both_formats() {
    for kind in Kind::ALL.iter().copied() {
        let event = full(kind);
        assert_eq!(from_ocsf(&to_ocsf(&event)).expect("ours"), event, "{kind:?} by OCSF");
        assert_eq!(from_ecs(&to_ecs(&event)).expect("ours"), event, "{kind:?} by ECS");
    }
}

#[test]
fn what_is_published_as_unfit_is_exactly_what_travels_as_an_extension() {
    for kind in Kind::ALL.iter().copied() {
        let event = full(kind);
        let held: Vec<_> = event.fields().map(|(spec, _)| spec.name).collect();
        let check = |document: &Json, prefix: &str, unfit: Vec<&'static FieldSpec>| {
            let mut found = Vec::new();
            paths("", document, &mut found);
            let mut extension: Vec<_> =
                found.iter().filter_map(|path| path.strip_prefix(prefix)).collect();
            let mut published: Vec<_> =
                unfit.iter().map(|spec| spec.name).filter(|name| held.contains(name)).collect();
            extension.sort_unstable();
            published.sort_unstable();
            assert_eq!(extension, published, "{kind:?} {prefix}");
        };
        check(&to_ocsf(&event), "unmapped.", ocsf::unfit().collect());
        check(&to_ecs(&event), "metsuke.", ecs::unfit().collect());
    }
}

/// Others read these documents by the standard, so its own forms are looked at once by name.
#[test]
fn ocsf_has_the_forms_of_the_standard() {
    let document = to_ocsf(&full(Kind::FileModify));
    let check = |pointer: &str, expect: Json| {
        assert_eq!(document.pointer(pointer), Some(&expect), "{pointer} in {document:#}");
    };
    check("/class_uid", 1001.into());
    check("/type_uid", 100_103.into());
    check("/time", 1_700_000_000_123_i64.into());
    check("/time_dt", "2023-11-14T22:13:20.123456789Z".into());
    check("/actor/process/created_time", 1_700_000_000_123_i64.into());
    check("/metadata/logged_time", 1_700_000_000_123_i64.into());
    check("/file/hashes/0/algorithm_id", 3.into());
    check("/file/hashes/0/value", "file.hash.sha256".into());
    check("/actor/process/file/hashes/0/algorithm", "SHA-256".into());
    check("/actor/process/user/uid", "28".into());
    check("/actor/process/auid", 33.into());
    check("/unmapped/process/stdio", "process.stdio".into());
}

#[test]
fn a_foreign_document_is_refused_by_name() {
    let check = |result: Result<Event, metsuke_event::ProjectionError>, expect: &str| {
        let text = result.expect_err("refused").to_string();
        assert!(text.contains(expect), "{text}");
    };
    check(from_ocsf(&serde_json::json!([])), "not a JSON object");
    check(from_ocsf(&serde_json::json!({"class_uid": 3002})), "class_uid");
    check(from_ecs(&serde_json::json!({"event": {"action": "logon"}})), "logon");
    let wrong = serde_json::json!({"event.action": "process.exec", "process.pid": "many"});
    check(from_ecs(&wrong), "process.pid");
}
