#![doc = include_str!("../README.md")]

#[cfg(test)]
extern crate self as metsuke_lake;

mod codec;
mod compile;
mod config;
mod counts;
mod cursor;
mod engine;
mod error;
mod frame;
#[cfg(test)]
mod frame_tests;
mod lake;
mod losses;
mod marks;
#[cfg(test)]
mod model;
mod page;
mod part;
mod provider;
mod prune;
mod recover;
mod repair;
mod request;
mod scan;
mod schema;
mod search;
#[cfg(test)]
#[path = "../tests/lake/support.rs"]
mod support;
mod table;
mod view;
mod wal;

pub use config::LakeConfig;
pub use error::LakeError;
pub use lake::{FlushReport, HighWater, Lake};
pub use metsuke_hunt::{Query, QueryError, parse};
pub use request::{
    ALL_ENDPOINTS, Bucket, Cursor, Events, Facet, LakeStats, MAX_BUCKETS, MAX_FACET_VALUES,
    MAX_FACETS, MAX_LIMIT, Order, SearchAnswer, SearchRequest, TimeRange, ValueCount,
};
pub use scan::Scan;
pub use search::MAX_EVENTS;
