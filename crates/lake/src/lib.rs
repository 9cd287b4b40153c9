#![doc = include_str!("../README.md")]

mod config;
mod cursor;
mod error;
mod lake;
mod request;

pub use config::LakeConfig;
pub use error::LakeError;
pub use lake::{FlushReport, HighWater, Lake};
pub use metsuke_hunt::{Query, QueryError, parse};
pub use request::{
    ALL_ENDPOINTS, Bucket, Cursor, Events, Facet, LakeStats, MAX_BUCKETS, MAX_FACET_VALUES,
    MAX_FACETS, MAX_LIMIT, Order, SearchAnswer, SearchRequest, TimeRange, ValueCount,
};
