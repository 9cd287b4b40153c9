//! Sightings in events, against a scan of every indicator over every field.

use std::sync::Arc;

use metsuke_event::{Event, FieldType, Timestamp, Value, field};
use metsuke_intel::observe::{Holds, each_value, fields_of};
use metsuke_intel::{Action, Context, Indicator, Kind, Matcher, Set};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn indicator(kind: Kind, value: &str) -> Indicator {
    let context = Context { source: "feed".into(), ..Context::default() };
    Indicator {
        kind,
        value: kind.normalise(value).expect("canonical").into(),
        context: Arc::new(context),
        object: None,
        first_seen: None,
        last_seen: None,
        expires: None,
    }
}

fn event(class: &str, fields: &[(&str, &str)]) -> Event {
    let spec = |name: &str| field::by_name(name).expect("a field");
    let class = [(field::meta::CLASS, Value::Text(class.into()))];
    let fields = fields
        .iter()
        .map(|(name, text)| (spec(name).id, Value::parse(spec(name).ty, text).expect("a value")));
    let (event, rest) = Event::from_fields(class.into_iter().chain(fields)).expect("a class");
    assert_eq!(rest, []);
    event
}

fn seen(list: &[Indicator], event: &Event) -> Vec<(String, Kind, String)> {
    let mut builder = Set::builder(3);
    assert_eq!(builder.extend(list), []);
    let set = builder.build();
    let sightings = Matcher::new(&set, NOW).observe(event);
    assert!(sightings.iter().all(|one| one.action == Action::Alert && !one.said.is_empty()));
    let mut seen: Vec<_> = sightings
        .into_iter()
        .map(|one| (one.field.to_string(), one.kind, one.value.to_string()))
        .collect();
    seen.sort();
    seen
}

#[test]
fn each_kind_is_seen_where_it_stands() {
    let hash = "ab".repeat(32);
    let list = [
        indicator(Kind::Sha256, &hash),
        indicator(Kind::Domain, "evil.example"),
        indicator(Kind::Cidr, "198.51.100.0/24"),
        indicator(Kind::Path, "/tmp/x"),
        indicator(Kind::Ja3, "0123456789abcdef0123456789abcdef"),
    ];
    let dns = event(
        "dns.query",
        &[("query.hostname", "a.evil.example"), ("answers", "198.51.100.7 ok.example")],
    );
    assert_eq!(
        seen(&list, &dns),
        [
            ("answers".into(), Kind::Ipv4, "198.51.100.7".into()),
            ("query.hostname".into(), Kind::Domain, "a.evil.example".into())
        ]
    );
    let tls = event(
        "tls.client_hello",
        &[
            ("tls.ja3_hash.value", "0123456789abcdef0123456789abcdef"),
            ("dst_endpoint.ip", "198.51.100.9"),
        ],
    );
    assert_eq!(seen(&list, &tls).len(), 2);
    let exec = event(
        "process.exec",
        &[("process.file.hash.sha256", &hash), ("process.file.path", "/tmp//x")],
    );
    assert_eq!(seen(&list, &exec).len(), 2);
    // What the process is was told when it began.
    let later =
        event("file.create", &[("process.file.hash.sha256", &hash), ("file.path", "/tmp/y")]);
    assert_eq!(seen(&list, &later), []);
    let mut imported = event("process.exec", &[]);
    let hashes =
        format!("MD5=00,IMPHASH=0123456789abcdef0123456789abcdef,SHA256={}", hash.to_uppercase());
    imported.unmapped.push("Hashes", metsuke_event::ValueRef::Text(&hashes));
    assert_eq!(seen(&list, &imported), [("Hashes".into(), Kind::Sha256, hash.to_uppercase())]);
}

