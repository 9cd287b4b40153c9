//! Ways to pass by a sensor, each done by direct system calls in a control group of the test's own,
//! and what the probe told of it. Every test writes its row of `docs/reference/evasion.md`: seen,
//! stopped, or blind with the reason.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe for system calls without a wrapper"
)]

mod execution;
mod places;
mod program;
mod ring;
mod sensor;
#[path = "../support/mod.rs"]
mod support;
