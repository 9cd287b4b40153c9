//! Inventories on a real SQLite file: brought up to date by deltas, asked for over the fleet.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use metsuke_catalog::{Catalog, CatalogError, FileFilter, InventoryFilter};
use metsuke_event::inventory::{Delta, Executable, Format, Item, ItemKind, Stage, Survey};
use metsuke_event::{EndpointId, Timestamp};

struct World {
    _folder: tempfile::TempDir,
    catalog: Catalog,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        Self { _folder: folder, catalog }
    }

    async fn enrol(&self, host: &str) -> EndpointId {
        let token =
            self.catalog.create_enrolment_token(at(0), "admin", 10_000_000_000).await.unwrap();
        self.catalog.enrol(at(0), &token.secret, host).await.unwrap().unwrap()
    }

    async fn take(&self, second: i64, id: EndpointId, delta: &Delta) -> u64 {
        self.catalog.take_inventory(at(second), id, delta).await.unwrap()
    }

    /// Paths of a host's executables that are there.
    async fn paths(&self, id: EndpointId) -> Vec<String> {
        let filter = InventoryFilter::default();
        let page = (None, 100);
        let found = self.catalog.inventory(id, ItemKind::Executable, &filter, page).await.unwrap();
        found.iter().map(|record| record.item.key()).collect()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + second * 1_000)
}

fn file(path: &str, hash: char) -> Item {
    Item::Executable(Executable {
        path: path.to_owned(),
        sha256: Some(hash.to_string().repeat(64)),
        hash_missing: None,
        format: Format::Elf,
        size: 1,
        mode: 0o755,
        uid: 0,
        modified: at(0),
        package: None,
        integrity: None,
    })
}

fn delta((base, generation): (u64, u64), stage: Stage, set: Vec<Item>, removed: &[&str]) -> Delta {
    let removed = removed.iter().map(|path| (ItemKind::Executable, (*path).to_owned()));
    Delta { base, generation, stage, surveys: Vec::new(), set, removed: removed.collect() }
}

#[tokio::test]
async fn a_delta_is_applied_on_the_generation_it_builds_on_and_on_no_other() {
    let world = World::new().await;
    let id = world.enrol("h1").await;
    let first = delta((0, 10), Stage::Whole, vec![file("/a", 'a'), file("/b", 'b')], &[]);
    assert_eq!(world.take(1, id, &first).await, 10);
    let foreign = delta((9, 11), Stage::Change, vec![file("/c", 'c')], &["/a"]);
    assert_eq!(world.take(2, id, &foreign).await, 10, "it says what it holds");
    assert_eq!(world.paths(id).await, ["/a", "/b"]);
    let next = delta((10, 12), Stage::Change, vec![file("/c", 'c')], &["/a"]);
    assert_eq!(world.take(3, id, &next).await, 12);
    assert_eq!(world.take(4, id, &next).await, 12, "again changes nothing");
    assert_eq!(world.paths(id).await, ["/b", "/c"]);
    let stranger = world.catalog.take_inventory(at(1), EndpointId::from_u128(9), &first).await;
    assert!(matches!(stranger, Err(CatalogError::NotFound(_))));
}

#[tokio::test]
async fn a_whole_inventory_in_parts_removes_what_it_does_not_name_at_its_end() {
    let world = World::new().await;
    let id = world.enrol("h1").await;
    let before = vec![file("/same", 'a'), file("/goes", 'b'), file("/changes", 'c')];
    world.take(1, id, &delta((0, 10), Stage::Whole, before, &[])).await;
    world.take(2, id, &delta((0, 20), Stage::First, vec![file("/same", 'a')], &[])).await;
    let state = world.catalog.inventory_state(id).await.unwrap().unwrap();
    assert!(!state.whole, "on its way");
    assert_eq!(world.paths(id).await.len(), 3, "until its end the old ones stay");
    world.take(3, id, &delta((20, 21), Stage::Last, vec![file("/changes", 'd')], &[])).await;
    assert_eq!(world.paths(id).await, ["/changes", "/same"]);
    assert!(world.catalog.inventory_state(id).await.unwrap().unwrap().whole);
    let all = InventoryFilter { gone: true, ..InventoryFilter::default() };
    let all = world.catalog.inventory(id, ItemKind::Executable, &all, (None, 9)).await.unwrap();
    let of = |path: &str| all.iter().find(|record| record.item.key() == path).unwrap();
    assert_eq!((of("/same").first_seen, of("/same").updated), (at(1), at(1)), "no younger");
    assert_eq!((of("/changes").first_seen, of("/changes").updated), (at(1), at(3)));
    assert_eq!(of("/goes").gone, Some(at(3)));
    // It comes back: known again, and of old.
    world.take(4, id, &delta((21, 22), Stage::Change, vec![file("/goes", 'b')], &[])).await;
    let found =
        world.catalog.find_files(&FileFilter::Path("/goes".into()), (None, 9)).await.unwrap();
    assert_eq!((found[0].first_seen, found[0].updated, found[0].gone), (at(1), at(4), None));
    // What went long ago is forgotten.
    world.take(5, id, &delta((22, 23), Stage::Change, vec![], &["/goes"])).await;
    let later = 91 * 24 * 3_600;
    world.take(later, id, &delta((23, 24), Stage::Change, vec![file("/new", 'e')], &[])).await;
    let found =
        world.catalog.find_files(&FileFilter::Path("/goes".into()), (None, 9)).await.unwrap();
    assert_eq!(found, []);
}

