//! The whole product, end to end. One program, so that its tests can take turns.

mod bad_input;
mod command_line;
mod demo;
mod disk_full;
mod evidence;
mod fleet;
mod interrupted;
mod inventory;
mod recording;
mod terminate;
mod volume;

use std::time::Duration;

/// How long anything may take to travel from a process to an answer of the API. Far above what is
/// promised: these tests prove that it arrives, `./x run --demo --once` proves that it is quick.
pub(crate) const ARRIVES: Duration = Duration::from_secs(60);
