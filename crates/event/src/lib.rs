#![doc = include_str!("../README.md")]

pub mod activity;
pub mod coverage;
pub mod ecs;
pub mod entity;
pub mod field;
pub mod finding;
pub mod id;
pub mod logsource;
pub mod loss;
pub mod ocsf;
mod projection;
pub mod time;
pub mod value;

pub use activity::{Activity, Event, Kind};
pub use entity::{Dns, File, Health, Module, Network, Process};
pub use field::{FIELDS, FieldId, FieldSpec};
pub use id::{AlertId, BootId, EndpointId, EventId, ProcessKey, TenantId};
pub use loss::LossInterval;
pub use projection::ProjectionError;
pub use time::Timestamp;
pub use value::{FieldType, Text, Value, ValueRef};
