//! What is common in the fleet joins nothing; what is new to it joins however wide it spread.

use std::collections::BTreeSet;

use metsuke_event::{AlertId, EndpointId, Timestamp};
use metsuke_incident::{
    Facts, Fleet, Observable, ObservableKind, Question, Reach, ReasonKind, bounds, join, questions,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const TOOL: &str = "aa";

/// An alert of host `host` about the file `TOOL`, at so many milliseconds.
fn alert(host: u128, millis: i64) -> Facts {
    let time = Timestamp::from_millis(1_772_359_200_000 + millis);
    let tool = Observable { kind: ObservableKind::Hash, value: TOOL.to_owned() };
    Facts {
        id: AlertId::from_u128(
            host * 1_000_000_000_000 + u128::try_from(millis).expect("after 1970"),
        ),
        created: time,
        endpoint: EndpointId::from_u128(host),
        storyline: format!("story-{host}-{millis}"),
        recording: None,
        first: time,
        last: time,
        processes: BTreeSet::new(),
        users: BTreeSet::new(),
        observables: [tool].into(),
    }
}

/// One alert on each of `hosts` hosts, an hour apart.
fn wide(hosts: u128) -> Vec<Facts> {
    (1..=hosts).map(|host| alert(host, i64::try_from(host).expect("few") * HOUR)).collect()
}

/// A fleet of `fleet` hosts of which `before` had the tool before anything struck.
fn had(alerts: &[Facts], fleet: u64, before: u64) -> Fleet {
    told(alerts, Reach { fleet, before, during: fleet, has_history: true })
}

fn told(alerts: &[Facts], reach: Reach) -> Fleet {
    let mut fleet = Fleet::default();
    for question in questions(alerts) {
        fleet.learn(question, reach);
    }
    fleet
}

fn incidents(alerts: &[Facts], fleet: &Fleet) -> usize {
    join(alerts, &[], fleet).len()
}

#[test]
fn a_wide_intrusion_is_one_incident_with_its_reason() {
    let alerts = wide(8);
    let groups = join(&alerts, &[], &had(&alerts, 10, 0));
    assert_eq!(groups.len(), 1, "eight hosts of ten within a day");
    let reason = &groups[0].reasons[0];
    assert_eq!((reason.kind, reason.value.as_str()), (ReasonKind::Hash, TOOL));
    assert_eq!(reason.alerts.len(), 8);
    // Where it began, the tool was seen before: one workstation is no fleet.
    assert_eq!(incidents(&alerts, &had(&alerts, 10, 1)), 1);
    let large = wide(300);
    assert_eq!(incidents(&large, &had(&large, 1_000, 2)), 1, "three hundred hosts of a thousand");
}

#[test]
fn a_tool_that_the_fleet_had_before_joins_nothing() {
    let alerts = wide(8);
    assert_eq!(incidents(&alerts, &had(&alerts, 10, 10)), 8);
    // Also where it strikes on few of the hosts that have it.
    let two = wide(2);
    assert_eq!(incidents(&two, &had(&two, 10, 10)), 2);
    assert_eq!(incidents(&two, &had(&two, 10, 2)), 1);
}

#[test]
fn small_and_large_fleets_have_their_own_measure() {
    let alerts = wide(2);
    let joins = |fleet, before| incidents(&alerts, &had(&alerts, fleet, before)) == 1;
    // Of three, two are not everybody; of two, both are.
    assert!(joins(3, 2) && !joins(3, 3));
    assert!(joins(2, 1) && !joins(2, 2));
    // A share of a thousand; and no fleet is so large that fifty are few.
    assert!(joins(1_000, 49) && !joins(1_000, 50));
    assert!(joins(100, 4) && !joins(100, 5));
    assert!(joins(100_000, 49) && !joins(100_000, 50));
    assert_eq!(Reach::threshold(1_000), 1_000 / bounds::COMMON_SHARE);
}

#[test]
fn without_history_those_who_have_it_and_raise_no_alert_tell() {
    let alerts = wide(4);
    let new = |during| told(&alerts, Reach { fleet: 10, before: 0, during, has_history: false });
    assert_eq!(incidents(&alerts, &new(5)), 1, "four of the five that have it raise alerts");
    assert_eq!(incidents(&alerts, &new(10)), 4, "six have it in peace");
}

#[test]
fn until_the_fleet_was_asked_only_what_is_on_few_hosts_joins() {
    assert_eq!(incidents(&wide(5), &Fleet::default()), 1);
    assert_eq!(incidents(&wide(6), &Fleet::default()), 6);
}

#[test]
fn what_strikes_all_the_time_is_noise() {
    let alerts: Vec<Facts> =
        (1..=2).flat_map(|host| (0..51).map(move |n| alert(host, n * HOUR))).collect();
    assert_eq!(incidents(&alerts, &had(&alerts, 10, 0)), alerts.len());
    let fewer: Vec<Facts> =
        alerts.iter().filter(|one| one.id.as_u128() % 7 != 0).cloned().collect();
    assert!(fewer.len() <= 100);
    assert_eq!(incidents(&fewer, &had(&fewer, 10, 0)), 1);
}

#[test]
fn the_fleet_is_asked_about_the_time_before_each_time_it_comes_up() {
    let mut alerts = wide(2);
    assert_eq!(questions(&alerts[..1]), [], "one host alone joins by itself");
    let one = questions(&alerts);
    let expected =
        Question { kind: ReasonKind::Hash, value: TOOL.to_owned(), since: alerts[0].first };
    assert_eq!(one, [expected]);
    let (from, to) = one[0].before();
    assert_eq!(to, alerts[0].first.plus_nanos(-bounds::SPREAD_NANOS));
    assert_eq!(to.nanos_since(from), bounds::LOOK_BACK_NANOS);
    // In autumn it is asked anew, and common by then.
    alerts.extend([alert(3, 100 * DAY), alert(4, 100 * DAY)]);
    let asked = questions(&alerts);
    assert_eq!(
        asked.iter().map(|one| one.since).collect::<Vec<_>>(),
        [alerts[2].first, alerts[0].first]
    );
    let mut fleet = had(&alerts, 10, 0);
    fleet.learn(asked[0].clone(), Reach { fleet: 10, before: 9, during: 9, has_history: true });
    assert_eq!(incidents(&alerts, &fleet), 3, "the two of spring together, the others apart");
    // Recordings are kept apart from the fleet.
    for alert in &mut alerts {
        alert.recording = Some("old".to_owned());
    }
    assert_eq!(questions(&alerts), []);
}
