//! Which alerts join, which do not, and what people's own changes do to it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use metsuke_event::{Activity, AlertId, EndpointId, Event, Kind, Timestamp};
use metsuke_incident::{
    Edit, EditKind, Facts, Fleet, Group, Observable, ObservableKind, ReasonKind, observables,
};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn id(number: u128) -> AlertId {
    AlertId::from_u128(number)
}

/// An alert of its own host, at so many milliseconds.
fn alert(number: u128, millis: i64) -> Facts {
    let time = Timestamp::from_millis(1_772_359_200_000 + millis);
    Facts {
        id: id(number),
        created: time,
        endpoint: EndpointId::from_u128(number),
        storyline: format!("story-{number}"),
        recording: None,
        first: time,
        last: time,
        processes: BTreeSet::new(),
        users: BTreeSet::new(),
        observables: BTreeSet::new(),
    }
}

fn with(mut alert: Facts, kind: ObservableKind, value: &str) -> Facts {
    alert.observables.insert(Observable { kind, value: value.to_owned() });
    alert
}

fn on(mut alert: Facts, host: u128) -> Facts {
    alert.endpoint = EndpointId::from_u128(host);
    alert
}

fn by(mut alert: Facts, user: &str) -> Facts {
    alert.users.insert(user.to_owned());
    alert
}

/// Joins as long as nothing is known of the fleet.
fn join(alerts: &[Facts], edits: &[Edit]) -> Vec<Group> {
    metsuke_incident::join(alerts, edits, &Fleet::default())
}

/// The groups as numbers of alerts.
fn shown(groups: &[Group]) -> Vec<Vec<u128>> {
    let numbers = |group: &Group| group.alerts.iter().map(|id| id.as_u128()).collect();
    let mut all: Vec<Vec<u128>> = groups.iter().map(numbers).collect();
    all.sort();
    all
}

fn check(alerts: &[Facts], expected: &[&[u128]]) {
    assert_eq!(shown(&join(alerts, &[])), expected, "{alerts:#?}");
}

#[test]
fn what_is_shared_joins_and_says_why() {
    let same = |mut alert: Facts| {
        alert.storyline = "s".to_owned();
        alert
    };
    check(&[on(same(alert(1, 0)), 9), on(same(alert(2, 90 * HOUR)), 9)], &[&[1, 2]]);
    // One storyline's name on another host is another storyline.
    check(&[same(alert(1, 0)), same(alert(2, 0))], &[&[1], &[2]]);
    let mut child = on(alert(2, 90 * HOUR), 9);
    child.processes.insert("story-1".to_owned());
    check(&[on(alert(1, 0), 9), child.clone()], &[&[1, 2]]);
    let groups = join(&[on(alert(1, 0), 9), child], &[]);
    let reason = &groups[0].reasons[0];
    assert_eq!((reason.kind, reason.value.as_str()), (ReasonKind::Process, "story-1"));
    assert_eq!(reason.alerts, [id(1), id(2)]);

    let hash = |number, millis| with(alert(number, millis), ObservableKind::Hash, "aa");
    check(&[hash(1, 0), hash(2, 6 * 24 * HOUR)], &[&[1, 2]]);
    check(&[hash(1, 0), hash(2, 8 * 24 * HOUR)], &[&[1], &[2]]);
    let address = |number| with(alert(number, 0), ObservableKind::Address, "192.0.2.7");
    check(&[address(1), address(2)], &[&[1, 2]]);

    check(&[by(alert(1, 0), "Ana"), by(alert(2, 3 * HOUR), "ana")], &[&[1, 2]]);
    check(&[by(alert(1, 0), "ana"), by(alert(2, 5 * HOUR), "ana")], &[&[1], &[2]]);
    check(&[on(alert(1, 0), 9), on(alert(2, 20 * MINUTE), 9)], &[&[1, 2]]);
    check(&[on(alert(1, 0), 9), on(alert(2, 40 * MINUTE), 9)], &[&[1], &[2]]);
}