#[tokio::test]
async fn a_file_is_found_over_the_fleet_by_hash_and_by_path() {
    let world = World::new().await;
    let mut ids = [world.enrol("h1").await, world.enrol("h2").await, world.enrol("h3").await];
    ids.sort_by_key(ToString::to_string);
    for id in ids {
        let set = vec![file("/tmp/a", 'a'), file("/tmp/b_c", 'a'), file("/tmp/bxc", 'b')];
        world.take(1, id, &delta((0, 1), Stage::Whole, set, &[])).await;
    }
    let hash = FileFilter::Sha256("a".repeat(64));
    let mut found = Vec::new();
    let mut after: Option<(EndpointId, String)> = None;
    loop {
        let place = after.as_ref().map(|(id, key)| (*id, key.as_str()));
        let page = world.catalog.find_files(&hash, (place, 2)).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.endpoint, last.item.key()));
        found.extend(page.into_iter().map(|record| (record.endpoint, record.item.key())));
    }
    let expected: Vec<_> = ids
        .iter()
        .flat_map(|id| [(*id, "/tmp/a".to_owned()), (*id, "/tmp/b_c".to_owned())])
        .collect();
    assert_eq!(found, expected, "each once, over pages");
    let count = async |path: &str| {
        let filter = FileFilter::Path(path.to_owned());
        world.catalog.find_files(&filter, (None, 100)).await.unwrap().len()
    };
    assert_eq!(count("/tmp/b_c").await, 3);
    assert_eq!(count("*/b_c").await, 3, "an underscore is one, not any character");
    assert_eq!(count("/tmp/*").await, 9);
    assert_eq!(count("/tmp/").await, 0);
    world.catalog.remove_endpoint(at(2), "admin", ids[0]).await.unwrap();
    assert_eq!(count("/tmp/*").await, 6, "a removed endpoint has none");
    assert_eq!(world.catalog.inventory_states().await.unwrap().len(), 2);
}

#[tokio::test]
async fn surveys_are_kept_by_kind_and_begin_anew_with_a_whole_inventory() {
    let world = World::new().await;
    let id = world.enrol("h1").await;
    let survey = |kind, items| Survey {
        kind,
        taken: Some(at(1)),
        items,
        places: vec!["/usr".to_owned()],
        left_out: Vec::new(),
        missing: None,
    };
    let mut first = delta((0, 1), Stage::Whole, vec![file("/a", 'a')], &[]);
    first.surveys = vec![survey(ItemKind::Executable, 1), survey(ItemKind::User, 2)];
    world.take(1, id, &first).await;
    let mut second = delta((1, 2), Stage::Change, vec![], &[]);
    second.surveys = vec![survey(ItemKind::User, 3)];
    world.take(2, id, &second).await;
    let state = world.catalog.inventory_state(id).await.unwrap().unwrap();
    let items: Vec<_> = state.surveys.iter().map(|survey| (survey.kind, survey.items)).collect();
    assert_eq!(items, [(ItemKind::Executable, 1), (ItemKind::User, 3)]);
    assert_eq!(state.updated, at(2));
    let counts = world.catalog.inventory_counts(id).await.unwrap();
    assert_eq!((counts[&ItemKind::Executable], counts[&ItemKind::User]), (1, 0));
    world.take(3, id, &delta((0, 3), Stage::Whole, vec![], &[])).await;
    assert_eq!(world.catalog.inventory_state(id).await.unwrap().unwrap().surveys, []);
}
