//! The set against a naive list: look-ups, changes, ends, merges, snapshots and filters agree.

use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::Timestamp;
use metsuke_intel::filter::Filter;
use metsuke_intel::{Action, Context, Indicator, Kind, Set, Within};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

fn indicator(kind: Kind, value: &str, source: &str, action: Action, end: Option<i64>) -> Indicator {
    let context = Context { source: source.into(), action, ..Context::default() };
    Indicator {
        kind,
        value: kind.normalise(value).expect("canonical").into(),
        context: Arc::new(context),
        object: None,
        first_seen: None,
        last_seen: None,
        expires: end.map(at),
    }
}

fn set(indicators: &[Indicator]) -> Set {
    let mut builder = Set::builder(7);
    assert_eq!(builder.extend(indicators), []);
    builder.build()
}

fn bytes(set: &Set) -> Vec<u8> {
    let mut bytes = Vec::new();
    set.snapshot(&mut |part| bytes.extend_from_slice(part));
    bytes
}

#[test]
fn domains_stand_for_what_is_below_them() {
    let set = set(&[
        indicator(Kind::Domain, "evil.example", "a", Action::Alert, None),
        indicator(Kind::Domain, "c2.evil.example", "b", Action::Block, None),
    ]);
    let answer = set.look_up(Kind::Domain, "x.C2.evil.example", at(1));
    let seen = "x.C2.evil.example";
    let within: Vec<_> = answer.matches.iter().map(|one| one.value(seen)).collect();
    assert_eq!(within, ["c2.evil.example", "evil.example"]);
    assert_eq!(answer.action(), Some(Action::Block));
    assert_eq!(set.look_up(Kind::Domain, "evil.example", at(1)).matches[0].within, Within::Itself);
    for stranger in
        ["vil.example", "notevil.example", "example", "evil.example.org", "", ".", "evil..example"]
    {
        assert!(set.look_up(Kind::Domain, stranger, at(1)).is_empty(), "{stranger}");
    }
    let url = "http://a.evil.example:8080/x";
    let by_url = set.look_up(Kind::Url, url, at(1));
    assert_eq!(by_url.matches[0].value(url), "evil.example");
}

#[test]
fn allow_wins_and_ends_hold() {
    let set = set(&[
        indicator(Kind::Ipv4, "198.51.100.7", "feed", Action::Block, Some(100)),
        indicator(Kind::Cidr, "198.51.100.0/24", "ours", Action::Allow, Some(50)),
        indicator(Kind::Cidr, "198.51.0.0/16", "feed", Action::Alert, None),
    ]);
    let action = |second| {
        let answer = set.look_up(Kind::Ipv4, "198.51.100.7", at(second));
        (answer.action(), answer.matches.len())
    };
    assert_eq!(action(49), (Some(Action::Allow), 3));
    assert_eq!(action(50), (Some(Action::Block), 2));
    assert_eq!(action(100), (Some(Action::Alert), 1));
}

#[test]
fn changes_hold_before_and_after_a_merge() {
    let mut set = set(&[
        indicator(Kind::Domain, "a.example", "one", Action::Alert, None),
        indicator(Kind::Domain, "a.example", "two", Action::Alert, None),
        indicator(Kind::Domain, "b.example", "two", Action::Alert, Some(10)),
    ]);
    set.remove(Kind::Domain, "a.example", "one").expect("canonical");
    set.insert(&indicator(Kind::Cidr, "2001:db8::/32", "three", Action::Alert, None))
        .expect("canonical");
    let sources = |set: &Set, kind, value: &str| -> Vec<String> {
        let answer = set.look_up(kind, value, at(5));
        answer.matches.iter().map(|one| one.context.source.to_string()).collect()
    };
    let check = |set: &Set| {
        assert_eq!(sources(set, Kind::Domain, "a.example"), ["two"]);
        assert_eq!(sources(set, Kind::Ipv6, "2001:db8::9"), ["three"]);
    };
    check(&set);
    assert_eq!(sources(&set, Kind::Domain, "b.example"), ["two"]);
    let merged = set.merged(at(10));
    check(&merged);
    assert_eq!(merged.len(), 2, "what expired is gone");
    set.remove_source("two");
    assert!(set.look_up(Kind::Domain, "a.example", at(5)).is_empty());
    // What a source says anew holds again.
    set.insert(&indicator(Kind::Domain, "a.example", "two", Action::Alert, None))
        .expect("canonical");
    assert_eq!(sources(&set, Kind::Domain, "a.example"), ["two"]);
}

