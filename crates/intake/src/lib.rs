#![doc = include_str!("../README.md")]

mod auditd;
pub mod bounds;
mod builder;
pub mod evtx;
mod format;
mod json;
mod lines;
mod record;
pub mod windows;

pub use format::Format;
pub use lines::Lines;
pub use record::{Output, Place, Problem, Record, Sources};
