//! What shipped detections call for: in mode `detect` nothing that changes a host, in mode `block` a stop
//! only where ordinary work hardly ever comes: neither in the recordings of it, nor by what is known of
//! hosts that nobody recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use metsuke_content::documents;
use metsuke_detect::compile;
use metsuke_event::finding::{Layer, Level};

/// What the recordings of ordinary work had of each detection, as `./x benign --table` wrote it.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/benign.md");

/// Detections that tell and never stop, whatever their level: what ordinary hosts do that no recording
/// has.
const ONLY_TELL: [(&str, &str); 9] = [
    ("browser_store_read", "every program made with a browser's engine has files of these names"),
    ("credential_sweep", "a backup of a home opens all of them"),
    ("database_spawns_shell", "archiving and hooks of a database run whatever its owner wrote"),
    ("disk_overwritten", "new disks are set up and cards written like this"),
    ("everything_removed", "old files are cleared away below /var by find with -delete"),
    ("mail_or_print_service_spawns_shell", "delivery and printing run hooks of the owner"),
    ("password_database_read", "backup tools and checkers of integrity read it, listed or not"),
    ("shell_on_socket", "a pair of sockets between two programs looks like a connection"),
    ("web_server_spawns_shell", "old applications call tools through a shell"),
];

/// Hits by title, of the page of the recordings.
fn recorded() -> BTreeMap<String, u64> {
    let page = fs::read_to_string(RECORDED).unwrap_or_default();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (title, layer, _, hits) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        let layer = matches!(layer, "filter" | "rule" | "model");
        layer.then(|| hits.parse().ok().map(|hits| (title.to_owned(), hits))).flatten()
    });
    rows.collect()
}

#[test]
fn stops_are_called_for_only_where_it_is_hardly_ever_ordinary() {
    let (rules, refused) = compile(documents());
    assert!(refused.is_empty(), "{refused:?}");
    let noise = recorded();
    assert!(noise.values().any(|hits| *hits > 0), "{RECORDED} has no table of hits");
    let mut stops = [0; 3];
    for meta in rules.all() {
        let changes = meta.responses.block.iter().filter(|one| one.changes_the_host()).count();
        let quiet = meta.responses.detect.iter().all(|one| !one.changes_the_host());
        assert!(quiet, "{} changes a host that is only watched", meta.path);
        if changes > 0 {
            let heard = noise.get(&meta.detection.title);
            assert!(meta.detection.level >= Level::High, "{} stops a weak sign", meta.path);
            assert!(heard.is_none(), "{} stops ordinary work: {heard:?} hits", meta.path);
            stops[match meta.detection.layer {
                Layer::Filter => 0,
                Layer::Rule => 1,
                Layer::Model => 2,
            }] += 1;
        }
    }
    assert!(stops.iter().all(|count| *count > 0), "{stops:?}: each layer has some that stop");
}

#[test]
fn what_ordinary_hosts_do_is_told_and_not_stopped() {
    let (rules, _) = compile(documents());
    let name = |path: &str| path.split('/').nth(2).unwrap_or_default().to_owned();
    let all: BTreeSet<String> = rules.all().map(|meta| name(&meta.path)).collect();
    let stopping: BTreeSet<String> = rules
        .all()
        .filter(|meta| meta.responses.block.iter().any(|one| one.changes_the_host()))
        .map(|meta| name(&meta.path))
        .collect();
    let unknown: Vec<_> = ONLY_TELL.iter().filter(|(one, _)| !all.contains(*one)).collect();
    let wrong: Vec<_> = ONLY_TELL.iter().filter(|(one, _)| stopping.contains(*one)).collect();
    assert!(unknown.is_empty(), "no such detections: {unknown:?}");
    assert!(wrong.is_empty(), "these call for a stop: {wrong:?}");
}