#[test]
fn many_are_answered_as_each_alone() {
    let digest = |number: u8| [number, 9].repeat(16).try_into().expect("32 bytes");
    let known: Vec<_> = (0..40_u8)
        .map(|number| {
            indicator(
                Kind::Sha256,
                &hex::encode([number * 3, 9].repeat(16)),
                "a",
                Action::Alert,
                None,
            )
        })
        .collect();
    let set = set(&known);
    let asked: Vec<[u8; 32]> = (0..=119).map(digest).collect();
    let mut found = Vec::new();
    set.look_up_many_sha256(&asked, at(1), |place, answer| {
        assert_eq!(answer, set.look_up_sha256(&asked[place], at(1)));
        found.push(place);
    });
    assert_eq!(found, (0..40).map(|number| number * 3).collect::<Vec<_>>());
}

#[test]
fn damaged_snapshots_are_refused() {
    let set = set(&[
        indicator(Kind::Domain, "a.example", "one", Action::Alert, None),
        indicator(Kind::Cidr, "10.0.0.0/8", "one", Action::Alert, None),
    ]);
    let whole = bytes(&set);
    assert!(Set::load(&Bytes::from(whole.clone())).is_ok());
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        if let Ok(loaded) = Set::load(&Bytes::from(damaged)) {
            // Only what fills the gaps between sections may change.
            assert_eq!(bytes(&loaded), whole, "byte {at}");
        }
        assert!(Set::load(&Bytes::from(whole[..at].to_vec())).is_err(), "cut at {at}");
    }
    let filter = Filter::of(&set, Timestamp::default()).expect("made").to_bytes();
    for at in 0..filter.len() {
        let mut damaged = filter.clone();
        damaged[at] ^= 0x10;
        assert!(Filter::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(Filter::from_bytes(&filter[..at]).is_err(), "cut at {at}");
    }
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Indicator),
    Remove(Kind, String, &'static str),
    RemoveSource(&'static str),
    Merge,
    Reload,
}

fn a_value() -> impl Strategy<Value = (Kind, String)> {
    let label = prop::sample::select(vec!["a", "b", "evil"]);
    prop_oneof![
        prop::collection::vec(label, 1..4)
            .prop_map(|labels| (Kind::Domain, format!("{}.example", labels.join(".")))),
        // Few addresses, so that networks nest and meet.
        (0_u32..64, 0_u32..4).prop_map(|(low, high)| {
            (Kind::Ipv4, std::net::Ipv4Addr::from_bits(high << 30 | 0x0a00_0000 | low).to_string())
        }),
        (0_u128..64).prop_map(|low| {
            (Kind::Ipv6, std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | low).to_string())
        }),
        (0_u8..9).prop_map(|byte| (Kind::Sha256, hex::encode([byte, 1].repeat(16)))),
        (0_u8..4).prop_map(|byte| (Kind::Path, format!("/tmp/{byte}"))),
    ]
}

fn an_indicator() -> impl Strategy<Value = Indicator> {
    let action = prop::sample::select(vec![Action::Alert, Action::Block, Action::Allow]);
    let source = prop::sample::select(vec!["one", "two", "three"]);
    let end = prop::option::of(1_i64..40);
    (a_value(), 24_u8..=32, any::<bool>(), action, source, end).prop_map(
        |((kind, value), length, network, action, source, end)| match kind {
            Kind::Ipv4 if network => {
                indicator(Kind::Cidr, &format!("{value}/{length}"), source, action, end)
            }
            Kind::Ipv6 if network => {
                let value = format!("{value}/{}", length + 94);
                indicator(Kind::Cidr, &value, source, action, end)
            }
            kind => indicator(kind, &value, source, action, end),
        },
    )
}

fn a_change() -> impl Strategy<Value = Change> {
    let source = prop::sample::select(vec!["one", "two", "three"]);
    prop_oneof![
        6 => an_indicator().prop_map(Change::Insert),
        2 => (an_indicator(), source.clone())
            .prop_map(|(one, source)| Change::Remove(one.kind, one.value.to_string(), source)),
        1 => source.prop_map(Change::RemoveSource),
        1 => Just(Change::Merge),
        1 => Just(Change::Reload),
    ]
}

