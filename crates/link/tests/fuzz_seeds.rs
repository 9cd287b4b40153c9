//! The inputs the fuzz target begins with are readable, so that it begins inside the parsers.
//! `UPDATE=1` rewrites them.

use std::path::Path;

use metsuke_event::inventory::{Delta, ItemKind, Stage};
use metsuke_event::{Event, Kind, Process};
use metsuke_link::{codec, fuzzing, proto};
use prost::Message;

fn activities() -> Vec<u8> {
    let process = std::sync::Arc::new(Process {
        uid: Some("0-1-2".into()),
        pid: Some(1),
        cmd_line: Some("sh -c id".into()),
        ..Process::default()
    });
    let events: Vec<Event> = Kind::ALL
        .iter()
        .zip(1..)
        .map(|(kind, seq)| {
            let mut event = Event { process: process.clone(), ..Event::empty(*kind) };
            event.id.seq = seq;
            event.unmapped.push("Name", metsuke_event::ValueRef::I64(-1));
            event
        })
        .collect();
    let batch = codec::encode(&events).expect("a batch");
    zstd::stream::decode_all(&*batch.payload).expect("a frame")
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let hello = proto::Hello {
        protocol: 1,
        host: "h".to_owned(),
        boot: vec![0; 16].into(),
        ..Default::default()
    };
    let update = proto::PlanUpdate {
        plan: "0".repeat(32),
        revision: 1,
        state: "done".to_owned(),
        outcome_json: r#"{"kind":"terminated","ended":[],"spared":[]}"#.to_owned(),
        ..Default::default()
    };
    let offer = proto::ArtifactOffer {
        plan: "0".repeat(32),
        kind: "file".to_owned(),
        name: "/etc/hosts".to_owned(),
        size: 9,
        sha256: "0a".repeat(32),
        taken_ns: 1,
        meta_json: r#"{"mode":420}"#.to_owned(),
    };
    let up = |kind| [&[0][..], &proto::Upstream { kind: Some(kind) }.encode_to_vec()].concat();
    let plan = format!(
        r#"{{"id":"{id}","verb":"poc","ttl_s":1,"endpoint":"{id}","reason":"r","actor":"a","alert":null,"created":"2026-01-01T00:00:00Z","expires":"2026-01-02T00:00:00Z","state":"queued","updates":[],"outcome":null}}"#,
        id = "0".repeat(32)
    );
    let delta = Delta {
        base: 1,
        generation: 2,
        stage: Stage::Change,
        surveys: Vec::new(),
        set: Vec::new(),
        removed: vec![(ItemKind::User, "eve".to_owned())],
    };
    let inventory = metsuke_link::inventory::pack(&delta).expect("within bounds");
    vec![
        ("activities", [&[2][..], &activities()].concat()),
        ("inventory", up(proto::upstream::Kind::Inventory(inventory))),
        ("hello", up(proto::upstream::Kind::Hello(hello))),
        ("plan_update", up(proto::upstream::Kind::PlanUpdate(update))),
        ("artifact_offer", up(proto::upstream::Kind::ArtifactOffer(offer))),
        ("plan", [&[1][..], plan.as_bytes()].concat()),
    ]
}

#[test]
fn seeds_are_readable_and_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/link");
    for (name, bytes) in seeds() {
        let path = folder.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(&path, &bytes).expect("written");
        }
        let committed = std::fs::read(&path).expect("committed");
        assert_eq!(committed, bytes, "{name} is stale: run this test with UPDATE=1");
        match bytes[0] {
            0 => fuzzing::upstream(&bytes[1..]),
            1 => fuzzing::downstream(&bytes[1..]),
            _ => fuzzing::activities(&bytes[1..]),
        }
    }
}
