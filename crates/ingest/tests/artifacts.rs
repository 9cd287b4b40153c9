//! Artifacts: only what was asked for is taken, whole or not at all, also over a restart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metsuke_catalog::clock::now;
use metsuke_catalog::{ArtifactFilter, ArtifactsKept, Catalog};
use metsuke_control::{Control, Library, Order, Target};
use metsuke_event::id::PlanId;
use metsuke_event::{BootId, EndpointId, Event, Timestamp};
use metsuke_ingest::{
    ArtifactFolder, Detector, HighWater, Intake, Metrics, SensorHandler, Store, StoreError,
};
use metsuke_link::artifact::{ArtifactAnswer, ArtifactPart, Offer};
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
        let library = Library::open(catalog.clone(), Vec::new()).await.unwrap();
        let control = Control::new(catalog.clone(), &library, Policy::default());
        let handler = Self::handler(&catalog, &control, folder.path());
        Self { folder, catalog, control, handler, endpoint }
    }

    fn handler(catalog: &Catalog, control: &Control, folder: &std::path::Path) -> SensorHandler {
        Self::handler_free(catalog, control, folder, 0)
    }

    /// One that leaves so many bytes of the disk free.
    fn handler_free(
        catalog: &Catalog,
        control: &Control,
        folder: &std::path::Path,
        free_bytes: u64,
    ) -> SensorHandler {
        let metrics: Arc<Metrics> = Arc::default();
        let intake = Intake::new(Arc::new(Nowhere), Arc::clone(&metrics));
        let queue = Detector::queue().0;
        let artifacts = ArtifactFolder::open(&folder.join("artifacts")).unwrap();
        let handler =
            SensorHandler::new(catalog.clone(), control.clone(), intake, (queue, metrics));
        handler.keeping_free(artifacts, free_bytes)
    }

    fn restart(&mut self) {
        self.handler = Self::handler(&self.catalog, &self.control, self.folder.path());
    }

    /// A plan that lets `max_bytes` be collected.
    async fn plan(&self, max_bytes: u64) -> PlanId {
        self.plan_of(self.endpoint, max_bytes).await
    }

    async fn plan_of(&self, endpoint: EndpointId, max_bytes: u64) -> PlanId {
        let target = Target::Take(Verb::Collect { path: "/etc/hosts".to_owned(), max_bytes });
        let order = Order {
            target,
            endpoint,
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

/// Stores an artifact of these bytes; says which plan brought it.
async fn stored(world: &World, bytes: &[u8]) -> PlanId {
    let plan = world.plan(1_000).await;
    assert_eq!(world.offer(plan, bytes).await, ArtifactAnswer::Wanted { plan, offset: 0 });
    assert_eq!(world.chunk(plan, 0, bytes).await, ArtifactAnswer::Stored { plan });
    plan
}

#[tokio::test]
async fn too_many_bytes_and_too_old_artifacts_go_and_shared_bytes_stay() {
    let world = World::new().await;
    let folder = ArtifactFolder::open(&world.folder.path().join("artifacts")).unwrap();
    let old = stored(&world, b"shared bytes").await;
    let middle = stored(&world, b"bytes of the middle").await;
    let new = stored(&world, b"shared bytes").await;
    let left = async || {
        let all = world.catalog.artifacts(&ArtifactFilter::default(), 9).await.unwrap();
        all.into_iter().map(|artifact| artifact.plan).collect::<Vec<_>>()
    };
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let keep = |age, bytes| ArtifactsKept { age, bytes };
    let prune = async |kept| folder.prune(&world.catalog, kept).await.unwrap();
    assert_eq!(prune(keep(days(9), 43)).await, 0, "12 + 19 + 12 bytes fit");
    assert_eq!(prune(keep(days(9), 42)).await, 1);
    assert_eq!(left().await, [new, middle]);
    assert!(world.kept(b"shared bytes").is_some(), "the newest has them, too");
    assert_eq!(prune(keep(days(9), 30)).await, 1);
    assert_eq!((left().await, world.kept(b"bytes of the middle")), (vec![new], None));
    // A file without a row: a crash between the two.
    let orphan = folder.path(&"a".repeat(64));
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, "x").unwrap();
    assert_eq!(prune(keep(Duration::ZERO, u64::MAX)).await, 1, "too old at once");
    assert!(left().await.is_empty() && world.kept(b"shared bytes").is_none() && !orphan.exists());
    let entries = world.catalog.audit_entries(None, 3).await.unwrap();
    let said: Vec<_> = entries.iter().map(|one| (one.action.as_str(), &one.target)).collect();
    let [newest, second, first] = [new, middle, old].map(|plan| plan.to_string());
    assert_eq!(
        said,
        ["artifact.prune"; 3].into_iter().zip([&newest, &second, &first]).collect::<Vec<_>>()
    );
    assert!(entries[0].detail.contains("too old") && entries[2].detail.contains("too many"));
}

#[tokio::test]
async fn uploads_side_by_side_do_not_take_the_same_room() {
    const COMING: u64 = 1 << 30;
    let mut world = World::new().await;
    let token = world.catalog.create_enrolment_token(now(), "server", 1_000_000_000_000).await;
    let other = world.catalog.enrol(now(), &token.unwrap().secret, "h2").await.unwrap().unwrap();
    // Room for one and a half of what is coming; other writers of this disk have that half.
    let free = rustix::fs::statvfs(world.folder.path()).unwrap();
    let free = free.f_bavail * free.f_frsize;
    let Some(reserve) = free.checked_sub(COMING + COMING / 2) else {
        eprintln!("NOT RUN: uploads_side_by_side_do_not_take_the_same_room: the disk is full");
        return;
    };
    world.handler =
        World::handler_free(&world.catalog, &world.control, world.folder.path(), reserve);
    let first = world.plan(COMING).await;
    let offer = |plan, size| Offer {
        plan,
        kind: "file".to_owned(),
        name: "/etc/hosts".to_owned(),
        size,
        sha256: "b".repeat(64),
        taken: Timestamp::from_millis(1),
        meta: "{}".to_owned(),
    };
    let send = async |endpoint, offer| {
        world.handler.artifact(endpoint, ArtifactPart::Offer(offer)).await.unwrap()
    };
    let wanted = ArtifactAnswer::Wanted { plan: first, offset: 0 };
    assert_eq!(send(world.endpoint, offer(first, COMING)).await, wanted);
    assert_eq!(send(world.endpoint, offer(first, COMING)).await, wanted, "its own room is its own");
    let second = world.plan_of(other, COMING).await;
    let refused = send(other, offer(second, COMING)).await;
    let is_later = |answer: &ArtifactAnswer| matches!(answer, ArtifactAnswer::Refused { later: true, reason, .. } if reason.contains("room"));
    assert!(is_later(&refused), "{refused:?}");
    // The first is away: its room is free.
    world.handler.gone(world.endpoint).await;
    let taken = send(other, offer(second, COMING)).await;
    assert_eq!(taken, ArtifactAnswer::Wanted { plan: second, offset: 0 });
}
