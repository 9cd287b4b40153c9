//! One session per endpoint: a newcomer asks the one before to leave, and waits until it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metsuke_event::EndpointId;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Place {
    taken: Arc<tokio::sync::Mutex<()>>,
    leave: CancellationToken,
}

/// Who sits where.
#[derive(Default)]
pub(super) struct Seats {
    // Bounded by the number of enrolled endpoints.
    places: Mutex<HashMap<EndpointId, Place>>,
}

/// A seat taken; it is free again when this is dropped.
pub(super) struct Seat {
    _taken: OwnedMutexGuard<()>,
    /// Cancelled when a newcomer wants it.
    pub(super) leave: CancellationToken,
}

impl Seats {
    /// Takes the seat of `endpoint`.
    pub(super) async fn take(&self, endpoint: EndpointId) -> Seat {
        let leave = CancellationToken::new();
        let taken = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let place = places.entry(endpoint).or_default();
            std::mem::replace(&mut place.leave, leave.clone()).cancel();
            Arc::clone(&place.taken)
        };
        Seat { _taken: taken.lock_owned().await, leave }
    }
}
