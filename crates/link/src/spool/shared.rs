//! The spool between the pipeline, which appends, and the session, which reads and commits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Depth, Loss, Position, Spool};
use crate::codec::Encoded;

/// A spool in several hands. Each call holds the lock for one small file operation.
#[derive(Clone, Debug)]
pub struct SharedSpool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spool: Mutex<Spool>,
    appended: Notify,
}

impl SharedSpool {
    /// Shares `spool`.
    pub fn new(spool: Spool) -> Self {
        Self { inner: Arc::new(Inner { spool: Mutex::new(spool), appended: Notify::new() }) }
    }

    /// The spool itself, for one operation.
    pub fn lock(&self) -> MutexGuard<'_, Spool> {
        // The spool's methods do not panic half-way; a poisoned lock holds a usable spool.
        self.inner.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Spool::append`], and wakes the reader.
    pub fn append(&self, batch: &Encoded) {
        self.lock().append(batch);
        self.inner.appended.notify_one();
    }

    /// Waits until something was appended since the last wait.
    pub async fn appended(&self) {
        self.inner.appended.notified().await;
    }

    /// As [`Spool::next`].
    pub fn next(&self, position: Position) -> Option<(Encoded, Position)> {
        self.lock().next(position)
    }

    /// As [`Spool::commit`].
    pub fn commit(&self, position: Position) {
        self.lock().commit(position);
    }

    /// As [`Spool::depth`].
    pub fn depth(&self) -> Depth {
        self.lock().depth()
    }

    /// As [`Spool::take_losses`].
    pub fn take_losses(&self) -> Vec<Loss> {
        self.lock().take_losses()
    }
}
