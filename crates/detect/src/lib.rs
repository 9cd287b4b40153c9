#![doc = include_str!("../README.md")]

#[cfg(test)]
mod agreement;
pub mod bounds;
mod calendar;
mod compile;
mod correlate;
mod document;
mod engine;
mod filter;
mod matcher;
mod plan;
mod predicate;
mod reach;
mod ruleset;
mod sigma;
mod weigh;
mod witness;
mod yaml;

pub use compile::{Options, compile, compile_with};
pub use document::{Document, Position, Reason, Refused};
pub use engine::{Counters, Engine, Evicted, Findings};
pub use reach::Reach;
pub use ruleset::{Meta, RuleSet};
