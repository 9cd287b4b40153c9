//! The link whole: a server and sensors over real TLS on loopback, and the spool in real processes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod artifacts;
mod batches;
mod enrolment;
mod hostile;
mod inventory;
mod limits;
mod orders;
mod spool_process;
mod world;
