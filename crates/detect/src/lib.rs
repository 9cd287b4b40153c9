#![doc = include_str!("../README.md")]

pub mod bounds;
mod compile;
mod document;
mod engine;
mod ruleset;

pub use compile::compile;
pub use document::{Document, Position, Reason, Refused};
pub use engine::{Counters, Engine, Findings};
pub use ruleset::{Meta, RuleSet};