#[test]
fn accounts_that_every_host_has_join_nothing() {
    for user in ["root", "NT AUTHORITY\\SYSTEM", "PC7$", "www-data"] {
        check(&[by(alert(1, 0), user), by(alert(2, 0), user)], &[&[1], &[2]]);
    }
}

#[test]
fn a_recording_is_one_incident_and_joins_nothing_live() {
    let of = |number, recording: Option<&str>| Facts {
        recording: recording.map(str::to_owned),
        ..with(alert(number, 0), ObservableKind::Hash, "aa")
    };
    let alerts = [of(1, None), of(2, Some("old")), of(3, Some("old")), of(4, Some("other"))];
    check(&alerts, &[&[1], &[2, 3], &[4]]);
}

#[test]
fn people_split_merge_and_the_later_change_wins() {
    let alerts: Vec<Facts> = (1..=4)
        .map(|number| {
            with(
                alert(number, i64::try_from(number).unwrap()),
                ObservableKind::Domain,
                "evil.example",
            )
        })
        .collect();
    let split = |number, apart: &[u128], rest: &[u128]| Edit {
        number,
        kind: EditKind::Split {
            apart: apart.iter().copied().map(id).collect(),
            rest: rest.iter().copied().map(id).collect(),
        },
    };
    let merge = |number, alerts: &[u128]| Edit {
        number,
        kind: EditKind::Merge { alerts: alerts.iter().copied().map(id).collect() },
    };
    let groups = |edits: &[Edit]| shown(&join(&alerts, edits));
    assert_eq!(groups(&[]), [[1, 2, 3, 4]]);
    assert_eq!(groups(&[split(1, &[2, 3], &[1, 4])]), [[1, 4], [2, 3]]);
    assert_eq!(groups(&[split(1, &[2, 3], &[1, 4]), merge(2, &[2, 3, 1, 4])]), [[1, 2, 3, 4]]);
    // By way of what was merged before, too.
    let far = [alerts.clone(), vec![alert(5, 900 * HOUR)]].concat();
    let edits = [split(1, &[2], &[1, 3, 4]), merge(2, &[2, 5]), merge(3, &[5, 1])];
    assert_eq!(shown(&join(&far, &edits)), [[1, 2, 3, 4, 5]]);
    let edits = [merge(1, &[1, 5]), split(2, &[5], &[1, 2, 3, 4])];
    assert_eq!(shown(&join(&far, &edits)), [vec![1, 2, 3, 4], vec![5]]);
    // The identity of an incident is that of its first alert.
    let parts = join(&alerts, &[split(1, &[2, 3], &[1, 4])]);
    assert_eq!(parts.iter().map(|group| group.id).collect::<Vec<_>>(), [id(1), id(2)]);
}

#[test]
fn only_what_tells_something_is_an_observable() {
    let mut event = Event::empty(Kind::NetworkConnect);
    let to = |event: &mut Event, address: &str, port| {
        let Activity::Network(_, network) = &mut event.activity else { unreachable!() };
        network.dst_ip = address.parse::<IpAddr>().ok();
        network.dst_port = Some(port);
        observables(event).into_iter().map(|one| one.value).collect::<Vec<_>>()
    };
    assert_eq!(to(&mut event, "192.0.2.7", 443), ["192.0.2.7"]);
    for inside in ["10.1.2.3", "127.0.0.1", "169.254.1.1", "fd00::1", "100.64.0.1"] {
        assert!(to(&mut event, inside, 443).is_empty(), "{inside}");
    }
    assert!(to(&mut event, "192.0.2.53", 53).is_empty(), "a resolver");
    let mut exec = Event::empty(Kind::ProcessExec);
    let mut run = |exe: &str| {
        let process = std::sync::Arc::make_mut(&mut exec.process);
        process.exe = Some(exe.into());
        process.sha256 = Some("AB".into());
        observables(&exec).into_iter().map(|one| one.value).collect::<Vec<_>>()
    };
    assert_eq!(run("/tmp/x"), ["ab"]);
    assert!(run("/usr/bin/curl").is_empty() && run("C:\\Windows\\System32\\cmd.exe").is_empty());
    let mut dns = Event::empty(Kind::DnsQuery);
    let mut ask = |name: &str| {
        let Activity::Dns(dns) = &mut dns.activity else { unreachable!() };
        dns.query = Some(name.into());
        observables(&Event { activity: Activity::Dns(dns.clone()), ..Event::empty(Kind::DnsQuery) })
            .len()
    };
    assert_eq!((ask("Evil.Example."), ask("printer.local"), ask("localhost")), (1, 0, 0));
}

