//! A server in a runtime of its own, so that it can be killed; a handler that remembers across such
//! kills, as a disk would; a sensor's side of a session.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use metsuke_event::inventory::Delta;
use metsuke_event::{BootId, EndpointId, Event, Kind, Timestamp};
use metsuke_link::Identity;
use metsuke_link::artifact::{ArtifactAnswer, ArtifactPart, Offer};
use metsuke_link::ca::Authority;
use metsuke_link::client::{Backoff, Client, Delegate, LinkState, Outbox, RefusedBatch};
use metsuke_link::codec::encode;
use metsuke_link::enrol::{EnrolFailure, enrol};
use metsuke_link::inventory;
use metsuke_link::message::{Downstream, EnrolFacts, Heartbeat, Hello, PackVersions, PlanUpdate};
use metsuke_link::server::{Counters, EnrolError, Handler, HandlerError, ServerConfig, serve};
use metsuke_link::spool::{SharedSpool, Spool, SpoolConfig};
use metsuke_respond::PlanId;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What the server knows; it outlives the server.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) tokens: Mutex<HashMap<String, bool>>,
    /// Every identity taken, in order per boot.
    pub(crate) stored: Mutex<HashMap<(EndpointId, BootId), Vec<u64>>>,
    /// Activities that had come before.
    pub(crate) repeated: AtomicU64,
    pub(crate) hellos: Mutex<Vec<Hello>>,
    pub(crate) heartbeats: AtomicU64,
    pub(crate) updates: Mutex<Vec<PlanUpdate>>,
    pub(crate) orders: Mutex<Vec<Downstream>>,
    pub(crate) log: Mutex<Vec<String>>,
    /// So many batches are not taken now.
    pub(crate) unavailable: AtomicU64,
    /// So many batches are refused for good.
    pub(crate) refuse: AtomicU64,
    /// Artifacts as far as they have come: what was offered, and the bytes.
    pub(crate) artifacts: Mutex<HashMap<PlanId, (Offer, Vec<u8>)>>,
    pub(crate) offers: AtomicU64,
    /// Inventory messages, in the order in which they came.
    pub(crate) inventory: Mutex<Vec<Delta>>,
    /// The generation held; of all endpoints together, for the tests have one.
    pub(crate) generation: Mutex<u64>,
    /// So many inventory messages are refused for good.
    pub(crate) refuse_inventory: AtomicU64,
    /// A batch that is stored is not answered while this is locked.
    pub(crate) slow: tokio::sync::Mutex<()>,
    enrolled: AtomicU64,
}

fn take_one(counter: &AtomicU64) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

impl Memory {
    fn say(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    pub(crate) fn count(&self) -> usize {
        self.stored.lock().unwrap().values().map(Vec::len).sum()
    }

    pub(crate) fn sequences(&self) -> BTreeSet<u64> {
        self.stored.lock().unwrap().values().flatten().copied().collect()
    }
}

pub(crate) struct Recorder(pub(crate) Arc<Memory>);

#[async_trait]
impl Handler for Recorder {
    async fn enrol(&self, token: &str, facts: EnrolFacts) -> Result<EndpointId, EnrolError> {
        let mut tokens = self.0.tokens.lock().unwrap();
        match tokens.get_mut(token) {
            None => Err(EnrolError::UnknownToken),
            Some(true) => Err(EnrolError::UsedToken),
            Some(used) => {
                *used = true;
                let number = self.0.enrolled.fetch_add(1, Ordering::SeqCst) + 1;
                self.0.say(format!("enrolled {}", facts.host));
                Ok(EndpointId::from_u128(u128::from(number)))
            }
        }
    }

    async fn hello(&self, endpoint: EndpointId, hello: Hello) -> Result<(), HandlerError> {
        self.0.say(format!("hello {}", endpoint.as_u128()));
        self.0.hellos.lock().unwrap().push(hello);
        Ok(())
    }

