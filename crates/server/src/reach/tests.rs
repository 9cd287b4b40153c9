//! Incidents over a real lake and catalog: what the fleet had before, and what is new to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use metsuke_catalog::clock::now;
use metsuke_catalog::{AlertContext, Catalog, Detected, ProcessBrief};
use metsuke_event::finding::{Alert, DetectionRef, Layer, Level};
use metsuke_event::{
    Activity, AlertId, BootId, EndpointId, Event, EventId, Kind, Process, Timestamp,
    activity::ProcessActivity,
};
use metsuke_incident::{Observable, ObservableKind};
use metsuke_lake::{Lake, LakeConfig};

use super::{AGAIN, Failed, ask};

const DAY: i64 = 24 * 3_600 * 1_000_000_000;
/// Hosts of the fleet.
const HOSTS: usize = 10;

/// When things strike.
fn struck() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

struct World {
    catalog: Catalog,
    lake: Lake,
    hosts: Vec<EndpointId>,
}

impl World {
    /// A fleet that has been watched for some days before something struck.
    async fn new(folder: &Path, watched_days: i64) -> Self {
        let catalog = Catalog::open(&folder.join("catalog.db")).await.unwrap();
        let lake = Lake::open(LakeConfig::new(folder.join("lake"))).await.unwrap();
        let begun = struck().plus_nanos(-watched_days * DAY);
        let mut hosts = Vec::new();
        for number in 0..HOSTS {
            let token = catalog.create_enrolment_token(begun, "test", DAY).await.unwrap();
            let host = format!("host-{number}");
            hosts.push(catalog.enrol(begun, &token.secret, &host).await.unwrap().unwrap());
        }
        Self { catalog, lake, hosts }
    }

    /// On the first `hosts` something runs by `user` with the file `hash`, so many days before it strikes.
    async fn ran(&self, hosts: usize, (hash, user): (&str, &str), days: i64) {
        let event = |(seq, endpoint): (usize, &EndpointId)| {
            let mut event = Event::empty(Kind::ProcessExec);
            let boot = BootId::from_u128(u128::try_from(days).unwrap() + 1);
            event.id = EventId { endpoint: *endpoint, boot, seq: seq as u64, ..EventId::default() };
            event.time = struck().plus_nanos(-days * DAY);
            event.activity = Activity::Process(ProcessActivity::Exec);
            event.process = Arc::new(Process {
                uid: Some(format!("{hash}-{days}").into()),
                sha256: Some(hash.into()),
                user_name: Some(user.into()),
                ..Process::default()
            });
            event
        };
        let events = self.hosts[..hosts].iter().enumerate().map(event).collect();
        self.lake.append(events).await.unwrap();
    }

    /// An alert on each of the first `hosts`, minutes apart, about `hash` and `user`.
    async fn strikes(&self, hosts: usize, hash: Option<&str>, user: &str) {
        for (number, endpoint) in self.hosts[..hosts].iter().enumerate() {
            let time = struck().plus_nanos(i64::try_from(number).unwrap() * DAY / 1_440);
            let alert = Alert {
                id: AlertId::from_u128(number as u128 + 1),
                revision: 1,
                detection: DetectionRef {
                    id: "model-1".to_owned(),
                    title: "A model".to_owned(),
                    layer: Layer::Model,
                    level: Level::High,
                    techniques: Vec::new(),
                    tactics: Vec::new(),
                },
                also: Vec::new(),
                endpoint: *endpoint,
                storyline: format!("s{number}"),
                score: 60,
                parts: Vec::new(),
                highlights: Vec::new(),
                first: time,
                last: time,
            };
            let process = ProcessBrief { user: Some(user.into()), ..ProcessBrief::default() };
            let hash =
                hash.map(|hash| Observable { kind: ObservableKind::Hash, value: hash.to_owned() });
            let context = AlertContext {
                host: None,
                processes: [(format!("p{number}"), process)].into(),
                observables: hash.into_iter().collect::<BTreeSet<_>>(),
            };
            let found = Detected { alerts: vec![(alert, context)], ..Detected::default() };
            self.catalog.store_detected(time, found).await.unwrap();
        }
    }

    /// How many incidents there are when everything was asked.
    async fn incidents(&self) -> usize {
        ask(&self.catalog, &self.lake, &mut Failed::default()).await.unwrap();
        assert_eq!(
            ask(&self.catalog, &self.lake, &mut Failed::default()).await.unwrap(),
            0,
            "asked once"
        );
        self.catalog.incidents().await.unwrap().items.len()
    }
}

#[tokio::test]
async fn a_wide_intrusion_is_one_incident_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), 60).await;
    world.ran(8, ("aa", "root"), 0).await;
    world.strikes(8, Some("aa"), "root").await;
    assert_eq!(world.catalog.incidents().await.unwrap().items.len(), 8, "nobody was asked yet");
    assert_eq!(world.incidents().await, 1);
    let World { catalog, lake, .. } = world;
    catalog.close().await;
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    assert_eq!(catalog.incidents().await.unwrap().items.len(), 1);
    assert_eq!(
        ask(&catalog, &lake, &mut Failed::default()).await.unwrap(),
        0,
        "the answer was kept"
    );
}

#[tokio::test]
async fn a_tool_of_the_whole_fleet_joins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), 60).await;
    world.ran(HOSTS, ("aa", "root"), 10).await;
    world.strikes(4, Some("aa"), "root").await;
    assert_eq!(world.incidents().await, 4);
}

#[tokio::test]
async fn an_account_that_works_everywhere_joins_nothing_and_a_stolen_one_does() {
    for (everywhere, incidents) in [(HOSTS, 4), (1, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(folder.path(), 60).await;
        world.ran(everywhere, ("bb", "Deploy"), 10).await;
        world.strikes(4, None, "deploy").await;
        assert_eq!(world.incidents().await, incidents, "it worked on {everywhere} hosts before");
    }
}

#[tokio::test]
async fn on_a_new_server_those_tell_that_have_it_and_raise_no_alert() {
    for (have, incidents) in [(HOSTS, 4), (5, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(folder.path(), 1).await;
        world.ran(have, ("aa", "root"), 0).await;
        world.strikes(4, Some("aa"), "root").await;
        assert_eq!(world.incidents().await, incidents, "{have} hosts have it");
    }
}

#[tokio::test]
async fn what_is_not_answered_keeps_no_other_question_from_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), 60).await;
    world.ran(8, ("aa", "mallory"), 0).await;
    world.strikes(8, Some("aa"), "mallory").await;
    let (catalog, lake) = (&world.catalog, &world.lake);
    let wanted = catalog.reach_wanted(now(), 50).await.unwrap();
    assert!(wanted.len() > 1, "{wanted:?}");
    let mut failed = Failed::default();
    failed.0.insert(wanted[0].clone(), Instant::now() + AGAIN);
    assert_eq!(ask(catalog, lake, &mut failed).await.unwrap(), wanted.len() - 1);
    failed.release(Instant::now() + AGAIN);
    assert_eq!(ask(catalog, lake, &mut failed).await.unwrap(), 1, "its time has come");
}
