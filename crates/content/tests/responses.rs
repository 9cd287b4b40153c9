//! What shipped detections call for: in mode `detect` nothing that changes a host, in mode `block` a stop
//! only where ordinary work hardly ever comes.

use metsuke_content::documents;
use metsuke_detect::compile;
use metsuke_event::finding::{Layer, Level};

#[test]
fn stops_are_called_for_only_where_it_is_hardly_ever_ordinary() {
    let (rules, refused) = compile(documents());
    assert!(refused.is_empty(), "{refused:?}");
    let mut stops = [0; 3];
    for meta in rules.all() {
        let changes = meta.responses.block.iter().filter(|one| one.changes_the_host()).count();
        let quiet = meta.responses.detect.iter().all(|one| !one.changes_the_host());
        assert!(quiet, "{} changes a host that is only watched", meta.path);
        if changes > 0 {
            assert!(meta.detection.level >= Level::High, "{} stops a weak sign", meta.path);
            stops[match meta.detection.layer {
                Layer::Filter => 0,
                Layer::Rule => 1,
                Layer::Model => 2,
            }] += 1;
        }
    }
    assert!(stops.iter().all(|count| *count > 0), "{stops:?}: each layer has some that stop");
}
