//! A store that breaks down costs the batch it was at, which comes again, and nothing else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use metsuke_catalog::Catalog;
use metsuke_control::{Control, Library};
use metsuke_event::{BootId, EndpointId, Event, Kind};
use metsuke_ingest::{Detector, HighWater, Intake, Metrics, SensorHandler, Store, StoreError};
use metsuke_link::server::{Handler, HandlerError};
use metsuke_respond::Policy;

const BOOT: BootId = BootId::from_u128(3);

#[derive(Default)]
struct Brittle {
    broken: AtomicBool,
    stored: AtomicUsize,
}

#[async_trait]
impl Store for Brittle {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        assert!(!self.broken.load(Ordering::SeqCst), "the store breaks down");
        self.stored.fetch_add(events.len(), Ordering::SeqCst);
        Ok(())
    }

    fn high_water(&self) -> HighWater {
        HighWater::new()
    }

    async fn events_after(
        &self,
        _boot: (EndpointId, BootId),
        _seq: u64,
        _limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        Ok(Vec::new())
    }
}

fn batch(range: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    range
        .map(|seq| {
            let mut event = Event::empty(Kind::ProcessExec);
            event.id.seq = seq;
            event
        })
        .collect()
}

#[tokio::test]
async fn a_store_that_breaks_down_is_counted_and_the_batch_is_taken_when_it_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let library = Library::open(catalog.clone(), Vec::new()).await.unwrap();
    let control = Control::new(catalog.clone(), &library, Policy::default());
    let (store, metrics) = (Arc::new(Brittle::default()), Arc::new(Metrics::default()));
    let (detect, mut queue) = Detector::queue();
    let intake = Intake::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&metrics));
    let handler = SensorHandler::new(catalog, control, intake, (detect, Arc::clone(&metrics)));
    let endpoint = EndpointId::from_u128(1);

    store.broken.store(true, Ordering::SeqCst);
    let refused = handler.batch(endpoint, BOOT, batch(1..=5)).await;
    assert!(matches!(refused, Err(HandlerError::Unavailable(_))), "{refused:?}");
    assert_eq!(metrics.append_failures.load(Ordering::SeqCst), 1);
    let refusal = metrics.refusals.now().expect("what cannot store says so");
    assert!(refusal.reason.contains("broke down"), "{refusal:?}");
    assert!(queue.try_recv().is_err(), "nothing is detected on that is not stored");

    store.broken.store(false, Ordering::SeqCst);
    assert_eq!(handler.batch(endpoint, BOOT, batch(1..=5)).await.unwrap(), 5);
    assert_eq!(metrics.refusals.now(), None, "over with the first batch that is stored");
    assert_eq!(handler.batch(endpoint, BOOT, batch(6..=9)).await.unwrap(), 9);
    assert_eq!(store.stored.load(Ordering::SeqCst), 9);
    assert_eq!(queue.try_recv().unwrap().len() + queue.try_recv().unwrap().len(), 9);
}