/// Alerts that share much: few hosts, storylines, users and values.
fn alerts() -> impl Strategy<Value = Vec<Facts>> {
    let one = (0_u128..4, 0_u8..4, 0_u8..3, 0_u8..4, 0_i64..600);
    proptest::collection::vec(one, 1..24).prop_map(|all| {
        let make =
            |(number, (host, story, user, value, minutes)): (usize, (u128, u8, u8, u8, i64))| {
                let mut facts = on(alert(1_000 + number as u128, minutes * MINUTE), host);
                facts.storyline = format!("s{story}");
                if user > 0 {
                    facts.users.insert(format!("user{user}"));
                }
                if value > 0 {
                    facts = with(facts, ObservableKind::Domain, &format!("d{value}.example"));
                }
                facts
            };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn group_of(groups: &[Group], alert: AlertId) -> AlertId {
    groups.iter().find(|group| group.alerts.contains(&alert)).expect("every alert is in one").id
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_alerts_does_not_matter(all in alerts(), seed in any::<u64>(), apart in 0_usize..24) {
        let taken = all[apart % all.len()].id;
        let rest = all.iter().map(|one| one.id).filter(|id| *id != taken).collect();
        let edits = [Edit { number: 1, kind: EditKind::Split { apart: vec![taken], rest } }];
        let mut mixed = all.clone();
        let mut state = seed | 1;
        for place in (1..mixed.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            mixed.swap(place, usize::try_from(state % (place as u64 + 1)).unwrap());
        }
        prop_assert_eq!(join(&all, &edits), join(&mixed, &edits));
    }

    #[test]
    fn every_alert_is_in_one_group(all in alerts()) {
        let groups = join(&all, &[]);
        let mut ids: Vec<AlertId> = groups.iter().flat_map(|group| group.alerts.clone()).collect();
        ids.sort_unstable();
        prop_assert_eq!(ids, all.iter().map(|one| one.id).collect::<Vec<_>>());
        for group in &groups {
            prop_assert_eq!(group.alerts.len() == 1, group.reasons.is_empty(), "{:?}", group);
        }
    }

    #[test]
    fn what_was_split_stays_split_and_what_was_merged_stays_merged(
        all in alerts(), later in alerts(), which in 0_usize..24, cut in 1_usize..8,
    ) {
        let groups = join(&all, &[]);
        let group = &groups[which % groups.len()];
        let cut = cut.min(group.alerts.len());
        let (apart, rest) = group.alerts.split_at(cut);
        let (apart, rest) = (apart.to_vec(), rest.to_vec());
        let split = Edit { number: 1, kind: EditKind::Split { apart: apart.clone(), rest: rest.clone() } };
        let more: Vec<Facts> = later.into_iter().map(|one| Facts { id: id(one.id.as_u128() + 10_000), ..one }).collect();
        let grown = [all.clone(), more].concat();
        let after = join(&grown, std::slice::from_ref(&split));
        for (one, other) in apart.iter().flat_map(|one| rest.iter().map(move |other| (one, other))) {
            prop_assert_ne!(group_of(&after, *one), group_of(&after, *other));
        }
        let both: Vec<AlertId> = apart.iter().chain(&rest).copied().collect();
        let merge = Edit { number: 2, kind: EditKind::Merge { alerts: both.clone() } };
        let after = join(&grown, &[split, merge]);
        for alert in &both {
            prop_assert_eq!(group_of(&after, *alert), group_of(&after, both[0]));
        }
        // Undone, it is as it was.
        prop_assert_eq!(join(&all, &[]), groups);
    }
}