fn a_value(holds: Holds) -> BoxedStrategy<String> {
    let hash = (0_u8..6).prop_map(|byte| byte);
    match holds {
        Holds::One(Kind::Sha256) => hash.prop_map(|byte| hex::encode([byte, 7].repeat(16))).boxed(),
        Holds::One(Kind::Sha1) => hash.prop_map(|byte| hex::encode([byte, 7].repeat(10))).boxed(),
        Holds::One(Kind::Md5 | Kind::Ja3) => {
            hash.prop_map(|byte| hex::encode([byte, 7].repeat(8))).boxed()
        }
        Holds::One(Kind::Domain) => {
            prop::sample::select(vec!["evil.example", "a.evil.example", "x.org", "evil"])
                .prop_map(ToOwned::to_owned)
                .boxed()
        }
        Holds::One(Kind::Path) => {
            prop::sample::select(vec!["/tmp/a", "/tmp/./a", "/tmp/b", "relative", "/"])
                .prop_map(ToOwned::to_owned)
                .boxed()
        }
        Holds::Address => prop::sample::select(vec!["198.51.100.7", "10.0.0.1", "2001:db8::7"])
            .prop_map(ToOwned::to_owned)
            .boxed(),
        Holds::Answers => Just("198.51.100.7 a.evil.example x.org".to_owned()).boxed(),
        _ => Just("t13d1516h2_8daaf6152771_e5627efa2ab1".to_owned()).boxed(),
    }
}

/// An event of any class with any of the fields that are looked at.
fn an_event() -> impl Strategy<Value = Event> {
    let classes: Vec<_> = metsuke_event::Kind::ALL.to_vec();
    prop::sample::select(classes).prop_flat_map(|class| {
        let fields: Vec<_> = fields_of(class)
            .map(|(name, holds)| {
                prop::option::of(a_value(holds)).prop_map(move |value| (name, value))
            })
            .collect();
        fields.prop_map(move |fields| {
            let set: Vec<_> = fields
                .iter()
                .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
                .collect();
            event(class.name(), &set)
        })
    })
}

/// Every field of the event against every indicator, letter by letter.
fn naive(list: &[Indicator], event: &Event) -> Vec<(String, Kind, String)> {
    let mut seen = Vec::new();
    for (name, holds) in fields_of(event.activity.kind()) {
        let spec = field::by_name(name).expect("a field");
        assert!(matches!(spec.ty, FieldType::Text | FieldType::Ip));
        let Some(value) = event.get_owned(spec.id) else { continue };
        each_value(holds, value.as_ref(), &mut |kind, text| {
            let covers = |one: &Indicator| match (one.kind, kind) {
                (Kind::Domain, Kind::Domain) => {
                    text == &*one.value || text.ends_with(&format!(".{}", one.value))
                }
                (Kind::Cidr, Kind::Ipv4) => {
                    text.starts_with("198.51.100.") && one.value.starts_with("198.51.100.")
                }
                _ => one.kind == kind && kind.normalise(text).is_ok_and(|text| text == *one.value),
            };
            if list.iter().any(covers) {
                seen.push((name.to_owned(), kind, text.to_owned()));
            }
        });
    }
    seen.sort();
    seen
}

proptest! {
    #[test]
    fn sightings_are_those_of_a_naive_scan(event in an_event(), chosen in prop::collection::vec(any::<bool>(), 9)) {
        let all = [
            indicator(Kind::Sha256, &hex::encode([1, 7].repeat(16))),
            indicator(Kind::Sha1, &hex::encode([2, 7].repeat(10))),
            indicator(Kind::Md5, &hex::encode([3, 7].repeat(8))),
            indicator(Kind::Ja3, &hex::encode([4, 7].repeat(8))),
            indicator(Kind::Domain, "evil.example"),
            indicator(Kind::Path, "/tmp/a"),
            indicator(Kind::Cidr, "198.51.100.0/24"),
            indicator(Kind::Ipv6, "2001:db8::7"),
            indicator(Kind::Ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1"),
        ];
        let list: Vec<_> = all.into_iter().zip(chosen).filter_map(|(one, take)| take.then_some(one)).collect();
        prop_assert_eq!(seen(&list, &event), naive(&list, &event));
    }
}