/// What a list says of a value: source, action and whether it is the value itself.
fn naive(
    list: &[Indicator],
    kind: Kind,
    value: &str,
    now: Timestamp,
) -> Vec<(String, Action, String)> {
    let covers = |one: &Indicator| match (one.kind, kind) {
        (Kind::Domain, Kind::Domain) => {
            value == &*one.value || value.ends_with(&format!(".{}", one.value))
        }
        (Kind::Cidr, Kind::Ipv4 | Kind::Ipv6) => {
            let (first, length) = one.value.split_once('/').expect("a network");
            let bits = |text: &str| match text.parse().expect("an address") {
                std::net::IpAddr::V4(v4) => (4, u128::from(v4.to_bits()) << 96),
                std::net::IpAddr::V6(v6) => (6, v6.to_bits()),
            };
            let (mine, theirs) = (bits(first), bits(value));
            let length: u32 = length.parse().expect("a number");
            mine.0 == theirs.0
                && (length == 0 || mine.1 >> (128 - length) == theirs.1 >> (128 - length))
        }
        _ => one.kind == kind && value == &*one.value,
    };
    let mut said: Vec<_> = list
        .iter()
        .filter(|one| one.expires.is_none_or(|end| end > now) && covers(one))
        .map(|one| (one.context.source.to_string(), one.context.action, one.value.to_string()))
        .collect();
    said.sort();
    said.dedup();
    said
}

fn met(set: &Set, kind: Kind, value: &str, now: Timestamp) -> Vec<(String, Action, String)> {
    let mut said: Vec<_> = set
        .look_up(kind, value, now)
        .matches
        .into_iter()
        .map(|one| {
            let within = one.value(value);
            (one.context.source.to_string(), one.context.action, within)
        })
        .collect();
    said.sort();
    said
}

proptest! {
    #[test]
    fn it_agrees_with_a_list(
        first in prop::collection::vec(an_indicator(), 0..30),
        changes in prop::collection::vec(a_change(), 0..30),
        asked in prop::collection::vec(a_value(), 20),
    ) {
        let mut list = first.clone();
        let mut set = set(&first);
        let now = at(5);
        for change in changes {
            match change {
                Change::Insert(one) => {
                    set.insert(&one).expect("canonical");
                    list.push(one);
                }
                Change::Remove(kind, value, source) => {
                    set.remove(kind, &value, source).expect("canonical");
                    list.retain(|one| (one.kind, &*one.value, &*one.context.source) != (kind, &*value, source));
                }
                Change::RemoveSource(source) => {
                    set.remove_source(source);
                    list.retain(|one| &*one.context.source != source);
                }
                Change::Merge => set = set.merged(now),
                Change::Reload => {
                    set = set.merged(now);
                    set = Set::load(&Bytes::from(bytes(&set))).expect("whole");
                }
            }
            for (kind, value) in &asked {
                for now in [now, at(20), at(60)] {
                    prop_assert_eq!(
                        met(&set, *kind, value, now), naive(&list, *kind, value, now),
                        "{:?} {} at {}", kind, value, now
                    );
                }
            }
        }
        // The filter misses nothing that is not allowed, and survives its bytes.
        let set = set.merged(now);
        let filter = Filter::of(&set, now).expect("made");
        let filter = Filter::from_bytes(&filter.to_bytes()).expect("whole");
        for (kind, value) in &asked {
            let said = naive(&list, *kind, value, now);
            if said.iter().any(|(_, action, _)| *action != Action::Allow) {
                prop_assert!(filter.may_hold(*kind, value), "{:?} {}", kind, value);
            }
        }
    }

    #[test]
    fn no_bytes_break_a_snapshot_or_a_filter(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        for magic in [&b"MTKINTL1\x01\0\0\0"[..], b"MTKSIFT1\x01\0\0\0"] {
            let bytes = [magic, &tail].concat();
            prop_assert!(Set::load(&Bytes::from(bytes.clone())).is_err());
            prop_assert!(Filter::from_bytes(&bytes).is_err());
        }
    }
}
