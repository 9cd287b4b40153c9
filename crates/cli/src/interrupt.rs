//! Ctrl-C while something has to be put back first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::{Failure, INTERRUPTED};

/// Whether somebody wants this to end.
#[derive(Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first Ctrl-C (or SIGTERM, or a terminal that goes away) is noted, and the
    /// second ends the program at once.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let noted = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal finds the flag down.
            flag::register_conditional_shutdown(
                signal,
                i32::from(INTERRUPTED),
                Arc::clone(&noted.0),
            )
            .and_then(|_| flag::register(signal, Arc::clone(&noted.0)))
            .map_err(|source| Failure::Local { doing: "watching for Ctrl-C".to_owned(), source })?;
        }
        Ok(noted)
    }

    /// # Errors
    /// [`Failure::Interrupted`] once somebody wants this to end.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.0.load(Ordering::Acquire) { Err(Failure::Interrupted) } else { Ok(()) }
    }

    #[cfg(test)]
    pub(crate) fn noted() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}
