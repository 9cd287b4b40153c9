//! Packs of indicators on their way to sensors: part by part, so that nothing else waits behind them.
//!
//! Invariant: a sensor that says which packs it holds is sent only others; one that broke off gets the
//! whole pack anew with its next session.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use metsuke_event::EndpointId;
use metsuke_intel::{Pack, Packs};
use metsuke_link::message::{Downstream, PackKind, PackPart, PackVersions};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::dispatch::Control;

/// How often sensors that hold something else are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Parts sent to one sensor in a tick: 4 MiB a second, what artifacts may take on the way up.
const PARTS_AT_ONCE: u32 = 16;

/// A pack on its way.
#[derive(Debug)]
struct Way {
    session: mpsc::Sender<Downstream>,
    version: u64,
    next: u32,
}

type Ways = HashMap<(EndpointId, PackKind), Way>;

impl Control {
    /// The sensor says which packs it holds.
    pub fn holds_packs(&self, endpoint: EndpointId, packs: PackVersions) {
        self.packs().insert(endpoint, packs);
    }

    pub(crate) fn packs(&self) -> MutexGuard<'_, HashMap<EndpointId, PackVersions>> {
        self.shared.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends sensors that are connected the packs they do not hold, until `stop`.
    pub async fn distribute_until(
        &self,
        mut packs: watch::Receiver<Arc<Packs>>,
        stop: CancellationToken,
    ) {
        let (mut ways, mut tick) = (Ways::new(), tokio::time::interval(TICK));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
                changed = packs.changed() => if changed.is_err() {
                    return;
                }
            }
            let current = Arc::clone(&packs.borrow_and_update());
            for pack in PackKind::ALL {
                let content = match pack {
                    PackKind::Decided => &current.decided,
                    PackKind::Filter => &current.filter,
                };
                // One that was not made yet takes nothing from those who hold one.
                if let Some(content) = content {
                    self.distribute(pack, content, &mut ways);
                }
            }
            ways.retain(|_, way| !way.session.is_closed());
        }
    }

    fn distribute(&self, kind: PackKind, pack: &Pack, ways: &mut Ways) {
        let mut others: Vec<EndpointId> = Vec::new();
        for (endpoint, held) in self.packs().iter_mut() {
            if *held.of(kind) != pack.version {
                others.push(*endpoint);
            }
        }
        for endpoint in others {
            let Some(session) = self.session(endpoint) else { continue };
            let way = ways.entry((endpoint, kind)).or_insert_with(|| Way {
                session: session.clone(),
                version: pack.version,
                next: 0,
            });
            if !way.session.same_channel(&session) || way.version != pack.version {
                *way = Way { session, version: pack.version, next: 0 };
            }
            if way.go_on(kind, pack) {
                ways.remove(&(endpoint, kind));
                if let Some(held) = self.packs().get_mut(&endpoint) {
                    *held.of(kind) = pack.version;
                }
            }
        }
    }
}

impl Way {
    /// Sends the next parts; true when all are sent.
    fn go_on(&mut self, kind: PackKind, pack: &Pack) -> bool {
        for _ in 0..PARTS_AT_ONCE {
            let Some(part) = PackPart::cut(kind, pack.version, &pack.bytes, self.next) else {
                return true;
            };
            if self.session.try_send(Downstream::Indicators(part)).is_err() {
                return false;
            }
            self.next += 1;
        }
        self.next >= PackPart::count(&pack.bytes)
    }
}
