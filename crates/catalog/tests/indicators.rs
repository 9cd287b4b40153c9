//! Indicators, the documents they came in, their sightings: through the catalog's public door.

use std::sync::Arc;

use metsuke_catalog::{
    Catalog, Detected, ImportState, IndicatorFilter, IndicatorPatch, IndicatorRecord, LookBack,
    NewImport, NewSighting, Place, SightingFilter,
};
use metsuke_event::{EndpointId, EventId, Timestamp};
use metsuke_intel::{Action, Context, Indicator, Kind};

const HOUR: i64 = 3_600_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn catalog() -> (Catalog, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("works");
    (Catalog::open(&folder.path().join("catalog.db")).await.expect("works"), folder)
}

fn indicator(value: &str, source: &str, action: Action) -> Indicator {
    let context = Context { source: source.into(), action, ..Context::default() };
    Indicator {
        kind: Kind::Domain,
        value: value.into(),
        context: Arc::new(context),
        object: Some("line 1".into()),
        first_seen: None,
        last_seen: None,
        expires: None,
    }
}

async fn import(catalog: &Catalog, document: &str, indicators: &[Indicator]) -> i64 {
    let new = NewImport {
        source: indicators[0].context.source.to_string(),
        document: Some(document.to_owned()),
        format: "list".to_owned(),
        action: Action::Alert,
        actor: "ann".to_owned(),
        total: indicators.len() as u64,
        refused: 0,
    };
    let id = catalog.begin_import(at(1), &new).await.expect("works");
    let added = catalog.add_indicators(at(1), id, indicators, None).await.expect("works");
    catalog.import_taken(id, added).await.expect("works");
    id
}

async fn all(catalog: &Catalog) -> Vec<IndicatorRecord> {
    catalog.indicators(&IndicatorFilter::default(), 10_000).await.expect("works")
}

fn sighting(place: Place, endpoint: u128, millis: i64) -> NewSighting {
    NewSighting {
        kind: Kind::Domain,
        indicator: "evil.example".into(),
        source: "feed".into(),
        seen: "www.evil.example".into(),
        field: "query.hostname".into(),
        place,
        endpoint: EndpointId::from_u128(endpoint),
        event: Some(EventId { seq: 7, ..EventId::default() }),
        process: None,
        first: at(millis),
        last: at(millis),
        count: 1,
    }
}

