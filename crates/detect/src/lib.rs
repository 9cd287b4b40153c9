#![doc = include_str!("../README.md")]

#[cfg(test)]
mod agreement;
mod awaited;
pub mod bounds;
mod calendar;
mod census;
mod checkpoint;
mod class;
mod clock;
mod codec;
mod compile;
mod correlate;
mod demand;
mod document;
mod engine;
mod expression;
mod filter;
mod first_seen;
mod fleet;
mod grams;
mod indicator;
mod kin;
mod later;
mod lowering;
mod matcher;
mod meter;
#[cfg(test)]
mod naive;
mod overlay;
mod own;
mod plan;
mod planner;
mod predicate;
mod program;
mod question;
mod reach;
mod ruleset;
#[cfg(test)]
mod schema;
mod sequence;
mod sigma;
mod watch;
mod weigh;
mod witness;
mod yaml;

pub use checkpoint::{RestoreError, Restored};
pub use clock::believed;
pub use compile::{Options, compile, compile_with};
pub use demand::{Response, Responses};
pub use document::{Document, Position, Reason, Refused};
pub use engine::{Counters, Ends, Engine, Evicted, Findings};
pub use indicator::Sighted;
pub use meter::{Clock, Cost, Profile};
pub use overlay::{DEFAULT_GROUP, Exception, Overlay, Scope, Site, Tuning};
pub use reach::Reach;
pub use ruleset::{Meta, RuleSet};
pub use weigh::Judged;
