//! The sensor's program against a link server of the test's own, in a control group of its own.

mod basics;
mod plans;
mod world;