#[tokio::test]
async fn a_document_taken_again_changes_rows_and_makes_none() {
    let (catalog, _folder) = catalog().await;
    let mut list: Vec<_> =
        (0..2_500).map(|n| indicator(&format!("d{n}.example"), "feed", Action::Alert)).collect();
    let first = import(&catalog, "monday", &list).await;
    assert_eq!(catalog.indicator_count().await.unwrap(), 2_500);
    let serial = catalog.indicator_serial().await.unwrap();
    assert!(serial > 0);
    list.truncate(10);
    list.push(indicator("d0.example", "another", Action::Allow));
    list.push(indicator("d0.example", "another", Action::Allow));
    list[0].expires = Some(at(HOUR));
    let second = import(&catalog, "tuesday", &list).await;
    assert!(catalog.indicator_serial().await.unwrap() > serial);
    assert_eq!(catalog.indicator_count().await.unwrap(), 2_501);
    let record = catalog.import(second).await.unwrap().unwrap();
    assert_eq!((record.fresh, record.known, record.state), (1, 10, ImportState::Looking));
    let said = catalog.indicators_of(Kind::Domain, "d0.example").await.unwrap();
    assert_eq!(said.len(), 2);
    assert_eq!((said[0].first_import, said[0].last_import), (first, second));
    assert_eq!(said[0].expires, Some(at(HOUR)));
    assert_eq!(said[1].action, Action::Allow);
    let expired = IndicatorFilter { expired: Some((at(HOUR), true)), ..IndicatorFilter::default() };
    assert_eq!(catalog.indicators(&expired, 10).await.unwrap().len(), 1);
    let part = IndicatorFilter { part: Some("D249_".into()), ..IndicatorFilter::default() };
    assert_eq!(catalog.indicators(&part, 99).await.unwrap(), [], "`_` means itself");
    let part = IndicatorFilter { part: Some("D249".into()), ..IndicatorFilter::default() };
    assert_eq!(catalog.indicators(&part, 99).await.unwrap().len(), 11);
    let open = catalog.open_imports().await.unwrap();
    assert_eq!(open.iter().map(|import| import.id).collect::<Vec<_>>(), [first, second]);
    catalog.import_looked(first, LookBack::default(), Some(Ok(()))).await.unwrap();
    assert_eq!(catalog.open_imports().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sighting_is_one_row_an_hour_and_its_indicator_knows_the_earliest() {
    let (catalog, _folder) = catalog().await;
    import(&catalog, "doc", &[indicator("evil.example", "feed", Action::Block)]).await;
    let mut unknown = sighting(Place::Stream, 1, 9 * HOUR);
    unknown.source = "nobody".into();
    let met =
        [sighting(Place::Stream, 1, 9 * HOUR), sighting(Place::Stream, 1, 9 * HOUR + 5), unknown];
    let found = Detected { sightings: met.to_vec(), ..Detected::default() };
    catalog.store_detected(at(10 * HOUR), found).await.unwrap();
    let rows = catalog.sightings(&SightingFilter::default(), 10).await.unwrap();
    assert_eq!(rows.len(), 1, "an hour, and no indicator of nobody's: {rows:?}");
    assert_eq!((rows[0].count, rows[0].first, rows[0].last), (2, at(9 * HOUR), at(9 * HOUR + 5)));
    assert_eq!((rows[0].action, rows[0].place), (Action::Block, Place::Stream));
    assert_eq!(rows[0].event.map(|event| event.seq), Some(7));
    // Looking back finds the same again, something before it, and a file on another host.
    let back = [
        sighting(Place::History, 1, 9 * HOUR),
        sighting(Place::History, 1, 2 * HOUR),
        sighting(Place::Inventory, 2, 4 * HOUR),
    ];
    assert_eq!(catalog.store_sightings(at(11 * HOUR), &back).await.unwrap(), 2);
    assert_eq!(catalog.store_sightings(at(11 * HOUR), &back).await.unwrap(), 0);
    let record = all(&catalog).await.remove(0);
    assert_eq!((record.sightings, record.last_sighted), (3, Some(at(9 * HOUR + 5))));
    let earliest = record.earliest.clone().unwrap();
    assert_eq!((earliest.time, earliest.place), (at(2 * HOUR), Place::History));
    assert_eq!(earliest.endpoint, EndpointId::from_u128(1));
    assert_eq!(catalog.prune_sightings(1).await.unwrap(), 2);
    let record = catalog.indicator(record.id).await.unwrap().unwrap();
    assert_eq!(record.earliest, Some(earliest), "it outlives the rows");
}

#[tokio::test]
async fn changes_are_logged_and_a_source_goes_as_a_whole() {
    let (catalog, _folder) = catalog().await;
    import(&catalog, "doc", &[indicator("a.example", "feed", Action::Alert)]).await;
    import(&catalog, "ours", &[indicator("a.example", "ours", Action::Allow)]).await;
    let id = all(&catalog).await[1].id;
    let patch = IndicatorPatch {
        action: Some(Action::Block),
        confidence: Some(90),
        expires: Some(Some(at(HOUR))),
        note: Some("looked at".into()),
    };
    let changed = catalog.change_indicator(at(5), "ann", id, &patch).await.unwrap();
    assert_eq!((changed.action, changed.confidence), (Action::Block, Some(90)));
    assert!(changed.is_expired(at(HOUR)) && !changed.is_expired(at(HOUR - 1)));
    assert_eq!(changed.note.as_deref(), Some("looked at"));
    let sources = catalog.indicator_sources(at(HOUR)).await.unwrap();
    let told: Vec<_> =
        sources.iter().map(|one| (one.source.as_str(), one.count, one.active)).collect();
    assert_eq!(told, [("feed", 1, 0), ("ours", 1, 1)]);
    assert_eq!(catalog.remove_indicator_source(at(6), "ann", "feed").await.unwrap(), 1);
    assert!(catalog.remove_indicator_source(at(6), "ann", "feed").await.is_err());
    catalog.remove_indicator(at(7), "ann", all(&catalog).await[0].id).await.unwrap();
    assert_eq!(all(&catalog).await, []);
    let log = catalog.audit_entries(None, 10).await.unwrap();
    let deeds: Vec<_> = log.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        deeds,
        [
            "indicators.import",
            "indicators.import",
            "indicator.change",
            "indicators.source_remove",
            "indicator.remove"
        ]
    );
    assert!(catalog.verify_audit().await.unwrap().is_ok());
}
