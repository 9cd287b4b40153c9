//! Typed fields take nothing from rules: the public Sigma set finds the same on recorded Windows
//! events as when every field stands under its source's name alone.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use metsuke_detect::{Document, Engine, compile};
use metsuke_event::{Event, FIELDS, Kind};
use metsuke_intake::{Format, Lines, Output, Record};

/// Every how many zips one is looked at, to bound the time.
const EVERY: usize = 6;

/// The same event with its typed fields under the names that rules have for them.
fn plain(record: &Record) -> Event {
    let typed = &record.event;
    let mut event = Event::empty(Kind::Imported);
    event.time = typed.time;
    event.unmapped.clone_from(&typed.unmapped);
    for spec in FIELDS.iter() {
        let Some(value) = typed.get(spec.id) else { continue };
        for name in spec.sigma {
            let name = name.split('@').next().unwrap_or_default();
            if event.unmapped.get(name).is_none() {
                event.unmapped.push(name, metsuke_event::ValueRef::Text(&value.to_text()));
            }
        }
    }
    event
}

#[test]
fn typed_fields_take_nothing_from_rules() {
    let Some(data) = support::shared_data("typed_fields_take_nothing_from_rules") else { return };
    let documents = support::files(&data.join("sigma"), "yml").into_iter().map(|path| Document {
        text: std::fs::read_to_string(&path).expect("readable"),
        path: path.display().to_string(),
    });
    let (rules, _) = compile(documents);
    let mut typed = Engine::new(rules.clone());
    let mut named = Engine::new(rules);
    let (mut events, mut hits) = (0, 0);
    let mut differ: BTreeMap<String, usize> = BTreeMap::new();
    let zips = support::files(&data.join("security-datasets/windows"), "zip");
    for path in zips.iter().step_by(EVERY) {
        let mut archive =
            zip::ZipArchive::new(std::fs::File::open(path).expect("readable")).expect("a zip");
        for index in 0..archive.len() {
            let entry = archive.by_index(index).expect("an entry");
            if !entry.name().is_ok_and(|name| name.ends_with(".json")) {
                continue;
            }
            let mut lines = Lines::new(Format::Auto);
            let mut out = Output::default();
            for line in BufReader::new(entry).split(b'\n') {
                lines.line(&line.expect("readable"), &mut out);
                for record in out.records.drain(..) {
                    events += 1;
                    let one = typed.filters_only_as(&record.event, &record.sources);
                    let other = named.filters_only_as(&plain(&record), &record.sources);
                    hits += one.len();
                    let ids = |hits: &[metsuke_event::finding::Hit]| -> Vec<String> {
                        hits.iter().map(|hit| hit.detection.id.clone()).collect()
                    };
                    let (one, other) = (ids(&one), ids(&other));
                    for id in one.iter().filter(|id| !other.contains(id)) {
                        *differ.entry(format!("only typed: {id}")).or_default() += 1;
                    }
                    for id in other.iter().filter(|id| !one.contains(id)) {
                        *differ.entry(format!("only named: {id}")).or_default() += 1;
                    }
                }
            }
        }
    }
    eprintln!("{events} events, {hits} hits");
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(events > 10_000 && hits > 100, "{events} events, {hits} hits");
}
