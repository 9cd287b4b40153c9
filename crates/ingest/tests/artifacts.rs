//! Artifacts: only what was asked for is taken, whole or not at all, also over a restart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use metsuke_catalog::clock::now;
use metsuke_catalog::{ArtifactFilter, Catalog};
use metsuke_control::{Control, Order, Target};
use metsuke_event::id::PlanId;
use metsuke_event::{BootId, EndpointId, Event, Timestamp};
use metsuke_ingest::{
    ArtifactFolder, Detector, HighWater, Intake, Metrics, SensorHandler, Store, StoreError,
};
use metsuke_link::artifact::{ArtifactAnswer, ArtifactPart, Offer};
use metsuke_link::message::Bundle;
use metsuke_link::server::Handler;
use metsuke_respond::{Policy, Verb};
use sha2::{Digest, Sha256};

/// Nothing is stored here but artifacts.
struct Nowhere;

#[async_trait]
impl Store for Nowhere {
    async fn append(&self, _: Vec<Event>) -> Result<(), StoreError> {
        Err(StoreError::Later("not in this world".into()))
    }

    fn high_water(&self) -> HighWater {
        HighWater::new()
    }

    async fn events_after(
        &self,
        _: (EndpointId, BootId),
        _: u64,
        _: usize,
    ) -> Result<Vec<Event>, StoreError> {
        Ok(Vec::new())
    }
}

struct World {
    folder: tempfile::TempDir,
    catalog: Catalog,
    control: Control,
    handler: SensorHandler,
    endpoint: EndpointId,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let token = catalog.create_enrolment_token(now(), "server", 1_000_000_000_000).await;
        let endpoint = catalog.enrol(now(), &token.unwrap().secret, "h1").await.unwrap().unwrap();
        let control = Control::new(catalog.clone(), Bundle::default(), Policy::default());
        let handler = Self::handler(&catalog, &control, folder.path());
        Self { folder, catalog, control, handler, endpoint }
    }

    fn handler(catalog: &Catalog, control: &Control, folder: &std::path::Path) -> SensorHandler {
        let metrics: Arc<Metrics> = Arc::default();
        let intake = Intake::new(Arc::new(Nowhere), Arc::clone(&metrics));
        let queue = Detector::queue().0;
        let artifacts = ArtifactFolder::open(&folder.join("artifacts")).unwrap();
        let handler =
            SensorHandler::new(catalog.clone(), control.clone(), intake, (queue, metrics));
        handler.keeping(artifacts)
    }

    fn restart(&mut self) {
        self.handler = Self::handler(&self.catalog, &self.control, self.folder.path());
    }

    /// A plan that lets `max_bytes` be collected.
    async fn plan(&self, max_bytes: u64) -> PlanId {
        let target = Target::Take(Verb::Collect { path: "/etc/hosts".to_owned(), max_bytes });
        let order = Order {
            target,
            endpoint: self.endpoint,
            reason: "test".to_owned(),
            actor: "ann".to_owned(),
            alert: None,
            ttl_s: 60,
        };
        self.control.order(order).await.unwrap().id
    }

    async fn offer(&self, plan: PlanId, bytes: &[u8]) -> ArtifactAnswer {
        self.offer_of(self.endpoint, plan, bytes).await
    }

    async fn offer_of(&self, endpoint: EndpointId, plan: PlanId, bytes: &[u8]) -> ArtifactAnswer {
        let offer = Offer {
            plan,
            kind: "file".to_owned(),
            name: "/etc/hosts".to_owned(),
            size: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
            taken: Timestamp::from_millis(1),
            meta: r#"{"mode":420}"#.to_owned(),
        };
        self.handler.artifact(endpoint, ArtifactPart::Offer(offer)).await.unwrap()
    }

    async fn chunk(&self, plan: PlanId, offset: u64, data: &[u8]) -> ArtifactAnswer {
        let data = data.to_vec().into();
        let part = ArtifactPart::Chunk { plan, offset, data };
        self.handler.artifact(self.endpoint, part).await.unwrap()
    }

    fn kept(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let folder = ArtifactFolder::open(&self.folder.path().join("artifacts")).unwrap();
        std::fs::read(folder.path(&sha256)).ok()
    }
}

#[track_caller]
fn refused(answer: &ArtifactAnswer, why: &str) {
    match answer {
        ArtifactAnswer::Refused { reason, later: false, .. } => {
            assert!(reason.contains(why), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_artifact_is_resumed_after_a_restart_and_kept_under_its_hash() {
    let mut world = World::new().await;
    let plan = world.plan(1_000).await;
    let bytes = b"first second third";
    let wanted = |offset| ArtifactAnswer::Wanted { plan, offset };
    assert_eq!(world.offer(plan, bytes).await, wanted(0));
    assert_eq!(world.chunk(plan, 0, b"first ").await, wanted(6));
    assert_eq!(world.chunk(plan, 9, b"third").await, wanted(6), "what is not wanted is not taken");
    assert!(world.catalog.artifact(plan).await.unwrap().is_none(), "it is not whole");
    world.restart();
    let lost = world.chunk(plan, 6, b"second ").await;
    assert!(matches!(lost, ArtifactAnswer::Refused { later: true, .. }), "{lost:?}");
    assert_eq!(world.offer(plan, bytes).await, wanted(6));
    assert_eq!(world.chunk(plan, 6, b"second ").await, wanted(13));
    assert_eq!(world.chunk(plan, 13, b"third").await, ArtifactAnswer::Stored { plan });
    assert_eq!(world.kept(bytes).as_deref(), Some(&bytes[..]));
    let row = world.catalog.artifact(plan).await.unwrap().unwrap();
    assert_eq!((row.size, row.endpoint, &row.meta["mode"]), (18, world.endpoint, &420.into()));
    // The answer was lost: the sensor offers it again.
    assert_eq!(world.offer(plan, bytes).await, ArtifactAnswer::Stored { plan });
    refused(&world.offer(plan, b"something else").await, "another artifact");
}

#[tokio::test]
async fn only_what_a_plan_of_the_endpoint_asked_for_is_taken() {
    let world = World::new().await;
    let plan = world.plan(4).await;
    refused(&world.offer(PlanId::from_u128(77), b"x").await, "no plan");
    refused(&world.offer_of(EndpointId::from_u128(9), plan, b"x").await, "no plan");
    refused(&world.offer(plan, b"12345").await, "the plan allows 4");
    world.control.cancel(plan, "ann").await.unwrap();
    refused(&world.offer(plan, b"1234").await, "cancelled");
    assert!(world.catalog.artifacts(&ArtifactFilter::default(), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn bytes_of_another_hash_are_asked_for_once_more_and_then_refused() {
    let world = World::new().await;
    let plan = world.plan(1_000).await;
    assert_eq!(world.offer(plan, b"right").await, ArtifactAnswer::Wanted { plan, offset: 0 });
    let again = world.chunk(plan, 0, b"wrong").await;
    assert_eq!(again, ArtifactAnswer::Wanted { plan, offset: 0 });
    refused(&world.chunk(plan, 0, b"wrong").await, "hash");
    assert_eq!(world.kept(b"wrong"), None);
    assert_eq!(world.offer(plan, b"right").await, ArtifactAnswer::Wanted { plan, offset: 0 });
    assert_eq!(world.chunk(plan, 0, b"right").await, ArtifactAnswer::Stored { plan });
    assert_eq!(world.kept(b"right").as_deref(), Some(&b"right"[..]));
}
