//! The sensor's program against a link server of the test's own, in a control group of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod basics;
mod denials;
mod floods;
mod indicators;
mod install;
mod packaged;
mod plans;
mod selfcare;
mod trouble;
mod world;