    async fn batch(
        &self,
        endpoint: EndpointId,
        boot: BootId,
        events: Vec<Event>,
    ) -> Result<u64, HandlerError> {
        if take_one(&self.0.unavailable) {
            return Err(HandlerError::Unavailable("the disk is full".to_owned()));
        }
        if take_one(&self.0.refuse) {
            return Err(HandlerError::Refused("not today".to_owned()));
        }
        // A place to be killed at, before and after "the disk".
        tokio::task::yield_now().await;
        let high = {
            let mut stored = self.0.stored.lock().unwrap();
            let known = stored.entry((endpoint, boot)).or_default();
            let mut high = known.last().copied().unwrap_or(0);
            for event in events {
                assert_eq!(event.id.endpoint, endpoint, "the authenticated one");
                if event.id.seq <= high {
                    self.0.repeated.fetch_add(1, Ordering::SeqCst);
                } else {
                    known.push(event.id.seq);
                    high = event.id.seq;
                }
            }
            high
        };
        tokio::task::yield_now().await;
        drop(self.0.slow.lock().await);
        Ok(high)
    }

    async fn heartbeat(&self, _: EndpointId, _: Heartbeat) -> Result<(), HandlerError> {
        self.0.heartbeats.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn plan_update(&self, _: EndpointId, update: PlanUpdate) -> Result<(), HandlerError> {
        self.0.updates.lock().unwrap().push(update);
        Ok(())
    }

    async fn artifact(
        &self,
        _endpoint: EndpointId,
        part: ArtifactPart,
    ) -> Result<ArtifactAnswer, HandlerError> {
        let mut artifacts = self.0.artifacts.lock().unwrap();
        let plan = part.plan();
        match part {
            ArtifactPart::Offer(offer) if offer.kind == "unwelcome" => {
                let reason = "nobody asked for it".to_owned();
                return Ok(ArtifactAnswer::Refused { plan, reason, later: false });
            }
            ArtifactPart::Offer(offer) => {
                self.0.offers.fetch_add(1, Ordering::SeqCst);
                artifacts.entry(plan).or_insert((offer, Vec::new()));
            }
            ArtifactPart::Chunk { offset, data, .. } => {
                let (_, bytes) = artifacts.get_mut(&plan).expect("offered before");
                if usize::try_from(offset).unwrap() == bytes.len() {
                    bytes.extend_from_slice(&data);
                }
            }
        }
        let (offer, bytes) = &artifacts[&plan];
        let offset = bytes.len() as u64;
        Ok(if offset == offer.size {
            ArtifactAnswer::Stored { plan }
        } else {
            ArtifactAnswer::Wanted { plan, offset }
        })
    }

    async fn inventory(&self, _endpoint: EndpointId, delta: Delta) -> Result<u64, HandlerError> {
        if take_one(&self.0.refuse_inventory) {
            return Err(HandlerError::Refused("not today".to_owned()));
        }
        self.0.inventory.lock().unwrap().push(delta.clone());
        let mut held = self.0.generation.lock().unwrap();
        if delta.stage.begins() || *held == delta.base {
            *held = delta.generation;
        }
        Ok(*held)
    }

    async fn downstream(&self, _endpoint: EndpointId) -> mpsc::Receiver<Downstream> {
        let orders = self.0.orders.lock().unwrap().clone();
        let (sender, receiver) = mpsc::channel(64);
        for order in orders {
            sender.try_send(order).expect("room");
        }
        receiver
    }

    async fn gone(&self, endpoint: EndpointId) {
        self.0.say(format!("gone {}", endpoint.as_u128()));
    }
}

/// A server that can be killed and started again at the same address.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) address: SocketAddr,
    config: ServerConfig,
    server: Option<(Runtime, CancellationToken)>,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(ServerConfig::default())
    }

