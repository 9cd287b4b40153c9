//! Packs of indicators on their way to sensors.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use metsuke_catalog::Catalog;
use metsuke_control::{Control, Library};
use metsuke_event::EndpointId;
use metsuke_intel::{Pack, Packs};
use metsuke_link::message::{Downstream, PackKind, PackPart, PackVersions};
use metsuke_respond::Policy;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The parts that come until a pack is whole.
async fn whole(session: &mut mpsc::Receiver<Downstream>) -> (PackKind, u64, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let order = tokio::time::timeout(Duration::from_secs(60), session.recv()).await;
        let Downstream::Indicators(part) = order.unwrap().unwrap() else { continue };
        let PackPart { pack, version, index, count, bytes: more } = part;
        bytes.extend_from_slice(&more);
        if index + 1 == count {
            return (pack, version, bytes);
        }
    }
}

#[tokio::test]
async fn a_sensor_is_sent_the_packs_it_does_not_hold_whole_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let library = Library::open(catalog.clone(), Vec::new()).await.unwrap();
    let control = Control::new(catalog, &library, Policy::default());
    // More parts than a session's queue holds.
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (first, filter) = (Pack::new("[]".into()), Pack::new(large.clone().into()));
    let packs = Packs { decided: Some(first.clone()), filter: Some(filter.clone()) };
    let (sender, receiver) = watch::channel(Arc::new(packs));
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (control, stop) = (control.clone(), stop.clone());
        async move { control.distribute_until(receiver, stop).await }
    });
    let (one, other) = (EndpointId::from_u128(1), EndpointId::from_u128(2));
    control.holds_packs(one, PackVersions::default());
    let mut session = control.open(one).await;
    let mut got = [whole(&mut session).await, whole(&mut session).await];
    got.sort_by_key(|(pack, ..)| *pack == PackKind::Filter);
    assert_eq!(got[0], (PackKind::Decided, first.version, b"[]".to_vec()));
    assert!(got[1] == (PackKind::Filter, filter.version, large));

    // One that holds them hears of changes only, one that has just come of what it lacks.
    let held = PackVersions { decided: first.version, filter: filter.version };
    control.holds_packs(other, held);
    let mut second = control.open(other).await;
    let decided = Pack::new("[1]".into());
    sender.send_modify(|now| {
        *now = Arc::new(Packs { decided: Some(decided.clone()), ..Packs::clone(now) });
    });
    for session in [&mut session, &mut second] {
        assert_eq!(whole(session).await, (PackKind::Decided, decided.version, b"[1]".to_vec()));
    }
    // What was not made yet, as when a server has just begun, takes nothing away.
    for (kind, pack) in [(PackKind::Decided, "[2]"), (PackKind::Filter, "z")] {
        let pack = Pack::new(pack.into());
        let (version, bytes) = (pack.version, pack.bytes.to_vec());
        let only = match kind {
            PackKind::Decided => Packs { decided: Some(pack), filter: None },
            PackKind::Filter => Packs { decided: None, filter: Some(pack) },
        };
        sender.send_modify(|now| *now = Arc::new(only));
        for session in [&mut session, &mut second] {
            assert_eq!(whole(session).await, (kind, version, bytes.clone()));
        }
    }
    let nothing = || Some(Pack::default());
    sender.send_modify(|now| *now = Arc::new(Packs { decided: nothing(), filter: nothing() }));
    for session in [&mut session, &mut second] {
        let got = [whole(session).await, whole(session).await];
        assert!(got.iter().all(|(_, version, bytes)| *version == 0 && bytes.is_empty()));
    }
    stop.cancel();
    task.await.unwrap();
}