    /// With bounds of its own.
    pub(crate) fn start_with(config: ServerConfig) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let authority = Arc::new(Authority::open(&dir.path().join("ca")).expect("an authority"));
        let mut world = Self {
            dir,
            authority,
            memory: Arc::default(),
            counters: Arc::default(),
            address: ([127, 0, 0, 1], 0).into(),
            config,
            server: None,
        };
        world.start_server();
        world
    }

    pub(crate) fn start_server(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let address = self.address;
        // The port was ours a moment ago; old connections may take a moment to go.
        let bound = metsuke_testkit::wait::until("the port", LIMIT, || {
            Ok(std::net::TcpListener::bind(address).ok())
        });
        let listener = bound.expect("bound");
        listener.set_nonblocking(true).expect("non-blocking");
        let inside = runtime.enter();
        let listener = TcpListener::from_std(listener).expect("a listener");
        self.address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let config = ServerConfig {
            heartbeat: Duration::from_millis(100),
            counters: Arc::clone(&self.counters),
            ..self.config.clone()
        };
        let handler = Arc::new(Recorder(Arc::clone(&self.memory)));
        let serving = serve(listener, Arc::clone(&self.authority), handler, config, stop.clone());
        runtime.spawn(async move { serving.await.expect("serves") });
        drop(inside);
        self.server = Some((runtime, stop));
    }

    /// As `kill -9`: nothing is finished, nothing is said.
    pub(crate) fn kill_server(&mut self) {
        if let Some((runtime, _)) = self.server.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn token(&self, token: &str) {
        self.memory.tokens.lock().unwrap().insert(token.to_owned(), false);
    }

    pub(crate) async fn enrol(&self, token: &str) -> Result<Identity, EnrolFailure> {
        let facts = EnrolFacts { host: "one".to_owned(), ..EnrolFacts::default() };
        enrol(&self.address.to_string(), token, &self.authority.fingerprint(), facts).await
    }

    /// A sensor enrolled with a token of its own.
    pub(crate) async fn sensor(&self, name: &str) -> SensorSide {
        self.token(name);
        let identity = self.enrol(name).await.expect("enrols");
        SensorSide::new(identity, &self.dir.path().join(name))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_server();
    }
}

/// What a sensor's delegate saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) orders: Mutex<Vec<Downstream>>,
    pub(crate) refused: Mutex<Vec<RefusedBatch>>,
    pub(crate) updates: Mutex<Vec<PlanUpdate>>,
    pub(crate) states: Mutex<Vec<LinkState>>,
    /// What is to be said of the inventory, in order; the first stays until it was answered.
    pub(crate) inventory: Mutex<VecDeque<Delta>>,
    pub(crate) answers: Mutex<Vec<inventory::Seen>>,
    pub(crate) inventory_news: Arc<tokio::sync::Notify>,
    /// What waits for the server, and what became of the rest.
    pub(crate) waiting: Mutex<Vec<(Offer, Vec<u8>)>>,
    pub(crate) ended: Mutex<Vec<(PlanId, Option<String>)>>,
    /// From where bytes were asked for.
    pub(crate) reads: Mutex<Vec<u64>>,
}

impl Outbox for Seen {
    fn next(&self) -> Option<Offer> {
        self.waiting.lock().unwrap().first().map(|(offer, _)| offer.clone())
    }

    fn read(&self, plan: PlanId, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
        self.reads.lock().unwrap().push(offset);
        let waiting = self.waiting.lock().unwrap();
        let (_, bytes) = waiting.iter().find(|(offer, _)| offer.plan == plan).expect("offered");
        let start = usize::try_from(offset).unwrap();
        Ok(bytes[start..(start + length).min(bytes.len())].to_vec())
    }

    fn stored(&self, plan: PlanId) {
        self.waiting.lock().unwrap().retain(|(offer, _)| offer.plan != plan);
        self.ended.lock().unwrap().push((plan, None));
    }

    fn refused(&self, plan: PlanId, reason: &str, later: bool) {
        assert!(!later, "the tests refuse for good");
        self.waiting.lock().unwrap().retain(|(offer, _)| offer.plan != plan);
        self.ended.lock().unwrap().push((plan, Some(reason.to_owned())));
    }
}

impl Delegate for Seen {
    fn hello(&self) -> Hello {
        Hello {
            version: "1".to_owned(),
            host: "one".to_owned(),
            os: String::new(),
            kernel: String::new(),
            boot: BootId::from_u128(1),
            coverage: None,
            sent: Timestamp::default(),
            scope: "host".to_owned(),
            addresses: Vec::new(),
            content_version: String::new(),
            policy_version: 0,
            packs: PackVersions::default(),
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat::default()
    }

    fn plan_updates(&self) -> Vec<PlanUpdate> {
        self.updates.lock().unwrap().clone()
    }

    fn plan_seen(&self, plan: PlanId, revision: u32) {
        self.updates.lock().unwrap().retain(|u| u.plan != plan || u.revision > revision);
    }

    fn inventory(&self) -> Option<Delta> {
        self.inventory.lock().unwrap().front().cloned()
    }

    fn inventory_seen(&self, seen: inventory::Seen) {
        self.inventory.lock().unwrap().pop_front();
        self.answers.lock().unwrap().push(seen);
    }

    fn inventory_news(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.inventory_news)
    }

    fn order(&self, order: Downstream) {
        self.orders.lock().unwrap().push(order);
    }

    fn refused(&self, batch: RefusedBatch) {
        self.refused.lock().unwrap().push(batch);
    }

    fn state(&self, state: LinkState) {
        self.states.lock().unwrap().push(state);
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }
}

/// A sensor without a probe.
pub(crate) struct SensorSide {
    pub(crate) identity: Identity,
    pub(crate) spool: SharedSpool,
    pub(crate) seen: Arc<Seen>,
    pub(crate) plan_news: Arc<tokio::sync::Notify>,
    running: Option<(CancellationToken, JoinSet<()>)>,
}

impl SensorSide {
    pub(crate) fn new(identity: Identity, dir: &Path) -> Self {
        let config = SpoolConfig { segment_bytes: 4_096, ..SpoolConfig::new(dir.to_owned()) };
        Self {
            identity,
            spool: SharedSpool::new(Spool::open(config).expect("a spool")),
            seen: Arc::default(),
            plan_news: Arc::default(),
            running: None,
        }
    }

    /// Appends activities `first..=last` of boot `boot` as one batch.
    pub(crate) fn append(&self, boot: u128, first: u64, last: u64) {
        let events: Vec<Event> = (first..=last)
            .map(|seq| {
                let mut event = Event::empty(Kind::ProcessExec);
                event.id.boot = BootId::from_u128(boot);
                event.id.seq = seq;
                event
            })
            .collect();
        self.spool.append(&encode(&events).expect("a batch"));
    }

    pub(crate) fn run(&mut self) {
        let client = Client {
            identity: self.identity.clone(),
            backoff: Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50) },
            plan_news: Arc::clone(&self.plan_news),
        };
        let stop = CancellationToken::new();
        let (spool, seen, stopped) =
            (self.spool.clone(), Arc::clone(&self.seen) as Arc<dyn Delegate>, stop.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { client.run(spool, seen, stopped).await });
        self.running = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((stop, mut task)) = self.running.take() {
            stop.cancel();
            task.join_next().await.expect("it runs").expect("ends");
        }
    }

    pub(crate) async fn drained(&self) {
        until_true("the spool to be empty", || self.spool.depth().events == 0).await;
    }

    pub(crate) fn last_reason(&self) -> String {
        let states = self.seen.states.lock().unwrap();
        let reasons = states.iter().rev().filter_map(|state| match state {
            LinkState::Away(reason) => Some(reason.clone()),
            LinkState::Connected { .. } => None,
        });
        reasons.into_iter().next().unwrap_or_default()
    }
}

/// Looks until `look` gives something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, looking)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(crate) async fn until_true(what: &str, mut look: impl FnMut() -> bool) {
    until(what, || std::future::ready(look().then_some(()))).await;
}
